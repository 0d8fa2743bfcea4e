// SPDX-License-Identifier: Apache-2.0
// The rules by which locks are classed, each with objects of this program.
#include "apps/lockcheck/preload/making.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/lockcheck/preload/heap_map.h"
#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

using lockdep::Place;

/// The thread is watched, so that a block with locks in it is forgotten when it is given back.
class Making : public testing::Test {
  protected:
    Making() { stub_watch(nullptr, nullptr); }
    ~Making() override { stub_stop(); }
};

struct Account {
    long number = 77;
    std::mutex lock;
    std::string owner = "somebody with a long name";
    std::mutex log_lock;
};

lockdep::Making used(const void* lock, size_t bytes = sizeof(std::mutex)) {
    return making_of(stub_thread(), lock, bytes, false);
}

/// Stands for pthread_mutex_init(): what is made is made by the caller.
__attribute__((always_inline)) inline lockdep::Making initialised(const void* lock,
                                                                  size_t bytes = 40) {
    return making_of(stub_thread(), lock, bytes, true);
}

__attribute__((noinline)) std::unique_ptr<Account> make_account() {
    return std::make_unique<Account>();
}

__attribute__((noinline)) lockdep::Making initialise_lock_of(const void* lock) {
    lockdep::Making made = initialised(lock);
    asm volatile("" ::: "memory");
    return made;
}

__attribute__((noinline)) lockdep::Making program_wrapper(const void* lock) {
    lockdep::Making made = initialise_lock_of(lock);
    asm volatile("" ::: "memory");
    return made;
}

TEST_F(Making, MembersOfThingsMadeAtOnePlaceAreOfOneClass) {
    const auto a = make_account();
    const auto b = make_account();
    const lockdep::Making lock = used(&a->lock);
    EXPECT_EQ(lock.place, Place::heap);
    EXPECT_EQ(lock.block_bytes, sizeof(Account));
    EXPECT_EQ(lock.offset_bytes, offsetof(Account, lock));
    EXPECT_NE(lock.block_made_at, 0u);
    EXPECT_FALSE(lock.initialised);
    EXPECT_NE(lock.class_key, 0u);
    EXPECT_EQ(lock.class_key, used(&b->lock).class_key);
    EXPECT_NE(lock.class_key, used(&a->log_lock).class_key) << "another member";
    const std::unique_ptr<Account> elsewhere(new Account);
    EXPECT_NE(lock.class_key, used(&elsewhere->lock).class_key) << "made at another place";
}

TEST_F(Making, ALockOnTheHeapOnItsOwnIsItsOwnClass) {
    std::vector<std::unique_ptr<std::mutex>> locks;
    for (int i = 0; i < 3; ++i) {
        locks.push_back(std::make_unique<std::mutex>());
        const lockdep::Making making = used(locks.back().get());
        EXPECT_EQ(making.place, Place::heap);
        EXPECT_EQ(making.class_key, 0u);
    }
}

/// The size is what the caller says, also for a compiler that sees all callers.
__attribute__((noinline)) void* allocate(size_t bytes) {
    asm volatile("" : "+r"(bytes));
    void* const block = std::malloc(bytes);
    asm volatile("" ::: "memory");
    return block;
}

TEST_F(Making, WhatAGeneralAllocatorHandsOutIsItsOwnClass) {
    for (const size_t bytes : {96, 96, 160}) {
        void* const block = allocate(bytes);
        EXPECT_EQ(used(block).class_key, 0u);
        std::free(block);
    }
}

struct TwoLocks {
    pthread_mutex_t in;
    pthread_mutex_t out;
};

__attribute__((noinline)) TwoLocks* zeroed_locks() {
    void* const block = std::calloc(1, sizeof(TwoLocks));
    asm volatile("" ::: "memory");
    return static_cast<TwoLocks*>(block);
}

TEST_F(Making, AStructOfNothingButLocksHasMembersUnlessItsTypeMayBeKnown) {
    TwoLocks* const a = zeroed_locks();
    TwoLocks* const b = zeroed_locks();
    const auto in = used(&a->in);
    if (in.typed) {
        EXPECT_EQ(in.class_key, 0u) << "it may be an array: debug information says so at the end";
        EXPECT_EQ(used(&a->out).class_key, 0u);
    } else {
        EXPECT_NE(in.class_key, 0u);
        EXPECT_EQ(in.class_key, used(&b->in).class_key);
        EXPECT_NE(in.class_key, used(&a->out).class_key);
    }
    void* const counted = std::calloc(2, sizeof(pthread_mutex_t));
    asm volatile("" ::: "memory");
    EXPECT_EQ(used(counted).class_key, 0u) << "an array of two";
    for (void* const block : {static_cast<void*>(a), static_cast<void*>(b), counted})
        std::free(block);
}

TEST_F(Making, ElementsOfContainersOfLocksAreTheirOwnClasses) {
    std::vector<std::mutex> vector(7);
    std::deque<std::mutex> deque(20);
    vector[2].lock();
    for (std::mutex& lock : vector) EXPECT_EQ(used(&lock).class_key, 0u);
    vector[2].unlock();
    for (std::mutex& lock : deque) EXPECT_EQ(used(&lock).class_key, 0u);
    const auto shared = std::make_shared<std::mutex>();
    EXPECT_EQ(used(shared.get()).class_key, 0u);
}

