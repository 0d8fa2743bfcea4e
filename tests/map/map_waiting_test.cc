// SPDX-License-Identifier: Apache-2.0
// Requests of a map that are on no path: fenced, put off, deferred by a suspension, or waiting for
// the hardware handler.
#include <gmock/gmock.h>

#include <cerrno>

#include "fixture.h"

namespace braidway::map {
namespace {

using multipath::Action;
using multipath::HandlerResult;
using multipath::make_group;
using multipath::make_spec;

class MapFenceTest : public MapTest {
  protected:
    /// A map on a and b, and a write whose answer path a or b has lost.
    Client& lose_a_write(multipath::FencePolicy fence) {
        MapConfig config = config_for(make_spec({make_group({"a", "b"})}));
        config.table.fence = fence;
        make(std::move(config));
        Client& write = submit(IoOp::write);
        lost_ = device("a").waiting.empty() ? "b" : "a";
        other_ = lost_ == "a" ? "b" : "a";
        device(lost_).waiting[0]->outcome_unknown = true;
        device(lost_).answer_all(IoStatus::timeout);
        return write;
    }

    std::string lost_;
    std::string other_;
};

TEST_F(MapFenceTest, AWriteThatMayStillHappenIsNotSentOnAnotherPath) {
    Client& write = lose_a_write({});
    EXPECT_EQ(write.ended, 0);
    EXPECT_EQ(map_->counters().fenced, 1u);
    EXPECT_EQ(map_->status().valid_paths, 1u) << "the path has failed all the same";
    EXPECT_TRUE(device(other_).waiting.empty());
    reinstate(lost_);
    EXPECT_TRUE(device(lost_).waiting.empty()) << "nor again on its own";
    map_->shut_down();
    settle();
    EXPECT_EQ(write.status, IoStatus::shutdown);
}

TEST_F(MapFenceTest, AWriteGoesElsewhereOnceItsPathSaysThatItCannotHappenAnyMore) {
    Client& write = lose_a_write({});
    ASSERT_TRUE(
        map_->handle({.kind = Event::Kind::path_quiesced, .path = index(lost_), .reason = {}})
            .has_value());
    ASSERT_EQ(device(other_).waiting.size(), 1u);
    device(other_).answer_all(IoStatus::ok);
    EXPECT_EQ(write.status, IoStatus::ok);
    EXPECT_FALSE(write.request.outcome_unknown);
    EXPECT_EQ(map_->counters().fenced, 0u);
}

TEST_F(MapFenceTest, AWriteGoesElsewhereAfterTheQuiesceTime) {
    Client& write = lose_a_write({.quiesce_time = 1ms});
    turn_until([&] { return !device(other_).waiting.empty(); });
    device(other_).answer_all(IoStatus::ok);
    EXPECT_EQ(write.status, IoStatus::ok);
}

TEST_F(MapFenceTest, AWriteIsAnsweredWithItsErrorWhenItsPathSaysNothing) {
    Client& write = lose_a_write({.patience = 1ms});
    turn_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::timeout);
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_TRUE(device(other_).waiting.empty());
}

TEST_F(MapFenceTest, AReadIsNeverFenced) {
    make_pair();
    Client& read = submit(IoOp::read);
    const std::string used = device("a").waiting.empty() ? "b" : "a";
    device(used).waiting[0]->outcome_unknown = true;  // Its memory is not its own any more.
    device(used).answer_all(IoStatus::timeout);
    EXPECT_EQ(read.status, IoStatus::timeout);
}

class MapSuspendTest : public MapTest {
  protected:
    using State = MapDevice::State;

