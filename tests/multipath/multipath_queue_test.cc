// SPDX-License-Identifier: Apache-2.0
// Suspension, fenced writes, and requests that are put off.
#include <gmock/gmock.h>

#include <cerrno>

#include "driver.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

struct QueueDriver : Driver {
    using Driver::Driver;

    void suspend(bool noflush) {
        handle({.kind = Event::Kind::suspend, .noflush = noflush, .reason = {}});
    }
    void no_traffic() { handle({.kind = Event::Kind::no_traffic, .reason = {}}); }
    void resume() { handle({.kind = Event::Kind::resume, .reason = {}}); }
    void fence_timer() { handle({.kind = Event::Kind::fence_timer, .reason = {}}); }
    Verdict lose(const Route& route) {
        return map->completed(route.ticket, IoStatus::timeout, now, true);
    }
};

MultipathSpec strict(QueueMode mode) {
    MultipathSpec spec = two_groups();
    spec.kernel_strict = true;
    spec.queue_mode = mode;
    spec.no_path.timeout.reset();
    return spec;
}

TEST(MultipathSuspend, TakesQueueIfNoPathAwayAndGivesItBack) {
    QueueDriver map(one_path());
    map.suspend(false);
    EXPECT_THAT(map.told(), ElementsAre("run held"));
    EXPECT_FALSE(map.map->table().no_path.queue);
    map.no_traffic();
    EXPECT_THAT(map.told(), ElementsAre("suspended"));
    map.resume();
    EXPECT_THAT(map.told(), ElementsAre("resumed"));
    EXPECT_TRUE(map.map->table().no_path.queue);
}

TEST(MultipathSuspend, WithoutFlushKeepsQueueingAndPutsHeldRequestsOff) {
    QueueDriver map(one_path());
    map.fail("a");
    map.told();
    map.suspend(true);
    EXPECT_THAT(map.told(), ElementsAre("defer held"));
    EXPECT_TRUE(map.map->table().no_path.queue);
}

TEST(MultipathSuspend, AFlushWithoutAPathFailsWhatIsHeld) {
    QueueDriver map(one_path());
    map.fail("a");
    EXPECT_EQ(map.io(), "hold");
    map.suspend(false);
    EXPECT_EQ(map.io(), "fail");
}

TEST(MultipathSuspend, WithoutQueueingNoflushPutsARequestOffThatFindsNoPath) {
    MultipathSpec spec = one_path();
    spec.no_path.queue = false;
    QueueDriver map(std::move(spec));
    const Route sent = map.route();
    map.suspend(true);
    EXPECT_EQ(map.complete(sent, IoStatus::transport), Verdict::defer);
    EXPECT_EQ(map.io(), "defer");
}

TEST(MultipathSuspend, RefusesMessagesAndASecondSuspension) {
    QueueDriver map(one_path());
    EXPECT_TRUE(map.map->check({.kind = Event::Kind::resume, .reason = {}}).has_value());
    map.suspend(false);
    const Event message{.message = Message::queue_if_no_path, .reason = {}};
    EXPECT_EQ(map.map->check(message).error().code, EBUSY);
    EXPECT_EQ(map.map->check({.kind = Event::Kind::suspend, .reason = {}}).error().code, EBUSY);
    EXPECT_EQ(map.map->check({.kind = Event::Kind::resume, .reason = {}}).error().code, EBUSY);
    map.no_traffic();
    EXPECT_EQ(map.map->check(message).error().code, EBUSY);
    map.resume();
    EXPECT_TRUE(map.map->check(message).has_value());
}

TEST(MultipathSuspend, AFailIfNoPathBeforeItStaysAfterIt) {
    QueueDriver map(one_path());
    map.message(Message::fail_if_no_path);
    map.suspend(false);
    map.no_traffic();
    map.resume();
    EXPECT_FALSE(map.map->table().no_path.queue);
}

TEST(MultipathSuspend, ATableThatComesMeanwhileBringsItsOwnPolicy) {
    for (const bool noflush : {false, true}) {
        for (const bool queue : {false, true}) {
            MultipathSpec before = one_path();
            before.no_path.queue = !queue;
            QueueDriver map(std::move(before));
            map.suspend(noflush);
            map.no_traffic();
            MultipathSpec spec = one_path();
            spec.no_path.queue = queue;
            ASSERT_TRUE(map.map->replace(std::move(spec), map.now).has_value());
            map.resume();
            EXPECT_EQ(map.map->table().no_path.queue, queue) << noflush;
        }
    }
}

TEST(MultipathSuspend, CheckersStillCountMeanwhile) {
    QueueDriver map(one_path());
    map.fail("a");
    map.suspend(true);
    map.no_traffic();
    map.check_says(Event::Kind::checker_up, "a");
    map.resume();
    EXPECT_EQ(map.io(), "a");
}

