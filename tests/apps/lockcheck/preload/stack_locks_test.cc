// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stack_locks.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

class StackLocks : public testing::Test {
  protected:
    StackLocks() { stub_thread().lowest_stack_lock = UINTPTR_MAX; }
    ~StackLocks() override { stub_stop(); }
};

constexpr uintptr_t some_site = 0x1234;

bool is_same(lockdep::Lock& lock, uintptr_t site = some_site) {
    return stack_lock_is_same(lock, site) || stack_lock_stays(stub_thread(), lock, site);
}

/// Enlists a lock in a frame of its own, or looks whether the one enlisted is still the same.
__attribute__((noinline)) bool in_a_frame(lockdep::Lock& lock, bool enlist) {
    volatile char local[64];
    local[0] = 0;
    if (enlist) {
        lock.address = const_cast<char*>(&local[0]);
        watch_stack_lock(stub_thread(), lock);
    }
    const bool same = is_same(lock);
    asm volatile("" ::"r"(&local[0]) : "memory");
    return same;
}

__attribute__((noinline)) bool from_elsewhere(lockdep::Lock& lock) {
    const bool same = in_a_frame(lock, false);
    asm volatile("");
    return same;
}

TEST_F(StackLocks, AreTheSameWhileTheirFrameIs) {
    lockdep::Lock lock;
    EXPECT_TRUE(in_a_frame(lock, true));
}

TEST_F(StackLocks, AreOthersInAFrameThatWasEnteredFromElsewhere) {
#if defined(__x86_64__)
    lockdep::Lock lock;
    for (const bool enlist : {true, false})
        EXPECT_TRUE(in_a_frame(lock, enlist)) << "one place in a loop enters the same frame";
    EXPECT_FALSE(from_elsewhere(lock));
    EXPECT_FALSE(in_a_frame(lock, false));
#else
    GTEST_SKIP() << "frames are known on x86_64 only";
#endif
}

/// Two functions with their local locks at one address, which one place calls by a pointer. `what`:
/// what the lock's first word is.
template <int Which>
__attribute__((noinline)) bool in_frame_of(lockdep::Lock& lock, bool enlist, char what) {
    volatile char local[64] = {what};
    if (enlist) {
        lock.address = const_cast<char*>(&local[0]);
        watch_stack_lock(stub_thread(), lock);
    }
    EXPECT_EQ(lock.address.load(), const_cast<char*>(&local[0])) << "or this shows nothing";
    const bool same = is_same(lock, some_site + Which);
    asm volatile("" ::"r"(&local[0]), "r"(Which) : "memory");
    return same;
}

using FrameFunction = bool (*)(lockdep::Lock&, bool, char);

__attribute__((noinline)) bool call(FrameFunction function, lockdep::Lock& lock, bool enlist,
                                    char what) {
    asm volatile("" : "+r"(function));
    const bool same = function(lock, enlist, what);
    asm volatile("");
    return same;
}

TEST_F(StackLocks, AreOthersInTheFrameOfAnotherFunction) {
#if defined(__x86_64__)
    const FrameFunction one = in_frame_of<1>;
    const FrameFunction two = in_frame_of<2>;
    for (const FrameFunction next : {one, two}) {
        lockdep::Lock lock;
        EXPECT_TRUE(call(one, lock, true, 0));
        EXPECT_EQ(call(next, lock, false, 0), next == one);
    }
    lockdep::Lock lock;
    EXPECT_TRUE(call(one, lock, true, 0));
    EXPECT_TRUE(call(two, lock, false, 1)) << "somebody has it";
#else
    GTEST_SKIP() << "frames are known on x86_64 only";
#endif
}

TEST_F(StackLocks, AreKnownAgainWhereTheyWereUsed) {
#if defined(__x86_64__)
    volatile char local[64] = {};
    lockdep::Lock lock;
    lock.address = const_cast<char*>(&local[0]);
    watch_stack_lock(stub_thread(), lock);
    for (const uintptr_t site : {1, 2, 3, 4}) {
        EXPECT_FALSE(stack_lock_is_same(lock, site));
        EXPECT_TRUE(stack_lock_stays(stub_thread(), lock, site));
    }
    for (const uintptr_t site : {2, 3, 4}) EXPECT_TRUE(stack_lock_is_same(lock, site));
    EXPECT_FALSE(stack_lock_is_same(lock, 1)) << "too long ago";
#else
    GTEST_SKIP() << "frames are known on x86_64 only";
#endif
}

