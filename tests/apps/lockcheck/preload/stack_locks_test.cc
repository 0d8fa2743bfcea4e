// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stack_locks.h"

#include <gtest/gtest.h>

#include <pthread.h>

#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "apps/lockcheck/preload/lasting_locks.h"
#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

class StackLocks : public testing::Test {
  protected:
    StackLocks() {
        stub_watch(nullptr, nullptr);
        stub_thread().lowest_stack_lock = UINTPTR_MAX;
        stub_thread().lends = 0;
        stub_thread().event_frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    }
    ~StackLocks() override {
        for (lockdep::Lock* const lock : locks_) lock->id = 0;
        stub_stop();
    }

    /// Gone after the test.
    lockdep::Lock& fresh_lock() { return *locks_.emplace_back(&make_lock()); }

  private:
    std::vector<lockdep::Lock*> locks_;
};

constexpr uintptr_t some_site = 0x1234;

bool is_same(lockdep::Lock& lock, uintptr_t site = some_site) {
    const ThreadState& self = stub_thread();
    return stack_lock_is_same(self, lock, site) || stack_lock_stays(stub_thread(), lock, site);
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
    lockdep::Lock& lock = fresh_lock();
    EXPECT_TRUE(in_a_frame(lock, true));
}

TEST_F(StackLocks, AreOthersInAFrameThatWasEnteredFromElsewhere) {
#if defined(__x86_64__)
    lockdep::Lock& lock = fresh_lock();
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
        lockdep::Lock& lock = fresh_lock();
        EXPECT_TRUE(call(one, lock, true, 0));
        EXPECT_EQ(call(next, lock, false, 0), next == one);
    }
    lockdep::Lock& lock = fresh_lock();
    EXPECT_TRUE(call(one, lock, true, 0));
    EXPECT_TRUE(call(two, lock, false, 1)) << "somebody has it";
#else
    GTEST_SKIP() << "frames are known on x86_64 only";
#endif
}

TEST_F(StackLocks, AreKnownAgainWhereTheyWereUsed) {
#if defined(__x86_64__)
    volatile char local[64] = {};
    lockdep::Lock& lock = fresh_lock();
    lock.address = const_cast<char*>(&local[0]);
    watch_stack_lock(stub_thread(), lock);
    for (const uintptr_t site : {1, 2, 3, 4}) {
        EXPECT_FALSE(stack_lock_is_same(stub_thread(), lock, site));
        EXPECT_TRUE(stack_lock_stays(stub_thread(), lock, site));
    }
    for (const uintptr_t site : {2, 3, 4})
        EXPECT_TRUE(stack_lock_is_same(stub_thread(), lock, site));
    EXPECT_FALSE(stack_lock_is_same(stub_thread(), lock, 1)) << "too long ago";
#else
    GTEST_SKIP() << "frames are known on x86_64 only";
#endif
}

/// A lock of the program's, as the validator knows it.
template <class Object>
void describe(lockdep::Lock& lock, Object& object, lockdep::LockType type) {
    lock.address = &object;
    lock.bytes = sizeof object;
    lock.traits.type = type;
}

TEST_F(StackLocks, AreOthersWhereTheyWereMadeAnew) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    lockdep::Lock& lock = fresh_lock();
    lockdep::Lock& other = fresh_lock();
    describe(lock, mutex, lockdep::LockType::mutex);
    describe(other, rwlock, lockdep::LockType::rwlock);
    watch_stack_lock(stub_thread(), lock);
    watch_stack_lock(stub_thread(), other);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    EXPECT_TRUE(is_same(lock));
    EXPECT_TRUE(is_same(other));
    mutex = PTHREAD_MUTEX_INITIALIZER;
    rwlock = PTHREAD_RWLOCK_INITIALIZER;
    EXPECT_FALSE(is_same(lock));
    EXPECT_FALSE(is_same(other));
}

TEST_F(StackLocks, AreNotMarkedWhereTheWordIsUsed) {
    const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_t mutex = unlocked;
    for (const bool robust : {true, false}) {
        lockdep::Lock& lock = fresh_lock();
        describe(lock, mutex, lockdep::LockType::mutex);
        lock.traits.robust = robust;
        lock.traits.shared = !robust;
        watch_stack_lock(stub_thread(), lock);
        EXPECT_EQ(std::memcmp(&mutex, &unlocked, sizeof mutex), 0);
    }
    std::memset(&mutex, 0x77, sizeof mutex);
    const pthread_mutex_t written = mutex;
    lockdep::Lock& lock = fresh_lock();
    describe(lock, mutex, lockdep::LockType::mutex);
    watch_stack_lock(stub_thread(), lock);
    EXPECT_EQ(std::memcmp(&mutex, &written, sizeof mutex), 0);
}

TEST_F(StackLocks, ElsewhereAreNotWatched) {
    lockdep::Lock& lock = fresh_lock();
    const auto object = std::make_unique<char[]>(40);
    lock.address = object.get();
    watch_stack_lock(stub_thread(), lock);
    EXPECT_TRUE(is_same(lock));
    EXPECT_EQ(stub_thread().lowest_stack_lock, UINTPTR_MAX);
}

