// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;

Duration noon() {
    return 12h;
}

EventRecord named(const std::string& kind) {
    EventRecord event;
    event.kind = kind;
    return event;
}

TEST(EventRing, NumbersEventsFromOneAndTellsTheTime) {
    EventRing ring(noon);
    ring.event(named("a"));
    EventRecord timed = named("b");
    timed.wall_clock = 1s;
    ring.event(timed);
    const EventRing::Batch batch = ring.read(0);
    ASSERT_EQ(batch.records.size(), 2u);
    EXPECT_EQ(batch.records[0].sequence, 1u);
    EXPECT_EQ(batch.records[0].wall_clock, 12h);
    EXPECT_EQ(batch.records[1].sequence, 2u);
    EXPECT_EQ(batch.records[1].wall_clock, 1s);
    EXPECT_EQ(batch.next, 3u);
    EXPECT_EQ(batch.lost, 0u);
}

TEST(EventRing, AReaderGoesOnWhereItStopped) {
    EventRing ring(noon);
    for (int at = 0; at < 100; ++at) ring.event(named("x"));
    const EventRing::Batch first = ring.read(1);
    EXPECT_EQ(first.records.size(), EventRing::batch_max);
    const EventRing::Batch second = ring.read(first.next);
    EXPECT_EQ(second.records.size(), 100 - EventRing::batch_max);
    EXPECT_EQ(second.records.front().sequence, EventRing::batch_max + 1);
    EXPECT_TRUE(ring.read(second.next).records.empty());
}

TEST(EventRing, ASlowReaderLearnsHowManyItMissed) {
    EventRing ring(noon, 3);
    for (int at = 0; at < 10; ++at) ring.event(named("x"));
    const EventRing::Batch batch = ring.read(2);
    EXPECT_EQ(batch.lost, 6u) << "2 to 7 are gone, 8 to 10 are kept";
    ASSERT_EQ(batch.records.size(), 3u);
    EXPECT_EQ(batch.records.front().sequence, 8u);
    EXPECT_EQ(ring.read(8).lost, 0u);
}

TEST(EventRing, AReaderAheadOfTheRingWaitsForItsNumber) {
    EventRing ring(noon);
    ring.event(named("x"));
    const EventRing::Batch batch = ring.read(5);
    EXPECT_TRUE(batch.records.empty());
    EXPECT_EQ(batch.next, 5u);
    EXPECT_EQ(ring.next_sequence(), 2u);
}

TEST(EventRing, WaitReturnsWithTheEventThatComes) {
    EventRing ring(noon);
    std::thread pusher([&] { ring.event(named("late")); });
    const EventRing::Batch batch = ring.wait(1, Duration::max());
    pusher.join();
    ASSERT_EQ(batch.records.size(), 1u);
    EXPECT_EQ(batch.records[0].kind, "late");
}

TEST(EventRing, WaitGivesUpAfterItsTimeout) {
    EventRing ring(noon);
    const EventRing::Batch batch = ring.wait(1, 1ms);
    EXPECT_TRUE(batch.records.empty());
    EXPECT_FALSE(batch.closed);
}

TEST(EventRing, WakeLetsWaitersReturnWithoutAnEvent) {
    EventRing ring(noon);
    std::atomic<bool> returned = false;
    std::thread waiter([&] {
        EXPECT_TRUE(ring.wait(1, Duration::max()).records.empty());
        returned = true;
    });
    while (!returned) ring.wake();
    waiter.join();
}

TEST(EventRing, CloseWakesWaitersAndStillGivesWhatIsLeft) {
    EventRing ring(noon);
    std::thread waiter([&] { EXPECT_TRUE(ring.wait(1, Duration::max()).closed); });
    ring.close();
    waiter.join();
    ring.event(named("last"));
    const EventRing::Batch batch = ring.wait(1, Duration::max());
    EXPECT_TRUE(batch.closed);
    EXPECT_EQ(batch.records.size(), 1u);
}

TEST(EventRing, NoReaderMissesANumberWithoutBeingTold) {
    constexpr int pushers = 3;
    constexpr uint64_t events_each = 2000;
    EventRing ring(noon, 50);
    std::vector<std::thread> threads;
    for (int at = 0; at < pushers; ++at)
        threads.emplace_back([&] {
            for (uint64_t count = 0; count < events_each; ++count) ring.event(named("x"));
        });
    for (int at = 0; at < 2; ++at)
        threads.emplace_back([&] {
            uint64_t expected = 1;
            uint64_t seen = 0;
            while (seen < pushers * events_each) {
                const EventRing::Batch batch = ring.wait(expected, Duration::max());
                expected += batch.lost;
                seen += batch.lost + batch.records.size();
                for (const EventRecord& event : batch.records)
                    ASSERT_EQ(event.sequence, expected++);
            }
            EXPECT_EQ(seen, pushers * events_each);
        });
    for (std::thread& each : threads) each.join();
}

}  // namespace
}  // namespace braidway::daemon
