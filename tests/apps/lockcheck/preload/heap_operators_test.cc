// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <new>

#include "apps/lockcheck/preload/heap_map.h"
#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

HeapBlock block_of(const void* address) {
    HeapBlock block;
    return heap_map.find(address, block) ? block : HeapBlock{};
}

/// Is the code at this return address in the function that calls this?
bool is_near(uintptr_t site, const void* here) {
    const auto address = reinterpret_cast<uintptr_t>(here);
    return site > address - 4096 && site < address + 4096;
}

#define HERE ([]() __attribute__((noinline)) { return __builtin_return_address(0); }())

TEST(HeapOperators, NoteTheCallerAndNotTheLibrary) {
    constexpr size_t bytes = 120;
    constexpr std::align_val_t align{64};
    void* const blocks[] = {::operator new(bytes),
                            ::operator new[](bytes),
                            ::operator new(bytes, std::nothrow),
                            ::operator new[](bytes, std::nothrow),
                            ::operator new(bytes, align),
                            ::operator new[](bytes, align),
                            ::operator new(bytes, align, std::nothrow),
                            ::operator new[](bytes, align, std::nothrow)};
    for (void* const block : blocks) {
        const HeapBlock known = block_of(static_cast<char*>(block) + 50);
        EXPECT_EQ(known.begin, reinterpret_cast<uintptr_t>(block));
        EXPECT_EQ(known.bytes, bytes);
        EXPECT_TRUE(is_near(known.made_at, HERE));
    }
    uintptr_t addresses[8];
    for (size_t i = 0; i < 8; ++i) addresses[i] = reinterpret_cast<uintptr_t>(blocks[i]);
    ::operator delete(blocks[0], bytes);
    ::operator delete[](blocks[1], bytes);
    ::operator delete(blocks[2], std::nothrow);
    ::operator delete[](blocks[3], std::nothrow);
    ::operator delete(blocks[4], bytes, align);
    ::operator delete[](blocks[5], bytes, align);
    ::operator delete(blocks[6], align, std::nothrow);
    ::operator delete[](blocks[7], align, std::nothrow);
    for (const uintptr_t address : addresses)
        EXPECT_EQ(block_of(reinterpret_cast<const void*>(address)).begin, 0u);
}

TEST(HeapOperators, LetExceptionsThrough) {
    volatile size_t too_much = std::numeric_limits<ptrdiff_t>::max();
    void* volatile block = nullptr;
    EXPECT_THROW(block = ::operator new(too_much), std::bad_alloc);
    EXPECT_THROW(block = ::operator new[](too_much, std::align_val_t{64}), std::bad_alloc);
    EXPECT_EQ(block, nullptr);
    EXPECT_EQ(::operator new(too_much, std::nothrow), nullptr);
}

TEST(HeapOperators, TellOfLocksOnce) {
    char* const block = static_cast<char*>(::operator new(120));
    making_of(stub_thread(), block + 40, 40, false);
    stub_watch(block + 40, block + 80);
    const volatile auto lock = reinterpret_cast<uintptr_t>(block + 40);
    ::operator delete(block, size_t{120});
    EXPECT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(reinterpret_cast<const void*>(lock)));
    stub_stop();
}

TEST(HeapOperators, GiveBackNothing) {
    ::operator delete(nullptr);
    ::operator delete[](nullptr, size_t{0});
}

}  // namespace
}  // namespace braidway::lockcheck