TEST_F(StackLocks, AreForgottenWhenTheirFrameIsLeft) {
    lockdep::Lock& lock = fresh_lock();
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
    lockdep::Lock& lock = fresh_lock();
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

/// Another thread, whose stack is elsewhere.
class Borrower {
  public:
    Borrower() {
        state_.stack_low = reinterpret_cast<uintptr_t>(stack_.data());
        state_.stack_high = state_.stack_low + stack_.size();
        state_.event_frame = state_.stack_low + 100;
        know_stack(stub_thread());
    }
    ~Borrower() { forget_stack(stub_thread()); }
    Borrower(const Borrower&) = delete;
    Borrower& operator=(const Borrower&) = delete;

    ThreadState& state() { return state_; }

  private:
    std::vector<char> stack_ = std::vector<char>(4096);
    ThreadState state_;
};

/// A frame whose local lock a borrower sees first, or may look at again; then the owner has an
/// event. Returns whether the lock is still the same.
template <int Which>
__attribute__((noinline)) bool lend_in(lockdep::Lock& lock, Borrower& borrower, bool first) {
    volatile char local[64] = {};
    if (first) {
        lock.address = const_cast<char*>(&local[0]);
        watch_stack_lock(borrower.state(), lock);
    }
    EXPECT_EQ(lock.address.load(), const_cast<char*>(&local[0])) << "or this shows nothing";
    stub_watch(nullptr, nullptr);
    look_at_frames(stub_thread(), reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - 200);
    asm volatile("" ::"r"(&local[0]), "r"(Which) : "memory");
    return stub_gone_count() == 0;
}

using LendFunction = bool (*)(lockdep::Lock&, Borrower&, bool);

__attribute__((noinline)) bool call(LendFunction function, lockdep::Lock& lock, Borrower& borrower,
                                    bool first) {
    asm volatile("" : "+r"(function));
    const bool same = function(lock, borrower, first);
    asm volatile("");
    return same;
}

__attribute__((noinline)) bool call_elsewhere(LendFunction function, lockdep::Lock& lock,
                                              Borrower& borrower) {
    asm volatile("" : "+r"(function));
    const bool same = function(lock, borrower, false);
    asm volatile("nop");
    return same;
}

TEST_F(StackLocks, ThatAnotherSawFirstAreFoundByTheirThread) {
    Borrower borrower;
    lockdep::Lock& lock = fresh_lock();
    volatile char local[64] = {};
    lock.address = const_cast<char*>(&local[0]);
    watch_stack_lock(borrower.state(), lock);
    ThreadState& owner = stub_thread();
    EXPECT_EQ(owner.lowest_stack_lock, 0u) << "its next event is to look";
    EXPECT_EQ(owner.lends, 2u);
    stub_watch(nullptr, nullptr);
    forget_left_frames(owner, reinterpret_cast<uintptr_t>(&local[0]) - 300);
    EXPECT_EQ(owner.lends, 1u);
    EXPECT_EQ(stub_gone_count(), 0u);
    EXPECT_TRUE(stack_lock_is_same(borrower.state(), lock, some_site));
}

TEST_F(StackLocks, ThatAreLentAreTheSameWhileTheirFrameIs) {
#if defined(__x86_64__)
    Borrower borrower;
    const LendFunction one = lend_in<1>;
    const LendFunction two = lend_in<2>;
    lockdep::Lock& lock = fresh_lock();
    for (const bool first : {true, false, false}) EXPECT_TRUE(call(one, lock, borrower, first));
    const uint32_t left_before = stub_thread().lent_left;
    EXPECT_FALSE(call(two, lock, borrower, false)) << "another function at the same place";
    EXPECT_EQ(stub_thread().lent_left, left_before + 1);
    EXPECT_TRUE(call(one, lock, borrower, true));
    EXPECT_FALSE(call_elsewhere(one, lock, borrower)) << "the same function from elsewhere";
#else
    GTEST_SKIP() << "frames are known on x86_64 only";
#endif
}

TEST_F(StackLocks, ThatAreLentAreOthersWhereTheSignsOfTheirFrameChanged) {
    Borrower borrower;
    // In place of a stack of the owner's: the lock, a local variable, and a return address.
    const auto code = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    volatile uintptr_t words[12] = {};
    words[6] = code;
    words[8] = code;
    lockdep::Lock& lock = fresh_lock();
    lock.address = const_cast<uintptr_t*>(&words[0]);
    watch_stack_lock(borrower.state(), lock);
    const auto is_same_to_borrower = [&] {
        return stack_lock_is_same(borrower.state(), lock, some_site) ||
               stack_lock_stays(borrower.state(), lock, some_site);
    };
    EXPECT_TRUE(is_same_to_borrower());
    words[6] = 5;
    EXPECT_FALSE(stack_lock_is_same(borrower.state(), lock, some_site));
    EXPECT_TRUE(is_same_to_borrower()) << "it was only a variable";
    words[6] = code;
    EXPECT_TRUE(stack_lock_is_same(borrower.state(), lock, some_site))
        << "and is looked at no more";
    words[8] = reinterpret_cast<uintptr_t>(&stub_thread) + 8;
    EXPECT_FALSE(is_same_to_borrower());
}

TEST_F(StackLocks, AreForgottenQuietlyWhereTheFramesDoNotLeadToTheThreadsFirst) {
    lockdep::Lock& lock = fresh_lock();
    in_a_frame(lock, true);
    ThreadState& self = stub_thread();
    const auto* const place = static_cast<const char*>(lock.address.load());
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    for (const bool reached : {true, false}) {
        stub_watch(place, place + 40);
        self.lowest_stack_lock = reinterpret_cast<uintptr_t>(place);
        self.first_frame = reached ? here : self.stack_high - 1;
        forget_left_frames(self, here);
        ASSERT_EQ(stub_gone_count(), 1u);
        EXPECT_EQ(stub_gone(0).quiet, !reached);
    }
    self.first_frame = 0;
}

TEST_F(StackLocks, OfAFormerThreadOnTheStackAreForgotten) {
    ThreadState& self = stub_thread();
    const auto* const place = reinterpret_cast<const char*>(self.stack_low + 1000);
    stub_watch(place, place + 40);
    forget_former_stack(self);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(place));
    EXPECT_TRUE(stub_gone(0).quiet);
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
