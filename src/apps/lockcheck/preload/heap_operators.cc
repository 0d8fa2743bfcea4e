// SPDX-License-Identifier: Apache-2.0
// operator new and delete: passed on to those behind ours (the C++ library's, or an allocator's),
// and the block is written down as made by the caller. Exceptions pass through: nothing is thrown
// or caught here. Where the program replaces them, its own are called and ours are not.
#include <dlfcn.h>
#include <link.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "apps/lockcheck/preload/heap.h"

#define LOCKCHECK_SITE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace braidway::lockcheck {
namespace {

/// Looks a function up behind ours. A C++ library that a C program loads as a part of a plug-in is
/// not in the search order; it is found from the caller's module.
[[gnu::cold, gnu::noinline]] void* find_operator(const char* name, uintptr_t caller) {
    if (void* const found = dlsym(RTLD_NEXT, name)) return found;
    dl_find_object module{};
    if (_dl_find_object(reinterpret_cast<void*>(caller), &module) != 0) return nullptr;
    const char* const path = module.dlfo_link_map->l_name;
    void* const handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) return nullptr;
    void* const found = dlsym(handle, name);
    // The C++ library stays for good, for what was found in it is kept; the plug-in may go.
    if (found != nullptr && _dl_find_object(found, &module) == 0)
        dlopen(module.dlfo_link_map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    dlclose(handle);
    return found;
}

/// One operator behind ours, looked up at its first call.
template <typename Function>
class NextOperator {
  public:
    constexpr explicit NextOperator(const char* name) : name_(name) {}

    Function* get(uintptr_t caller) {
        Function* found = found_.load(std::memory_order_relaxed);
        if (found == nullptr) [[unlikely]] {
            found = reinterpret_cast<Function*>(find_operator(name_, caller));
            // Somebody called an operator that no library has: nothing can be given or thrown.
            if (found == nullptr) __builtin_trap();
            found_.store(found, std::memory_order_relaxed);
        }
        return found;
    }