TEST(MultipathStrict, NoflushKeepsHeldIoInRequestModeOnly) {
    QueueDriver bio(strict(QueueMode::bio));
    bio.suspend(true);
    EXPECT_THAT(bio.told(), ElementsAre("run held"));
    QueueDriver request(strict(QueueMode::request));
    request.suspend(true);
    EXPECT_THAT(request.told(), ElementsAre("defer held"));
}

TEST(MultipathStrict, NoflushInBioModeTakesQueueIfNoPathAwayToo) {
    QueueDriver map(strict(QueueMode::bio));
    for (const char* path : {"a1", "a2", "b1", "b2"}) map.fail(path);
    map.suspend(true);
    EXPECT_EQ(map.io(), "defer");
}

TEST(MultipathStrict, AMalformedRequestFailsThePath) {
    QueueDriver map(strict(QueueMode::request));
    EXPECT_EQ(map.complete(map.route(), IoStatus::invalid), Verdict::retry);
    EXPECT_EQ(map.path_status("a1").state, PathState::down);
    QueueDriver native(two_groups());
    EXPECT_EQ(native.complete(native.route(), IoStatus::invalid), Verdict::done);
    EXPECT_EQ(native.path_status("a1").state, PathState::up);
}

TEST(MultipathStrict, BioModeAnswersEveryPathErrorWithIo) {
    QueueDriver bio(strict(QueueMode::bio));
    EXPECT_EQ(bio.map->answer_for(IoStatus::transport), IoStatus::io);
    EXPECT_EQ(bio.map->answer_for(IoStatus::medium), IoStatus::medium);
    QueueDriver request(strict(QueueMode::request));
    EXPECT_EQ(request.map->answer_for(IoStatus::transport), IoStatus::transport);
}

TEST(MultipathStrict, AWriteWhoseAnswerWasLostGoesOutAgainAtOnce) {
    QueueDriver map(strict(QueueMode::request));
    EXPECT_EQ(map.lose(map.route()), Verdict::retry);
}

TEST(MultipathStrict, ARequestIsTriedForEver) {
    MultipathSpec spec = strict(QueueMode::request);
    spec.attempts_max = 1;
    QueueDriver map(std::move(spec));
    const Route late = map.route(4096, 1000);
    EXPECT_EQ(map.complete(late, IoStatus::io), Verdict::retry);
}

TEST(MultipathStrict, APathListedTwiceHasTwoLivesAndOneEventAMessage) {
    MultipathSpec spec = make_spec({make_group({"a", "b"}), make_group({"a"})});
    spec.kernel_strict = true;
    QueueDriver map(std::move(spec));
    map.complete(map.route(), IoStatus::io);
    EXPECT_EQ(map.map->status().paths[0].state, PathState::down);
    EXPECT_EQ(map.map->status().paths[2].state, PathState::up) << "the other entry of a";
    EXPECT_EQ(map.map->events(), 1u);
    map.reinstate("a");
    map.fail("a");
    EXPECT_EQ(map.map->status().paths[0].fail_count, 2u);
    EXPECT_EQ(map.map->status().paths[2].fail_count, 1u);
    EXPECT_EQ(map.map->events(), 3u);
}

TEST(MultipathStrict, ANewTableStartsFromNothing) {
    QueueDriver map(strict(QueueMode::bio));
    map.io();
    map.fail("a1");
    ASSERT_TRUE(map.map->replace(strict(QueueMode::bio), map.now).has_value());
    EXPECT_EQ(map.path_status("a1").state, PathState::up);
    EXPECT_EQ(map.path_status("a1").fail_count, 0u);
    EXPECT_TRUE(map.map->dm_info().queue_io);
    EXPECT_EQ(map.group_letters(), "EE");
}

TEST(MultipathStrict, ARequestThatWasHeldAfterATryIsTakenOffThePathsCountTwice) {
    MultipathSpec spec = make_spec({make_group({"a"}, "queue-length")});
    spec.kernel_strict = true;
    spec.queue_mode = QueueMode::bio;
    QueueDriver map(std::move(spec));
    const Route sent = map.route();
    EXPECT_EQ(map.complete(sent, IoStatus::io), Verdict::hold);
    map.map->held_ended(sent.ticket, map.now);
    EXPECT_THAT(map.map->dm_info().groups[0].paths[0].words, ElementsAre("-1"));
}