    void make_one() { make(config_for(make_spec({make_group({"a"})}))); }
    MapConfig one_path_config(uint64_t size_bytes = 1u << 30) {
        MapConfig config = config_for(make_spec({make_group({"a"})}));
        config.geometry.size_bytes = size_bytes;
        return config;
    }
};

TEST_F(MapSuspendTest, WaitsForWhatIsOnThePathsAndTakesUpWhatCameMeanwhile) {
    make_one();
    Client& first = submit();
    ASSERT_TRUE(map_->suspend(false).has_value());
    EXPECT_EQ(map_->state(), State::suspending);
    Client& second = submit();
    EXPECT_EQ(device("a").waiting.size(), 1u) << "what comes now waits";
    EXPECT_EQ(map_->counters().deferred, 1u);
    EXPECT_EQ(map_->resume().error().code, EBUSY);
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(first.ended, 1);
    EXPECT_EQ(map_->state(), State::suspended);
    EXPECT_EQ(heard_.count(Action::Kind::suspended), 1u);
    ASSERT_TRUE(map_->resume().has_value());
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(second.status, IoStatus::ok);
    EXPECT_EQ(second.ended, 1);
}

TEST_F(MapSuspendTest, IsRefusedWhileOneIsGoingOn) {
    make_one();
    ASSERT_TRUE(map_->suspend(true).has_value());
    EXPECT_EQ(map_->suspend(true).error().code, EBUSY);
}

TEST_F(MapSuspendTest, WithFlushFailsHeldRequestsAndWithoutKeepsThem) {
    for (const bool noflush : {false, true}) {
        make_pair();
        fail_both();
        Client& held = submit();
        ASSERT_TRUE(map_->suspend(noflush).has_value());
        settle();
        EXPECT_EQ(map_->state(), State::suspended);
        EXPECT_EQ(held.ended, noflush ? 0 : 1);
        map_->path_checked(index("a"), true, "good");
        ASSERT_TRUE(map_->resume().has_value());
        device("a").answer_all(IoStatus::ok);
        EXPECT_EQ(held.status, noflush ? IoStatus::ok : IoStatus::io);
        map_.reset();
    }
}

TEST_F(MapSuspendTest, DeferredRequestsGoOutInTheOrderInWhichTheyCame) {
    make_pair();
    fail_both();
    submit(IoOp::read, 0);
    ASSERT_TRUE(map_->suspend(true).has_value());
    submit(IoOp::read, 4096);
    submit(IoOp::read, 8192);
    map_->path_checked(index("a"), true, "good");
    ASSERT_TRUE(map_->resume().has_value());
    std::vector<uint64_t> offsets;
    for (const IoShape& seen : device("a").seen) offsets.push_back(seen.offset_bytes);
    EXPECT_THAT(offsets, testing::ElementsAre(0, 4096, 8192));
    device("a").answer_all(IoStatus::ok);
}

TEST_F(MapSuspendTest, TheGateClosesOnDeferredRequestsAndOpensAtTheResume) {
    make_pair({}, 2);
    ASSERT_TRUE(map_->suspend(true).has_value());
    submit();
    submit();
    EXPECT_FALSE(map_->gate().open());
    ASSERT_TRUE(map_->resume().has_value());
    EXPECT_TRUE(map_->gate().open());
    device("a").answer_all(IoStatus::ok);
    device("b").answer_all(IoStatus::ok);
}

TEST_F(MapSuspendTest, ARequestThatFailsOnTheWayDownIsTriedOnAnotherPathFirst) {
    make_pair();
    Client& read = submit();
    const std::string used = device("a").waiting.empty() ? "b" : "a";
    ASSERT_TRUE(map_->suspend(false).has_value());
    device(used).answer_all(IoStatus::transport);
    EXPECT_EQ(map_->state(), State::suspending);
    device(used == "a" ? "b" : "a").answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
    EXPECT_EQ(map_->state(), State::suspended);
}

TEST_F(MapSuspendTest, ALoadedTableIsTakenUpByTheResumeAndTheMapMayGrow) {
    make_one();
    add_path("b");
    MapConfig config = config_for(make_spec({make_group({"b"})}));
    config.geometry.size_bytes = 2u << 30;
    const auto members = members_for(config.table);
    ASSERT_TRUE(map_->load(std::move(config), members).has_value());
    submit();
    EXPECT_EQ(device("a").waiting.size(), 1u) << "until then the old one counts";
    ASSERT_TRUE(map_->resume().has_value());
    EXPECT_EQ(map_->state(), State::suspending) << "it suspends itself first";
    Client& later = submit();
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(map_->state(), State::running);
    EXPECT_EQ(map_->geometry().size_bytes, 2u << 30);
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(later.status, IoStatus::ok);
}

TEST_F(MapSuspendTest, HeldRequestsGoToALoadedTable) {
    make_pair();
    fail_both();
    Client& held = submit();
    add_path("c");
    MapConfig config = config_for(make_spec({make_group({"c"})}));
    const auto members = members_for(config.table);
    ASSERT_TRUE(map_->load(std::move(config), members).has_value());
    ASSERT_TRUE(map_->resume().has_value());
    device("c").answer_all(IoStatus::ok);
    EXPECT_EQ(held.status, IoStatus::ok);
}

TEST_F(MapSuspendTest, ATableThatShrinksTheMapOrIsBadIsRefusedAndChangesNothing) {
    make_one();
    EXPECT_EQ(
        map_->load(one_path_config(1u << 20), members_for(one_path_config().table)).error().code,
        EINVAL);
    MapConfig bad = one_path_config();
    bad.table.groups[0].selector = "no-such-selector";
    EXPECT_FALSE(map_->load(std::move(bad), members_for(one_path_config().table)).has_value());
    ASSERT_TRUE(map_->resume().has_value());
    EXPECT_EQ(map_->state(), State::running) << "there is nothing to take up";
}

TEST_F(MapSuspendTest, AShutDownAnswersWhatIsDeferred) {
    make_one();
    ASSERT_TRUE(map_->suspend(true).has_value());
    Client& read = submit();
    map_->shut_down();
    settle();
    EXPECT_EQ(read.status, IoStatus::shutdown);
    EXPECT_EQ(map_->waiting_requests(), 0u);
}

TEST_F(MapTest, ARequestRefusedForWantOfResourcesGoesOutAgainAWhileLater) {
    make_pair();
    Client& read = submit();
    const std::string used = device("a").waiting.empty() ? "b" : "a";
    const std::string other = used == "a" ? "b" : "a";
    device(used).answer_all(IoStatus::resource);
    EXPECT_TRUE(device(other).waiting.empty());
    EXPECT_EQ(map_->waiting_requests(), 1u);
    const Instant sent = loop_->now();
    turn_until([&] { return !device(other).waiting.empty(); });
    EXPECT_GE(loop_->now() - sent, limits::requeue_delay - 10ms);
    device(other).answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
}

/// Remembers what it was asked to activate.
struct ScriptedActivator final : Activator {
    std::vector<uint32_t> asked;
    void activate(uint32_t path) override { asked.push_back(path); }
};

class MapHandlerTest : public MapTest {
  protected:
    void make_with_handler() {
        MapConfig config = config_for(make_spec({make_group({"a"}), make_group({"b"})}));
        config.table.handler.name = "scripted";
        make(std::move(config));
        map_->set_activator(&activator_);
    }
    ScriptedActivator activator_;
};

TEST_F(MapHandlerTest, HoldsUntilTheHandlerHasActivatedThePath) {
    make_with_handler();
    Client& read = submit();
    EXPECT_THAT(activator_.asked, testing::ElementsAre(0u));
    EXPECT_TRUE(device("a").waiting.empty());
    map_->path_activated(0, HandlerResult::ok, "");
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
}

TEST_F(MapHandlerTest, AFailedActivationMovesTheIoToTheNextGroupAndIsTold) {
    make_with_handler();
    Client& read = submit();
    map_->path_activated(0, HandlerResult::io, "no answer");
    EXPECT_EQ(heard_.count(Action::Kind::activation_failed), 1u);
    EXPECT_THAT(activator_.asked, testing::ElementsAre(0u, 1u));
    map_->path_activated(1, HandlerResult::ok, "");
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
}

TEST_F(MapHandlerTest, WithoutADriverForTheHandlerEveryActivationFails) {
    make_with_handler();
    map_->set_activator(nullptr);
    Client& read = submit();
    EXPECT_EQ(map_->status().valid_paths, 0u);
    EXPECT_EQ(read.ended, 0) << "held, as without any path";
    map_->shut_down();
    settle();
}

TEST_F(MapHandlerTest, AVetoedPathGetsNoIo) {
    make_with_handler();
    submit();
    map_->path_activated(0, HandlerResult::ok, "");
    device("a").answer_all(IoStatus::ok);
    map_->path_admitted(0, false, "standby");
    Client& read = submit();
    map_->path_activated(1, HandlerResult::ok, "");
    EXPECT_TRUE(device("a").waiting.empty());
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
}

}  // namespace
}  // namespace braidway::map
