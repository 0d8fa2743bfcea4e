// SPDX-License-Identifier: Apache-2.0
// What the tests of other model checkers ask of a reader/writer lock, asked of RwSemaphore.
//
// Source: the intents of the tests of shuttle (shuttle/tests/basic/rwlock.rs) and of loom
//         (tests/rwlock.rs), and the table of what may be taken twice that the documentation of
//         parking_lot and lock_api gives. No code of them.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <utility>

#include "braidway/sync/rw_semaphore.h"
#include "explore/told.h"

namespace braidway::explore {
namespace {

using Semaphore = sync::BasicRwSemaphore<Policy>;

enum class Mode { read, upgradable, write };
constexpr std::array modes = {Mode::read, Mode::upgradable, Mode::write};

const char* name_of(Mode mode) {
    return mode == Mode::read ? "read" : mode == Mode::write ? "write" : "upgradable";
}

void take(Semaphore& semaphore, Mode mode) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
    if (mode == Mode::read) return semaphore.lock_shared();
    if (mode == Mode::upgradable) return semaphore.lock_upgrade();
    semaphore.lock();
}
bool try_take(Semaphore& semaphore, Mode mode) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
    if (mode == Mode::read) return semaphore.try_lock_shared();
    return mode == Mode::upgradable ? semaphore.try_lock_upgrade() : semaphore.try_lock();
}
void give_back(Semaphore& semaphore, Mode mode) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
    if (mode == Mode::read) return semaphore.unlock_shared();
    if (mode == Mode::upgradable) return semaphore.unlock_upgrade();
    semaphore.unlock();
}

// --- what a thread may take while it holds -------------------------------------------------------

/// What becomes of a thread that takes `second` while it holds `first`. Nothing is safe whoever
/// comes: there is no recursive reading, which would pass the writer that waits.
enum class Fate {
    potential,  ///< It gets on alone; a writer that comes between the two is a deadlock.
    deadlock,   ///< It waits for itself.
};

struct Recursion {
    Mode first;
    Mode second;
    Fate fate;
};

constexpr Recursion recursions[] = {
    {Mode::read, Mode::read, Fate::potential},
    {Mode::read, Mode::upgradable, Fate::potential},
    {Mode::read, Mode::write, Fate::deadlock},
    {Mode::upgradable, Mode::read, Fate::potential},
    {Mode::upgradable, Mode::upgradable, Fate::deadlock},
    {Mode::upgradable, Mode::write, Fate::deadlock},
    {Mode::write, Mode::read, Fate::deadlock},
    {Mode::write, Mode::upgradable, Fate::deadlock},
    {Mode::write, Mode::write, Fate::deadlock},
};

/// One thread takes it twice; beside it, or not, a thread that takes it once for each of `others`.
Verdict take_twice(const Recursion& row, std::initializer_list<Mode> others) {
    std::string what = std::string(name_of(row.first)) + " then " + name_of(row.second);
    for (const Mode other : others) what += std::string(", beside ") + name_of(other);
    return told(what.c_str(), {}, [&](World& world) {
        auto& semaphore = world.share<Semaphore>("semaphore");
        world.thread("twice", [&semaphore, row] {
            take(semaphore, row.first);
            take(semaphore, row.second);
            give_back(semaphore, row.second);
            give_back(semaphore, row.first);
        });
        for (const Mode other : others) {
            world.thread("other", [&semaphore, other] {
                take(semaphore, other);
                give_back(semaphore, other);
            });
        }
    });
}

TEST(Shuttle, TakingItTwiceMayBeOrIsADeadlock) {
    for (const Recursion& row : recursions) {
        SCOPED_TRACE(std::string(name_of(row.first)) + " then " + name_of(row.second));
        const Finding alone = take_twice(row, {}).finding;
        const Finding with_writer = take_twice(row, {Mode::write}).finding;
        EXPECT_EQ(alone == Finding::deadlock, row.fate == Fate::deadlock);
        EXPECT_EQ(with_writer, Finding::deadlock);
    }
}

TEST(Shuttle, OnlyAWriterMakesReadingTwiceADeadlock) {
    for (const Recursion& row : recursions) {
        if (row.fate != Fate::potential) continue;
        const Verdict verdict = take_twice(row, {Mode::read});
        EXPECT_TRUE(verdict.clean()) << verdict.message;
        EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    }
}

TEST(Shuttle, ATryOfWhatItHoldsNeverWaits) {
    for (const Mode first : modes) {
        for (const Mode second : modes) {
            const bool may_join = first != Mode::write && second != Mode::write &&
                                  (first == Mode::read || second == Mode::read);
            const Verdict verdict = explore({}, [=](World& world) {
                auto& semaphore = world.share<Semaphore>("semaphore");
                world.thread("twice", [&semaphore, first, second, may_join] {
                    take(semaphore, first);
                    const bool joined = try_take(semaphore, second);
                    // Who waits is not passed: a writer may keep a second reading out.
                    check(may_join || !joined, "a try takes nothing that excludes what is held");
                    if (joined) give_back(semaphore, second);
                    give_back(semaphore, first);
                });
                world.thread("writer", [&semaphore] {
                    semaphore.lock();
                    semaphore.unlock();
                });
            });
            EXPECT_TRUE(verdict.clean())
                << name_of(first) << ", tries " << name_of(second) << ": " << verdict.message;
        }
    }
}

