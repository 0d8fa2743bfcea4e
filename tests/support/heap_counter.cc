// SPDX-License-Identifier: Apache-2.0
#include "support/heap_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

thread_local uint64_t of_this_thread = 0;
std::atomic<uint64_t> of_all_threads = 0;

void* counted(size_t bytes) {
    ++of_this_thread;
    of_all_threads.fetch_add(1, std::memory_order_relaxed);
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) std::abort();
    return memory;
}

}  // namespace

// Not inline: the compiler would see free() of what it takes for the library's operator new.
[[gnu::noinline]] void* operator new(size_t bytes) {
    return counted(bytes);
}
[[gnu::noinline]] void* operator new[](size_t bytes) {
    return counted(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, size_t) noexcept {
    std::free(memory);
}

namespace braidway {

uint64_t heap_requests_of_this_thread() {
    return of_this_thread;
}

uint64_t heap_requests() {
    return of_all_threads.load(std::memory_order_relaxed);
}

}  // namespace braidway
