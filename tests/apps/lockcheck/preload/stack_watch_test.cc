// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stack_watch.h"

#include <gtest/gtest.h>

#include <vector>

#include "apps/lockcheck/preload/lasting_locks.h"

namespace braidway::lockcheck {
namespace {

TEST(StackWatches, AreOfOneLockEach) {
    lockdep::Lock& one = make_lock();
    lockdep::Lock& two = make_lock();
    EXPECT_EQ(StackWatches::of(one), nullptr);
    StackWatch* const of_one = StackWatches::make(one);
    StackWatch* const of_two = StackWatches::make(two);
    ASSERT_NE(of_one, nullptr);
    EXPECT_NE(of_one, of_two);
    EXPECT_EQ(StackWatches::of(one), of_one);
    EXPECT_EQ(StackWatches::of(two), of_two);
}

TEST(StackWatches, AreNoMoreOfALockThatWasForgotten) {
    lockdep::Lock& lock = make_lock();
    StackWatches::make(lock);
    lock.id = lock.id + 1'000'000;
    EXPECT_EQ(StackWatches::of(lock), nullptr);
}

TEST(StackWatches, AreEmptyWhenTheyAreMadeAnew) {
    uintptr_t word = 1;
    lockdep::Lock& lock = make_lock();
    StackWatch* const watch = StackWatches::make(lock);
    watch->frame.remember(&word);
    watch->signs[0].remember(&word);
    watch->sites[2] = 7;
    watch->is_lent = true;
    EXPECT_EQ(StackWatches::make(lock), watch);
    EXPECT_FALSE(watch->frame.is_known());
    EXPECT_FALSE(watch->signs[0].is_known());
    EXPECT_EQ(watch->sites[2], 0u);
    EXPECT_FALSE(watch->is_lent);
}

TEST(StackWatches, KnowAWordThatChanged) {
    uintptr_t word = 1;
    StackWord known;
    EXPECT_FALSE(known.is_known());
    known.remember(&word);
    EXPECT_TRUE(known.is_same());
    word = 2;
    EXPECT_FALSE(known.is_same());
}

TEST(StackWatches, ShowThoseThatAThreadLent) {
    ThreadState owner;
    ThreadState other;
    std::vector<lockdep::Lock*> locks;
    for (int i = 0; i < 3; ++i) locks.push_back(&make_lock());
    for (lockdep::Lock* const lock : locks) StackWatches::make(*lock)->owner = &owner;
    StackWatches::of(*locks[0])->is_lent = true;
    StackWatches::of(*locks[2])->is_lent = true;
    locks[2]->id = 0;
    const auto shown_to = [](const ThreadState& to) {
        std::vector<const lockdep::Lock*> shown;
        StackWatches::for_each_lent(
            to, [&](StackWatch&, const lockdep::Lock& lock) { shown.push_back(&lock); });
        return shown;
    };
    EXPECT_EQ(shown_to(owner), std::vector<const lockdep::Lock*>{locks[0]})
        << "one is not lent, and one is gone";
    EXPECT_TRUE(shown_to(other).empty());
}

TEST(StackWatches, OfGoneLocksAreUsedAgainAndOfLiveOnesWhenAllAreInUse) {
    lockdep::Lock& gone = make_lock();
    StackWatch* const watch = StackWatches::make(gone);
    gone.id = 0;
    std::vector<lockdep::Lock*> locks;
    bool used_again = false;
    for (size_t i = 0; i < StackWatches::watches_max + 10; ++i) {
        lockdep::Lock& lock = *locks.emplace_back(&make_lock());
        StackWatch* const made = StackWatches::make(lock);
        ASSERT_NE(made, nullptr);
        used_again = used_again || made == watch;
        EXPECT_EQ(StackWatches::of(lock), made);
    }
    EXPECT_TRUE(used_again);
    size_t lost = 0;
    for (const lockdep::Lock* const lock : locks)
        if (StackWatches::of(*lock) == nullptr) ++lost;
    EXPECT_GE(lost, 10u) << "more locks than watches";
    EXPECT_LE(lost, 64u);
    for (lockdep::Lock* const lock : locks) lock->id = 0;
}

}  // namespace
}  // namespace braidway::lockcheck