// --- what shuttle and loom ask -------------------------------------------------------------------

TEST(Shuttle, TwoReadersMayBeInsideAtOnce) {
    std::set<std::pair<uint32_t, uint32_t>> seen;
    const Verdict verdict = told("two readers meet", {}, [&seen](World& world) {
        auto& semaphore = world.share<Semaphore>("semaphore");
        auto& inside = world.share<Atomic<uint32_t>>("inside", 0U);
        auto& most = world.share<std::array<uint32_t, 2>>("most");
        for (size_t reader = 0; reader < 2; ++reader) {
            world.thread("reader", [&, reader] {
                semaphore.lock_shared();
                inside.fetch_add(1);
                most[reader] = inside.load();
                inside.fetch_sub(1);
                semaphore.unlock_shared();
            });
        }
        world.finally([&] { seen.emplace(most[0], most[1]); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_TRUE(seen.contains({1, 1})) << "one after the other";
    EXPECT_TRUE(seen.contains({2, 2})) << "together";
}

TEST(Shuttle, AWriterIsSeenWholeOrNotAtAll) {
    std::set<uint32_t> seen;
    const Verdict verdict = told("read beside a writer", {}, [&seen](World& world) {
        auto& semaphore = world.share<Semaphore>("semaphore");
        auto& data = world.share<Guarded>("data");
        world.thread("writer", [&] {
            semaphore.lock();
            data.write();
            semaphore.unlock();
        });
        world.thread("reader", [&] {
            semaphore.lock_shared();
            seen.insert(data.read());
            semaphore.unlock_shared();
        });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(seen, (std::set<uint32_t>{0, 2}));
}

TEST(Shuttle, OfTwoWhoTryToWriteOneAtLeastDoes) {
    std::set<uint32_t> seen;
    const Verdict verdict = told("two tries", {}, [&seen](World& world) {
        auto& semaphore = world.share<Semaphore>("semaphore");
        auto& count = world.share<Atomic<uint32_t>>("count", 0U);
        for (const char* name : {"one", "two"}) {
            world.thread(name, [&] {
                if (!semaphore.try_lock()) return;
                count.store(count.load() + 1);
                semaphore.unlock();
            });
        }
        world.finally([&] { seen.insert(count.load()); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    EXPECT_EQ(seen, (std::set<uint32_t>{1, 2}));
}

TEST(Shuttle, AWriterTwoTriesAndAReadingTryEndInWhatTheirOrdersGive) {
    static constexpr uint32_t nothing_read = 9;
    std::set<std::pair<uint32_t, uint32_t>> seen;
    const Verdict verdict = told("W, two tries of W, a try of R", {}, [&seen](World& world) {
        auto& semaphore = world.share<Semaphore>("semaphore");
        auto& count = world.share<Atomic<uint32_t>>("count", 0U);
        auto& read = world.share<uint32_t>("read", nothing_read);
        world.thread("writes", [&] {
            semaphore.lock();
            count.store(count.load() + 1);
            semaphore.unlock();
        });
        world.thread("tries to write", [&] {
            for (const uint32_t more : {1U, 2U}) {
                if (!semaphore.try_lock()) continue;
                count.store(count.load() + more);
                semaphore.unlock();
            }
        });
        world.thread("tries to read", [&] {
            if (!semaphore.try_lock_shared()) return;
            read = count.load();
            semaphore.unlock_shared();
        });
        world.finally([&] { seen.emplace(count.load(), read); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    // Reading may fail, or fall between any two writes: 1, then perhaps 1, then perhaps 2.
    std::set<std::pair<uint32_t, uint32_t>> expected;
    for (uint32_t end = 1; end <= 4; ++end) {
        expected.emplace(end, nothing_read);
        for (uint32_t value = 0; value <= end; ++value) expected.emplace(end, value);
    }
    expected.erase({3, 2});  // Without the first try the count is never 2.
    EXPECT_EQ(seen, expected);
}

/// Two semaphores, taken by one thread in the one order and by the other in the other.
Finding two_in_turn(Mode first, Mode second) {
    return told("two semaphores crosswise", {},
                [=](World& world) {
                    auto& left = world.share<Semaphore>("left");
                    auto& right = world.share<Semaphore>("right");
                    const auto body = [first, second](Semaphore& one, Semaphore& other) {
                        take(one, first);
                        take(other, second);
                        give_back(other, second);
                        give_back(one, first);
                    };
                    world.thread("there", [&, body] { body(left, right); });
                    world.thread("back", [&, body] { body(right, left); });
                })
        .finding;
}

TEST(Shuttle, TwoTakenCrosswiseAreADeadlockUnlessBothAreRead) {
    EXPECT_EQ(two_in_turn(Mode::write, Mode::write), Finding::deadlock);
    EXPECT_EQ(two_in_turn(Mode::read, Mode::write), Finding::deadlock);
    EXPECT_EQ(two_in_turn(Mode::write, Mode::read), Finding::deadlock);
    EXPECT_EQ(two_in_turn(Mode::upgradable, Mode::upgradable), Finding::deadlock);
    EXPECT_EQ(two_in_turn(Mode::read, Mode::read), Finding::nothing);
}

}  // namespace
}  // namespace braidway::explore