TEST_F(Making, AStructThatIsAsLargeAsFourLocksIsNoArrayOfThem) {
    struct AsLargeAsFour {
        std::mutex lock;
        std::string names[3] = {"somebody", "else", "here"};
        long numbers[3] = {};
    };
    static_assert(sizeof(AsLargeAsFour) == 4 * sizeof(std::mutex));
    const auto thing = std::make_unique<AsLargeAsFour>();
    EXPECT_NE(used(&thing->lock).class_key, 0u);
}

TEST_F(Making, AMemberInALargeBlockIsItsOwnClassWithoutAnInitCall) {
    const auto many = std::make_unique<Account[]>(100);
    EXPECT_EQ(used(&many[3].lock).place, Place::heap);
    EXPECT_EQ(used(&many[3].lock).class_key, 0u);
}

TEST_F(Making, MembersInitialisedAtOnePlaceAreOfOneClassWhereverTheyWereMade) {
    const auto a = make_account();
    const std::unique_ptr<Account> b(std::make_unique<Account>());
    const lockdep::Making first = initialise_lock_of(&a->lock);
    const lockdep::Making second = initialise_lock_of(&b->lock);
    EXPECT_TRUE(first.initialised);
    EXPECT_NE(first.class_key, 0u);
    EXPECT_EQ(first.class_key, second.class_key);
    EXPECT_NE(first.class_key, initialise_lock_of(&a->log_lock).class_key)
        << "a wrapper of the program's that initialises two members";
}

TEST_F(Making, ElementsOfAnArrayInitialisedInALoopAreOfOneClass) {
    const auto accounts = std::make_unique<Account[]>(3);
    std::vector<uint64_t> keys;
    for (int i = 0; i < 3; ++i) keys.push_back(initialise_lock_of(&accounts[i].lock).class_key);
    EXPECT_NE(keys[0], 0u);
    EXPECT_EQ(keys[0], keys[1]);
    EXPECT_EQ(keys[0], keys[2]);
}

TEST_F(Making, LocksOnTheirOwnAreClassedByWhoCallsTheWrapper) {
    const auto a = std::make_unique<std::mutex>();
    const auto b = std::make_unique<std::mutex>();
    std::vector<uint64_t> in_loop;
    for (std::mutex* const lock : {a.get(), b.get()})
        in_loop.push_back(program_wrapper(lock).class_key);
    EXPECT_NE(in_loop[0], 0u);
    EXPECT_EQ(in_loop[0], in_loop[1]);
    EXPECT_NE(in_loop[0], program_wrapper(a.get()).class_key) << "another user of the wrapper";
}

TEST_F(Making, MembersInLargeBlocksAreClassedByTheInitCallAlone) {
    const auto many = std::make_unique<Account[]>(100);
    const lockdep::Making first = initialise_lock_of(&many[3].lock);
    const lockdep::Making second = initialise_lock_of(&many[50].log_lock);
    EXPECT_NE(first.class_key, 0u);
    EXPECT_EQ(first.class_key, second.class_key);
}

std::mutex static_lock;
struct {
    long number = 0;
    std::mutex lock;
} static_struct;
std::mutex static_locks[4];

TEST_F(Making, StaticObjectsAreTheirOwnClassUnlessACallInitialisesThem) {
    for (const void* const lock : {&static_lock, &static_struct.lock, &static_locks[2]}) {
        EXPECT_EQ(used(lock).place, Place::static_storage);
        EXPECT_EQ(used(lock).class_key, 0u);
        EXPECT_NE(initialised(lock).class_key, 0u);
    }
    const lockdep::Making member = used(&static_struct.lock);
    EXPECT_NE(std::string(member.name).find("static_struct"), std::string::npos);
    EXPECT_EQ(member.offset_bytes, 8u);
    EXPECT_EQ(member.block_bytes, sizeof static_struct);
    std::vector<uint64_t> keys;
    for (std::mutex& lock : static_locks) keys.push_back(initialise_lock_of(&lock).class_key);
    EXPECT_EQ(keys[0], keys[3]) << "a loop over an array";
}

TEST_F(Making, LocksOnTheStackAreClassedByTheirInitCall) {
    std::mutex a;
    std::mutex b;
    EXPECT_EQ(used(&a).place, Place::stack);
    EXPECT_EQ(used(&a).class_key, 0u);
    const uint64_t key = initialise_lock_of(&a).class_key;
    EXPECT_NE(key, 0u);
    EXPECT_EQ(key, initialise_lock_of(&b).class_key);
}

TEST_F(Making, InMappedMemoryOnlyTheInitCallTells) {
    void* const pages =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(used(pages).place, Place::mapped);
    EXPECT_EQ(used(pages).class_key, 0u);
    EXPECT_NE(initialised(pages).class_key, 0u);
    munmap(pages, 4096);
}

TEST_F(Making, MarksTheBlockForItsEnd) {
    const auto account = make_account();
    EXPECT_FALSE(heap_map.is_marked(account.get()));
    used(&account->log_lock);
    EXPECT_TRUE(heap_map.is_marked(account.get()));
}

}  // namespace
}  // namespace braidway::lockcheck
