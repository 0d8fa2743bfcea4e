// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/allocation_sites.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

namespace braidway::lockcheck {
namespace {

using Code = std::vector<unsigned char>;

bool loads(const Code& code, uint64_t bytes) {
    return loads_constant(code.data(), code.size(), bytes);
}

TEST(AllocationSites, AConstantSizeIsSeenInTheCode) {
#if defined(__x86_64__)
    const Code call{0xe8, 0x11, 0x22, 0x33, 0x44};
    const auto before_call = [&](Code code) {
        code.insert(code.end(), call.begin(), call.end());
        return code;
    };
    EXPECT_TRUE(loads(before_call({0xbf, 0x50, 0, 0, 0}), 80)) << "mov edi";
    EXPECT_TRUE(loads(before_call({0xbf, 0x4d, 0, 0, 0}), 80)) << "rounded up";
    EXPECT_TRUE(loads(before_call({0xbe, 0x50, 0, 0, 0, 0xbf, 1, 0, 0, 0}), 80)) << "calloc(1, 80)";
    EXPECT_TRUE(loads(before_call({0x90, 0x48, 0xc7, 0xc7, 0x50, 0, 0, 0}), 80)) << "mov rdi";
    EXPECT_TRUE(loads(before_call({0x6a, 0x50, 0x5f}), 80)) << "push, pop rdi";
    EXPECT_FALSE(loads(before_call({0xbe, 0x28, 0, 0, 0, 0xbf, 2, 0, 0, 0}), 80)) << "an array";
    EXPECT_FALSE(loads(before_call({0xbb, 0x50, 0, 0, 0}), 80)) << "ebx is no argument";
    EXPECT_FALSE(loads(before_call({0x48, 0x89, 0xdf}), 80)) << "handed through";
    EXPECT_FALSE(loads({0xbf, 0x50}, 80)) << "too short";
#elif defined(__aarch64__)
    EXPECT_TRUE(loads({0x00, 0x0a, 0x80, 0xd2, 0, 0, 0, 0x94}, 80)) << "mov x0";
    EXPECT_FALSE(loads({0xe0, 0x03, 0x13, 0xaa, 0, 0, 0, 0x94}, 80)) << "handed through";
#else
    GTEST_SKIP() << "code is read on x86_64 and aarch64 only";
#endif
}

TEST(AllocationSites, CodeThatOnlyHandsTheBlockOnIsAnAllocators) {
#if defined(__x86_64__)
    const auto hands_on = [](const Code& code) { return hands_block_on(code.data(), code.size()); };
    EXPECT_TRUE(hands_on({0x48, 0x85, 0xc0, 0x74, 5, 0x48, 0x83, 0xc4, 8, 0xc3}));
    EXPECT_FALSE(hands_on({0x48, 0x85, 0xc0, 0x74, 5, 0x0f, 0x11, 0x00, 0x0f, 0x11}));
    EXPECT_FALSE(hands_on({0x48, 0x83, 0xc4, 8, 0xc3})) << "no look at it: a factory's last words";
    EXPECT_FALSE(hands_on({}));
#else
    GTEST_SKIP() << "code is read on x86_64 only";
#endif
}

/// Where it would return to.
__attribute__((noinline)) uintptr_t site_here() {
    return reinterpret_cast<uintptr_t>(__builtin_return_address(0));
}

TEST(AllocationSites, CodeInNoModuleSaysNothing) {
    const std::vector<unsigned char> data(256, 0xbf);
    EXPECT_FALSE(asks_for_one_type(reinterpret_cast<uintptr_t>(&data[200]), 80));
    EXPECT_FALSE(asks_for_one_type(0, 80));
    EXPECT_FALSE(asks_for_one_type(site_here(), 123'456));
}

}  // namespace
}  // namespace braidway::lockcheck