TEST_F(StackLocks, ElsewhereAreNotWatched) {
    const auto lock = std::make_unique<lockdep::Lock>();
    lock->address = lock.get();
    watch_stack_lock(stub_thread(), *lock);
    EXPECT_TRUE(is_same(*lock));
    EXPECT_EQ(stub_thread().lowest_stack_lock, UINTPTR_MAX);
}

TEST_F(StackLocks, AreForgottenWhenTheirFrameIsLeft) {
    lockdep::Lock lock;
    in_a_frame(lock, true);
    ThreadState& self = stub_thread();
    const auto* const place = static_cast<const char*>(lock.address.load());
    const auto address = reinterpret_cast<uintptr_t>(place);
    EXPECT_EQ(self.lowest_stack_lock, address);
    stub_watch(place, place + 40);
    forget_left_frames(self, address - 100);
    EXPECT_EQ(stub_gone_count(), 0u) << "deeper than the lock";
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    forget_left_frames(self, here);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(place));
    EXPECT_EQ(stub_gone(0).end, here) << "what is further up is in frames that are still there";
    EXPECT_GE(self.lowest_stack_lock, here);
}

TEST_F(StackLocks, StayWhileTheThreadIsOnAnotherStack) {
    lockdep::Lock lock;
    in_a_frame(lock, true);
    ThreadState& self = stub_thread();
    const auto* const place = static_cast<const char*>(lock.address.load());
    stub_watch(place, place + 40);
    const std::vector<char> fiber(1000);
    forget_left_frames(self, reinterpret_cast<uintptr_t>(fiber.data()));
    forget_left_frames(self, self.stack_high + 4096);
    EXPECT_EQ(stub_gone_count(), 0u);
}

TEST_F(StackLocks, OfOtherThreadsAreForgottenByThose) {
    std::vector<char> stack(8192);
    ThreadState other;
    other.stack_low = reinterpret_cast<uintptr_t>(stack.data());
    other.stack_high = other.stack_low + stack.size();
    char* const lock = stack.data() + 4000;
    EXPECT_EQ(making_of(stub_thread(), lock, 40, false).place, lockdep::Place::heap);
    EXPECT_FALSE(is_in_other_stack(stub_thread(), reinterpret_cast<uintptr_t>(lock)));
    know_stack(other);
    EXPECT_TRUE(is_in_other_stack(stub_thread(), reinterpret_cast<uintptr_t>(lock)));
    EXPECT_EQ(other.lowest_stack_lock, reinterpret_cast<uintptr_t>(lock));
    EXPECT_FALSE(is_in_other_stack(other, reinterpret_cast<uintptr_t>(lock)));
    forget_stack(other);
    EXPECT_FALSE(is_in_other_stack(stub_thread(), reinterpret_cast<uintptr_t>(lock)));
}

TEST_F(StackLocks, OfThousandsOfThreadsAreKnown) {
    std::vector<ThreadState> owners(2000);
    for (size_t i = 0; i < owners.size(); ++i) {
        owners[i].stack_low = (i + 1) << 20;
        owners[i].stack_high = (i + 2) << 20;
        know_stack(owners[i]);
    }
    for (size_t i = 0; i < owners.size(); ++i)
        EXPECT_TRUE(is_in_other_stack(stub_thread(), ((i + 1) << 20) + 100));
    keep_only_stack(owners[7]);
    EXPECT_TRUE(is_in_other_stack(stub_thread(), (size_t{8} << 20) + 100));
    EXPECT_FALSE(is_in_other_stack(stub_thread(), (size_t{9} << 20) + 100));
    forget_stack(owners[7]);
}

}  // namespace
}  // namespace braidway::lockcheck