  private:
    const char* name_;
    std::atomic<Function*> found_ = nullptr;
};

using Tag = std::nothrow_t;
using Align = std::align_val_t;

constinit NextOperator<void*(size_t)> next_new("_Znwm");
constinit NextOperator<void*(size_t)> next_new_array("_Znam");
constinit NextOperator<void*(size_t, const Tag&)> next_new_tag("_ZnwmRKSt9nothrow_t");
constinit NextOperator<void*(size_t, const Tag&)> next_new_array_tag("_ZnamRKSt9nothrow_t");
constinit NextOperator<void*(size_t, Align)> next_new_align("_ZnwmSt11align_val_t");
constinit NextOperator<void*(size_t, Align)> next_new_array_align("_ZnamSt11align_val_t");
constinit NextOperator<void*(size_t, Align, const Tag&)> next_new_align_tag(
    "_ZnwmSt11align_val_tRKSt9nothrow_t");
constinit NextOperator<void*(size_t, Align, const Tag&)> next_new_array_align_tag(
    "_ZnamSt11align_val_tRKSt9nothrow_t");

constinit NextOperator<void(void*)> next_delete("_ZdlPv");
constinit NextOperator<void(void*)> next_delete_array("_ZdaPv");
constinit NextOperator<void(void*, size_t)> next_delete_size("_ZdlPvm");
constinit NextOperator<void(void*, size_t)> next_delete_array_size("_ZdaPvm");
constinit NextOperator<void(void*, const Tag&)> next_delete_tag("_ZdlPvRKSt9nothrow_t");
constinit NextOperator<void(void*, const Tag&)> next_delete_array_tag("_ZdaPvRKSt9nothrow_t");
constinit NextOperator<void(void*, Align)> next_delete_align("_ZdlPvSt11align_val_t");
constinit NextOperator<void(void*, Align)> next_delete_array_align("_ZdaPvSt11align_val_t");
constinit NextOperator<void(void*, size_t, Align)> next_delete_size_align("_ZdlPvmSt11align_val_t");
constinit NextOperator<void(void*, size_t, Align)> next_delete_array_size_align(
    "_ZdaPvmSt11align_val_t");
constinit NextOperator<void(void*, Align, const Tag&)> next_delete_align_tag(
    "_ZdlPvSt11align_val_tRKSt9nothrow_t");
constinit NextOperator<void(void*, Align, const Tag&)> next_delete_array_align_tag(
    "_ZdaPvSt11align_val_tRKSt9nothrow_t");

template <typename Next, typename... More>
[[gnu::always_inline]] inline void* make(Next& next, uintptr_t site, size_t bytes,
                                         const More&... more) {
    return block_made(next.get(site)(bytes, more...), bytes, site);
}

template <typename Next, typename... More>
[[gnu::always_inline]] inline void give_back(Next& next, uintptr_t site, void* block,
                                             const More&... more) {
    if (block != nullptr) block_goes(block);
    next.get(site)(block, more...);
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

void* operator new(size_t bytes) {
    return make(next_new, LOCKCHECK_SITE, bytes);
}
void* operator new[](size_t bytes) {
    return make(next_new_array, LOCKCHECK_SITE, bytes);
}
void* operator new(size_t bytes, const Tag& tag) noexcept {
    return make(next_new_tag, LOCKCHECK_SITE, bytes, tag);
}
void* operator new[](size_t bytes, const Tag& tag) noexcept {
    return make(next_new_array_tag, LOCKCHECK_SITE, bytes, tag);
}
void* operator new(size_t bytes, Align align) {
    return make(next_new_align, LOCKCHECK_SITE, bytes, align);
}
void* operator new[](size_t bytes, Align align) {
    return make(next_new_array_align, LOCKCHECK_SITE, bytes, align);
}
void* operator new(size_t bytes, Align align, const Tag& tag) noexcept {
    return make(next_new_align_tag, LOCKCHECK_SITE, bytes, align, tag);
}
void* operator new[](size_t bytes, Align align, const Tag& tag) noexcept {
    return make(next_new_array_align_tag, LOCKCHECK_SITE, bytes, align, tag);
}

void operator delete(void* block) noexcept {
    give_back(next_delete, LOCKCHECK_SITE, block);
}
void operator delete[](void* block) noexcept {
    give_back(next_delete_array, LOCKCHECK_SITE, block);
}
void operator delete(void* block, size_t bytes) noexcept {
    give_back(next_delete_size, LOCKCHECK_SITE, block, bytes);
}
void operator delete[](void* block, size_t bytes) noexcept {
    give_back(next_delete_array_size, LOCKCHECK_SITE, block, bytes);
}
void operator delete(void* block, const Tag& tag) noexcept {
    give_back(next_delete_tag, LOCKCHECK_SITE, block, tag);
}
void operator delete[](void* block, const Tag& tag) noexcept {
    give_back(next_delete_array_tag, LOCKCHECK_SITE, block, tag);
}
void operator delete(void* block, Align align) noexcept {
    give_back(next_delete_align, LOCKCHECK_SITE, block, align);
}
void operator delete[](void* block, Align align) noexcept {
    give_back(next_delete_array_align, LOCKCHECK_SITE, block, align);
}
void operator delete(void* block, size_t bytes, Align align) noexcept {
    give_back(next_delete_size_align, LOCKCHECK_SITE, block, bytes, align);
}
void operator delete[](void* block, size_t bytes, Align align) noexcept {
    give_back(next_delete_array_size_align, LOCKCHECK_SITE, block, bytes, align);
}
void operator delete(void* block, Align align, const Tag& tag) noexcept {
    give_back(next_delete_align_tag, LOCKCHECK_SITE, block, align, tag);
}
void operator delete[](void* block, Align align, const Tag& tag) noexcept {
    give_back(next_delete_array_align_tag, LOCKCHECK_SITE, block, align, tag);
}
