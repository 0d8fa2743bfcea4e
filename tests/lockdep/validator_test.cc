// SPDX-License-Identifier: Apache-2.0
#include "lockdep/validator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

constexpr uint32_t locks_of_a_storm = 24;

/// What one thread does in a storm: takes and gives locks of its objects and of all, makes and
/// destroys, joins, waits, blocks and looks for hangs.
void storm_thread(Scripted& s, unsigned seed, std::vector<char>& shared) {
    Random random(seed);
    std::vector<char> own(64);
    Thread* thread = s.validator.thread_started(1);
    for (int turn = 0; turn < 3000 && thread != nullptr; ++turn) {
        const auto choice = random.next() % 16;
        char* const object = choice < 12 ? &shared[random.next() % locks_of_a_storm]
                                         : &own[random.next() % own.size()];
        Lock* lock = s.validator.find(object);
        if (lock == nullptr)
            lock = s.validator.enlist(*thread, object, 1,
                                      (object - &shared[0]) % 3 == 0 ? a_fair_rwlock : a_mutex,
                                      {.class_key = random.next() % 4});
        if (lock == nullptr) continue;
        const Access access = {random.next() % 2 == 0 ? Hold::shared : Hold::exclusive,
                               random.next() % 4 == 0 ? Patience::bounded : Patience::endless};
        Pending pending;
        if (!thread->wants_known(object, access, turn % 7, pending))
            s.validator.wants(*thread, *lock, access, turn % 7, pending);
        if (choice == 0) {
            s.validator.blocks(*thread, *lock, access);
            s.validator.hung(*thread);
            s.validator.unblocked(*thread);
        }
        thread->acquired(pending);
        if (choice == 1)
            s.validator.joins(*thread, static_cast<ThreadNumber>(1 + random.next() % 8), 1);
        if (choice == 2) s.validator.notifies(*thread, *lock);
        while (thread->held_count() > random.next() % 4) {
            const auto at = static_cast<uint32_t>(random.next() % thread->held_count());
            const void* const held = thread->held(at).lock.load()->address.load();
            if (!thread->release_last(held)) s.validator.released(*thread, held, 1);
        }
        if (choice == 15) {
            s.validator.memory_gone(*thread, &own[0], &own[0] + own.size(), choice % 2 == 0);
            s.validator.thread_ended(*thread, false);
            thread = s.validator.thread_started(1);
        }
    }
    if (thread == nullptr) return;
    s.validator.memory_gone(*thread, &own[0], &own[0] + own.size(), true);
    s.validator.thread_ended(*thread, true);
}

TEST(Validator, StandsAStormOfThreads) {
    Scripted s;
    std::vector<char> shared(locks_of_a_storm);
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 6; ++seed)
        threads.emplace_back([&, seed] { storm_thread(s, seed, shared); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_NE(s.kinds().find("order"), std::string::npos);
}

TEST(Validator, GoesOnWithWhatItHasWhenMemoryEndsAnywhere) {
    for (size_t bytes = 0; bytes < (size_t{5} << 20); bytes += size_t{64} << 10) {
        TestSurroundings world;
        world.bytes_max = bytes;
        Validator validator(world);
        Thread* const thread = validator.thread_started(0);
        if (thread == nullptr) {
            EXPECT_TRUE(validator.full());
            EXPECT_EQ(validator.find(&world), nullptr);
            EXPECT_FALSE(validator.may_have_locks(&world, &world + 1));
            continue;
        }
        std::vector<char> objects(400);
        std::vector<char*> taken;
        for (char& object : objects) {
            Lock* const lock = validator.enlist(*thread, &object, 1, a_fair_rwlock, {});
            if (lock == nullptr) continue;
            Pending pending;
            validator.wants(*thread, *lock, to_write, 1, pending);
            thread->acquired(pending);
            taken.push_back(&object);
        }
        for (char* object : taken)
            if (!thread->release_last(object)) validator.released(*thread, object, 1);
        EXPECT_EQ(thread->held_count(), 0u);
        EXPECT_TRUE(world.findings.empty());
        validator.thread_ended(*thread, false);
    }
}

TEST(Validator, TakesTenThousandLocksOfOneClassInTurn) {
    Scripted s;
    Lock& outer = s.lock(&s.memory[0]);
    std::vector<char> objects(10'000);
    for (int round = 0; round < 2; ++round)
        for (char& object : objects) s.take_all(*s.main, {&outer, &s.lock(&object, a_mutex, 7)});
    EXPECT_EQ(s.kinds(), "");
    EXPECT_FALSE(s.validator.full());
}

TEST(Validator, ItsStacksAreThoseThatWereCaptured) {
    Scripted s;
    s.world.stack = {1, 2, 3};
    s.take_all(*s.main, {&s.lock(&s.memory[0]), &s.lock(&s.memory[8])});
    s.world.stack = {4, 2, 3};
    s.take(*s.main, s.lock(&s.memory[8]));
    s.want(*s.main, s.lock(&s.memory[0]), to_write, 99);
    ASSERT_EQ(s.kinds(), "order");
    std::array<uintptr_t, 8> room;
    const auto stack = s.validator.stack(s.world.findings[0].chains[0].wants_stack, room);
    EXPECT_EQ(std::vector<uintptr_t>(stack.begin(), stack.end()), s.world.stack);
}

}  // namespace
}  // namespace braidway::lockdep