TEST(MultipathFence, AWriteThatMayStillHappenWaitsForItsPath) {
    QueueDriver map(two_groups());
    const Route sent = map.route();
    EXPECT_EQ(map.lose(sent), Verdict::fence);
    EXPECT_THAT(map.told(), Contains("fence until 1060"));
    EXPECT_EQ(map.path_status("a1").fenced, 1u);
    map.reinstate("a1");
    EXPECT_THAT(map.told(), Not(Contains("resend fenced"))) << "that it answers again says nothing";
    map.handle({.kind = Event::Kind::path_quiesced, .path = map.path("a1"), .reason = {}});
    EXPECT_THAT(map.told(), ElementsAre("resend fenced"));
    EXPECT_EQ(map.path_status("a1").fenced, 0u);
}

TEST(MultipathFence, WithoutAWordAWriteIsAnsweredAndWithAQuiesceTimeItIsSentAgain) {
    for (const bool quiesce : {false, true}) {
        MultipathSpec spec = two_groups();
        if (quiesce) spec.fence.quiesce_time = 60s;
        QueueDriver map(std::move(spec));
        map.lose(map.route());
        map.now = map.now + 59s;
        map.told();
        map.fence_timer();
        EXPECT_THAT(map.told(), ElementsAre("fence until 1060"));
        map.now = map.now + 1s;
        map.fence_timer();
        EXPECT_THAT(map.told(), ElementsAre(quiesce ? "resend fenced" : "answer fenced"));
    }
}

TEST(MultipathFence, EndsByThePolicyUnderWhichItBegan) {
    QueueDriver map(two_groups());
    map.lose(map.route());
    MultipathSpec spec = two_groups();
    spec.fence.quiesce_time = 600s;
    ASSERT_TRUE(map.map->replace(std::move(spec), map.now).has_value());
    map.told();
    map.now = map.now + 60s;
    map.fence_timer();
    EXPECT_THAT(map.told(), ElementsAre("answer fenced"));
}

TEST(MultipathFence, OutlivesAChangeToStrictMode) {
    QueueDriver map(two_groups());
    map.lose(map.route());
    ASSERT_TRUE(map.map->replace(strict(QueueMode::bio), map.now).has_value());
    ASSERT_TRUE(map.map->replace(strict(QueueMode::bio), map.now).has_value());
    map.told();
    map.now = map.now + 60s;
    map.fence_timer();
    EXPECT_THAT(map.told(), Contains("answer fenced"));
}

TEST(MultipathSuspend, ANewTimeWithoutAPathCountsFromTheResume) {
    for (const bool noflush : {false, true}) {
        MultipathSpec spec = one_path();
        spec.no_path.timeout = 3s;
        QueueDriver map(std::move(spec));
        map.fail("a");
        map.suspend(noflush);
        map.no_traffic();
        spec = one_path();
        spec.no_path.timeout = std::nullopt;
        ASSERT_TRUE(map.map->replace(std::move(spec), map.now).has_value());
        map.now = map.now + 10s;
        map.timer();
        map.resume();
        map.told();
        EXPECT_EQ(map.io(), "hold") << "the new table queues for ever";
    }
}

TEST(MultipathStrict, ATableRunsWhatTheOneBeforeHeld) {
    QueueDriver map(strict(QueueMode::bio));
    for (const char* path : {"a1", "a2", "b1", "b2"}) map.fail(path);
    map.io();
    map.told();
    ASSERT_TRUE(map.map->replace(strict(QueueMode::bio), map.now).has_value());
    EXPECT_THAT(map.told(), Contains("run held"));
}

TEST(MultipathFence, OfARemovedPathEndsWithItsTime) {
    QueueDriver map(two_groups());
    const Route sent = map.route();
    ASSERT_TRUE(map.map->replace(one_path(), map.now).has_value());
    EXPECT_EQ(map.lose(sent), Verdict::fence);
    // The entry is not used again while a write is fenced there.
    ASSERT_TRUE(map.map->replace(two_groups(), map.now).has_value());
    map.told();
    map.now = map.now + 60s;
    map.fence_timer();
    EXPECT_THAT(map.told(), ElementsAre("answer fenced"));
}

TEST(MultipathFence, IsNotForAWriteWhoseTriesAreUsedUp) {
    QueueDriver map(two_groups());
    EXPECT_EQ(map.lose(map.route(4096, limits::attempts_max)), Verdict::done);
}

TEST(MultipathRequeue, ErrorsForWantOfResourcesAreTriedAgainLater) {
    QueueDriver map(two_groups());
    EXPECT_EQ(map.complete(map.route(), IoStatus::resource), Verdict::retry_later);
    EXPECT_EQ(map.complete(map.route(), IoStatus::device_resource), Verdict::retry_later);
    QueueDriver strict_bio(strict(QueueMode::bio));
    EXPECT_EQ(strict_bio.complete(strict_bio.route(), IoStatus::resource), Verdict::retry);
}

}  // namespace
}  // namespace braidway::multipath
