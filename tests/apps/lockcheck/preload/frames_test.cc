// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/frames.h"

#include <gtest/gtest.h>

#include <array>

#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

struct Seen {
    std::array<uintptr_t, 8> frames{};
    size_t count = 0;
    uintptr_t return_address = 0;
};

__attribute__((noinline)) void look(Seen& seen) {
    seen.count = program_frames(seen.frames);
    seen.return_address = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    asm volatile("");
}

TEST(Frames, BeginWithTheProgramAndNotWithTheLibrary) {
    Seen seen;
    look(seen);
    ASSERT_GE(seen.count, 3u);
    EXPECT_EQ(seen.frames[1], seen.return_address);
    const auto function = reinterpret_cast<uintptr_t>(&look);
    EXPECT_GT(seen.frames[0], function);
    EXPECT_LT(seen.frames[0], function + 200);
}

TEST(Frames, AreAsManyAsThereIsRoomFor) {
    std::array<uintptr_t, 2> two{};
    EXPECT_EQ(program_frames(two), 2u);
    EXPECT_EQ(program_frames({}), 0u);
}

struct Found {
    const uintptr_t* slot = nullptr;
    uintptr_t return_address = 0;
    uintptr_t function = 0;
};

__attribute__((noinline)) Found find_own_frame() {
    volatile char local[100];
    local[50] = 0;
    const ThreadState& self = stub_thread();
    Found found;
    const StackFrame frame =
        frame_around(reinterpret_cast<uintptr_t>(&local[50]), self.stack_low, self.stack_high);
    found.slot = frame.return_address;
    found.function = frame.function;
    found.return_address = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    return found;
}

TEST(Frames, AreFoundByWhatLivesInThem) {
#if defined(__x86_64__)
    const Found found = find_own_frame();
    ASSERT_NE(found.slot, nullptr);
    int in_this_frame = 0;
    const ThreadState& self = stub_thread();
    const StackFrame frame =
        frame_around(reinterpret_cast<uintptr_t>(&in_this_frame), self.stack_low, self.stack_high);
    const uintptr_t* const own = frame.return_address;
    ASSERT_NE(own, nullptr);
    EXPECT_GT(own, found.slot);
    EXPECT_EQ(found.function, reinterpret_cast<uintptr_t>(&find_own_frame));
    EXPECT_NE(frame.function, found.function);
    EXPECT_EQ(*own, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
#else
    GTEST_SKIP() << "where a return address stands is known on x86_64 only";
#endif
}

TEST(Frames, AreNotFoundAboveTheStack) {
    const ThreadState& self = stub_thread();
    EXPECT_EQ(frame_around(self.stack_high - 8, self.stack_low, self.stack_high).return_address,
              nullptr);
}

TEST(Frames, LeadToThoseFurtherUpOnly) {
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    EXPECT_TRUE(stack_reaches(here, here + 4096));
    EXPECT_FALSE(stack_reaches(here + (uintptr_t{1} << 40), UINTPTR_MAX));
}

}  // namespace
}  // namespace braidway::lockcheck
