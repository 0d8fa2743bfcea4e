// SPDX-License-Identifier: Apache-2.0
// sync::RwSemaphore as it ships, under every interleaving.
#include <gtest/gtest.h>

#include <initializer_list>

#include "braidway/sync/rw_semaphore.h"
#include "explore/told.h"

namespace braidway::explore {
namespace {

using Semaphore = sync::BasicRwSemaphore<Policy>;
using Count = Policy::Atomic<uint32_t>;

/// What threads share in all of these.
struct Shared {
    Semaphore& semaphore;
    Guarded& data;
    Count& given_up;  ///< Writes that did not happen.
};

Shared make(World& world) {
    return {world.share<Semaphore>("semaphore"), world.share<Guarded>("data"),
            world.share<Count>("given up", 0U)};
}

void reads(const Shared& shared) {
    shared.semaphore.lock_shared();
    shared.data.read();
    shared.semaphore.unlock_shared();
}
void writes(const Shared& shared) {
    shared.semaphore.lock();
    shared.data.write();
    shared.semaphore.unlock();
}
void reads_until(const Shared& shared) {
    if (!shared.semaphore.try_lock_shared_until(some_time())) return;
    shared.data.read();
    shared.semaphore.unlock_shared();
}
void writes_until(const Shared& shared) {
    if (!shared.semaphore.try_lock_until(some_time())) {
        shared.given_up.fetch_add(1);
        return;
    }
    shared.data.write();
    shared.semaphore.unlock();
}
void upgrades(const Shared& shared) {
    shared.semaphore.lock_upgrade();
    const uint32_t before = shared.data.read();
    shared.semaphore.unlock_upgrade_and_lock();
    check(shared.data.value.load() == before, "no writer comes between reading and upgrading");
    shared.data.write();
    shared.semaphore.unlock();
}
void upgrades_until(const Shared& shared) {
    shared.semaphore.lock_upgrade();
    const uint32_t before = shared.data.read();
    if (shared.semaphore.try_unlock_upgrade_and_lock_until(some_time())) {
        check(shared.data.value.load() == before, "no writer comes between reading and upgrading");
        shared.data.write();
        shared.semaphore.unlock();
        return;
    }
    check(shared.data.read() == before, "who could not upgrade reads on");
    shared.given_up.fetch_add(1);
    shared.semaphore.unlock_upgrade();
}
void writes_and_reads_on(const Shared& shared) {
    shared.semaphore.lock();
    shared.data.write();
    const uint32_t own = shared.data.value.load();
    shared.semaphore.downgrade();
    check(shared.data.read() == own, "no writer comes between writing and reading on");
    shared.semaphore.unlock_shared();
}
void tries(const Shared& shared) {
    if (shared.semaphore.try_lock()) {
        shared.data.write();
        shared.semaphore.unlock();
    } else {
        shared.given_up.fetch_add(1);
    }
    if (shared.semaphore.try_lock_shared()) {
        shared.data.read();
        shared.semaphore.unlock_shared();
    }
}

using Body = void (*)(const Shared&);

/// One thread for each body; as many writes as bodies write, less those that were given up.
std::function<void(World&)> threads(std::initializer_list<Body> bodies) {
    static constexpr const char* names[] = {"one", "two", "three", "four", "five"};
    const std::vector<Body> list(bodies);
    return [list](World& world) {
        const Shared shared = make(world);
        uint32_t writers = 0;
        for (size_t thread = 0; thread < list.size(); ++thread) {
            const Body body = list[thread];
            if (body != reads && body != reads_until) ++writers;
            world.thread(names[thread], [shared, body] { body(shared); });
        }
        world.finally([shared, writers] {
            shared.data.expect_writes(writers - shared.given_up.load());
            check(shared.semaphore.try_lock(), "a semaphore that nobody holds can be taken");
        });
    };
}

void expect_clean(const char* what, const Options& options,
                  const std::function<void(World&)>& setup) {
    const Verdict verdict = told(what, options, setup);
    EXPECT_TRUE(verdict.clean()) << verdict.summary() << ": " << verdict.message;
    EXPECT_EQ(verdict.coverage, options.method == Method::every     ? Coverage::exhaustive
                                : options.method == Method::bounded ? Coverage::bounded
                                                                    : Coverage::sampled);
}

/// Every interleaving with at most so many preemptions; all of them when long tests are asked for.
Options preemptions(unsigned most) {
    if (long_explorations()) return {.executions_max = 1'000'000'000};
    return {.method = Method::bounded, .preemptions_max = most};
}

TEST(RwSemaphoreExplored, KeepsAReaderAndAWriterApart) {
    expect_clean("R W", {}, threads({reads, writes}));
    expect_clean("W W", {}, threads({writes, writes}));
}

TEST(RwSemaphoreExplored, KeepsTwoReadersAndAWriterApart) {
    expect_clean("R R W", preemptions(3), threads({reads, reads, writes}));
}

TEST(RwSemaphoreExplored, KeepsTwoWritersAndAReaderApart) {
    expect_clean("R W W", preemptions(3), threads({reads, writes, writes}));
}

TEST(RwSemaphoreExplored, UpgradesBesideAReaderAndAWriter) {
    expect_clean("U R", {}, threads({upgrades, reads}));
    expect_clean("U W", {}, threads({upgrades, writes}));
    expect_clean("U R W", preemptions(2), threads({upgrades, reads, writes}));
    expect_clean("U U R", preemptions(2), threads({upgrades, upgrades, reads}));
    expect_clean("U R Wt", preemptions(3), threads({upgrades, reads, writes_until}));
    expect_clean("U U W", preemptions(2), threads({upgrades, upgrades, writes}));
    expect_clean("Ut R W", preemptions(3), threads({upgrades_until, reads, writes}));
}

TEST(RwSemaphoreExplored, LosesNobodyWhenTheHeadOfTheQueueGivesUp) {
    expect_clean("R Wt", {}, threads({reads, writes_until}));
    expect_clean("W Rt", {}, threads({writes, reads_until}));
    expect_clean("W Wt", {}, threads({writes, writes_until}));
    expect_clean("R Wt R", preemptions(3), threads({reads, writes_until, reads}));
}

TEST(RwSemaphoreExplored, LosesNobodyWhenTheMiddleOfTheQueueGivesUp) {
    expect_clean("W Wt R", preemptions(3), threads({writes, writes_until, reads}));
    expect_clean("R W R Rt", preemptions(2), threads({reads, writes, reads, reads_until}));
    expect_clean("W Rt W", preemptions(3), threads({writes, reads_until, writes}));
    expect_clean("W Wt Rt", preemptions(3), threads({writes, writes_until, reads_until}));
    expect_clean("W W Wt R", preemptions(1), threads({writes, writes, writes_until, reads}));
}

TEST(RwSemaphoreExplored, DowngradesWithoutLettingAWriterIn) {
    expect_clean("D W", {}, threads({writes_and_reads_on, writes}));
    expect_clean("D R", {}, threads({writes_and_reads_on, reads}));
    expect_clean("D R W", preemptions(3), threads({writes_and_reads_on, reads, writes}));
}

TEST(RwSemaphoreExplored, TriesWithoutHarm) {
    expect_clean("T W", {}, threads({tries, writes}));
    expect_clean("T R W", preemptions(3), threads({tries, reads, writes}));
}

TEST(RwSemaphoreExplored, BearsASpuriousWake) {
    expect_clean("R W, one spurious wake", {.spurious_wakes_max = 1}, threads({reads, writes}));
    expect_clean("R R W, one spurious wake",
                 {.method = Method::bounded, .preemptions_max = 1, .spurious_wakes_max = 1},
                 threads({reads, reads, writes}));
}

TEST(RwSemaphoreExplored, SpinsWithoutHarm) {
    expect_clean("R W, two turns of spinning", {.spin_turns = 2}, threads({reads, writes}));
}

TEST(RwSemaphoreExplored, HoldsItsWordUnderStoreBuffers) {
    expect_clean("R W, store buffers", {.memory = Memory::tso}, threads({reads, writes}));
}

TEST(RwSemaphoreExplored, LetsNoReaderPassAWriterThatWaits) {
    expect_clean("a late reader", preemptions(3), [](World& world) {
        const Shared shared = make(world);
        world.thread("early reader", [shared] { reads(shared); });
        world.thread("writer", [shared] { writes(shared); });
        world.thread("late reader", [shared] {
            // The try fails when the writer waits or is inside: it comes before.
            if (shared.semaphore.try_lock_shared()) {
                shared.semaphore.unlock_shared();
                return;
            }
            if (!shared.semaphore.try_lock_shared()) shared.semaphore.lock_shared();
            check(shared.data.read() == 2, "a reader that came later does not pass the writer");
            shared.semaphore.unlock_shared();
        });
    });
}

TEST(RwSemaphoreExplored, KeepsThreeReadersAndTwoWritersApartInABound) {
    expect_clean("R R R W W",
                 {.method = Method::bounded, .preemptions_max = long_explorations() ? 3U : 1U},
                 threads({reads, reads, reads, writes, writes}));
}

TEST(RwSemaphoreExplored, KeepsFiveOfEachKindApartInSamples) {
    for (const Method method : {Method::pct, Method::random}) {
        const Options options{.method = method, .seed = 11, .executions_max = 3000};
        expect_clean("R W Wt Rt D", options,
                     threads({reads, writes, writes_until, reads_until, writes_and_reads_on}));
        expect_clean("U Ut R T W", options,
                     threads({upgrades, upgrades_until, reads, tries, writes}));
    }
}

}  // namespace
}  // namespace braidway::explore
