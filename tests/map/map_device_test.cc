// SPDX-License-Identifier: Apache-2.0
#include "map/map_device.h"

#include "map/fixture.h"

namespace braidway::map {
namespace {

using multipath::Action;
using multipath::make_group;
using multipath::make_spec;
using multipath::two_groups;

class MapDeviceTest : public MapTest {
  protected:
    /// The offsets that a device has seen since `from`.
    std::vector<uint64_t> offsets(const std::string& name, size_t from = 0) {
        std::vector<uint64_t> seen;
        for (size_t at = from; at < device(name).seen.size(); ++at)
            seen.push_back(device(name).seen[at].offset_bytes);
        return seen;
    }
};

TEST_F(MapDeviceTest, SendsRequestsInTurnAndPassesAnswersUp) {
    make_pair();
    Client& first = submit();
    Client& second = submit();
    EXPECT_EQ(device("a").waiting.size(), 1u);
    EXPECT_EQ(device("b").waiting.size(), 1u);
    EXPECT_EQ(map_->counters().in_flight, 2u);
    device("a").answer_all(IoStatus::ok);
    device("b").waiting[0]->error_text = "bad sector";
    device("b").answer_all(IoStatus::medium);
    EXPECT_EQ(first.status, IoStatus::ok);
    EXPECT_EQ(second.status, IoStatus::medium);
    EXPECT_EQ(second.request.error_text, "bad sector");
    EXPECT_EQ(map_->status().valid_paths, 2u) << "a bad sector says nothing of the path";
    EXPECT_EQ(map_->counters().in_flight, 0u);
    EXPECT_EQ(map_->counters().answered_errors, 1u);
}

TEST_F(MapDeviceTest, APathErrorIsRetriedOnAnotherPathUnseenByTheClient) {
    make_pair();
    for (const IoStatus status : {IoStatus::io, IoStatus::transport, IoStatus::offline}) {
        Client& write = submit(IoOp::write, 8192);
        const bool first_is_a = !device("a").waiting.empty();
        device(first_is_a ? "a" : "b").answer_all(status);
        EXPECT_EQ(write.ended, 0);
        ScriptedDevice& other = device(first_is_a ? "b" : "a");
        ASSERT_EQ(other.waiting.size(), 1u);
        EXPECT_EQ(other.seen.back().offset_bytes, 8192u);
        other.answer_all(IoStatus::ok);
        EXPECT_EQ(write.ended, 1);
        EXPECT_EQ(write.status, IoStatus::ok);
        reinstate(first_is_a ? "a" : "b");
    }
    EXPECT_EQ(map_->counters().retries, 3u);
    EXPECT_EQ(map_->counters().answered_errors, 0u);
}

TEST_F(MapDeviceTest, HoldsWithoutAPathAndServesInArrivalOrder) {
    make_pair();
    Client& first = submit(IoOp::read, 0);
    Client& second = submit(IoOp::read, 4096);
    device("b").answer_all(IoStatus::io);  // The second; now both wait on a.
    Client& third = submit(IoOp::read, 8192);
    ASSERT_EQ(device("a").waiting.size(), 3u);
    // They come back last first; the order of arrival counts all the same.
    device("a").answer(2, IoStatus::io);
    device("a").answer(1, IoStatus::io);
    Client& fourth = submit(IoOp::read, 12288);
    device("a").answer(0, IoStatus::io);
    EXPECT_EQ(map_->held_requests(), 4u);
    EXPECT_EQ(map_->counters().held_bytes, 4u * 4096);
    const size_t before = device("b").seen.size();
    reinstate("b");
    EXPECT_EQ(map_->held_requests(), 0u);
    EXPECT_EQ(map_->counters().held_bytes, 0u);
    EXPECT_EQ(offsets("b", before), (std::vector<uint64_t>{0, 4096, 8192, 12288}));
    device("b").answer_all(IoStatus::ok);
    for (const Client* client : {&first, &second, &third, &fourth}) {
        EXPECT_EQ(client->ended, 1);
        EXPECT_EQ(client->status, IoStatus::ok);
    }
    EXPECT_EQ(heard_.count(Action::Kind::no_paths_left), 1u);
    EXPECT_EQ(heard_.count(Action::Kind::paths_back), 1u);
}

TEST_F(MapDeviceTest, FailsHeldAndNewRequestsAfterTheTimeoutUntilAPathIsBack) {
    make_pair(5ms);
    fail_both();
    Client& held = submit();
    Client& also = submit(IoOp::flush);
    EXPECT_NE(map_->held_since(), never);
    turn_until([&] { return held.ended == 1 && also.ended == 1; });
    EXPECT_EQ(held.status, IoStatus::io);
    EXPECT_EQ(also.status, IoStatus::io);
    EXPECT_EQ(map_->held_since(), never);
    EXPECT_EQ(heard_.count(Action::Kind::fail_held), 1u);
    Client& late = submit();
    EXPECT_EQ(late.ended, 0);
    settle();
    EXPECT_EQ(late.status, IoStatus::io);
    reinstate("a");
    Client& served = submit();
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(served.status, IoStatus::ok);
    // The clock starts anew with the next loss.
    fail_path("a");
    Client& again = submit();
    settle();
    EXPECT_EQ(again.ended + static_cast<int>(map_->held_requests()), 1);
    turn_until([&] { return again.ended == 1; });
}

TEST_F(MapDeviceTest, APathThatComesBackInTimeStopsTheClock) {
    make_pair(5ms);
    fail_both();
    Client& held = submit();
    reinstate("b");
    turn_for(10ms);
    EXPECT_EQ(held.ended, 0);
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(held.status, IoStatus::ok);
    EXPECT_EQ(heard_.count(Action::Kind::fail_held), 0u);
}

TEST_F(MapDeviceTest, ObeysTheMessagesOfHolding) {
    make_pair();
    fail_both();
    Client& held = submit();
    settle();
    EXPECT_EQ(held.ended, 0);
    send(Message::fail_if_no_path);
    EXPECT_EQ(held.ended, 0) << "not inside the message either";
    settle();
    EXPECT_EQ(held.status, IoStatus::io);
    Client& refused = submit();
    settle();
    EXPECT_EQ(refused.status, IoStatus::io);
    send(Message::queue_if_no_path);
    Client& queued = submit();
    settle();
    EXPECT_EQ(queued.ended, 0);
    reinstate("a");
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(queued.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, SwitchesToTheGroupThatIsAskedForAndBackWhenItFails) {
    make(two_groups());
    submit();
    EXPECT_EQ(device("a1").waiting.size(), 1u);
    send(Message::switch_group, 2);
    Client& moved = submit();
    ASSERT_EQ(device("b1").waiting.size() + device("b2").waiting.size(), 1u);
    fail_path("b1");
    fail_path("b2");
    for (const char* name : {"b1", "b2"}) device(name).answer_all(IoStatus::io);
    EXPECT_EQ(device("a1").waiting.size() + device("a2").waiting.size(), 2u);
    for (const char* name : {"a1", "a2"}) device(name).answer_all(IoStatus::ok);
    EXPECT_EQ(moved.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, TheGateClosesAtTheBoundOfRequestsAndOpensAgain) {
    make_pair({}, 3);
    fail_both();
    submit();
    submit();
    EXPECT_TRUE(map_->gate().open());
    submit();
    EXPECT_FALSE(map_->gate().open());
    Client& over = submit();
    EXPECT_EQ(map_->held_requests(), 4u) << "what was sent nevertheless is held";
    reinstate("a");
    EXPECT_TRUE(map_->gate().open());
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(over.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, TheGateClosesAtTheBoundOfBytesAndOpensWhenTheHeldFail) {
    make_pair({}, 1024, 10000);
    fail_both();
    submit(IoOp::write, 0, 8192);
    submit(IoOp::discard, 0, 1u << 20);
    EXPECT_TRUE(map_->gate().open()) << "a discard holds no memory";
    submit(IoOp::write, 0, 4096);
    EXPECT_FALSE(map_->gate().open());
    bool told = false;
    struct Waiter : block::GateWaiter {
        bool* told = nullptr;
    } waiter;
    waiter.told = &told;
    waiter.opened = [](block::GateWaiter& opened) { *static_cast<Waiter&>(opened).told = true; };
    map_->gate().wait(waiter);
    send(Message::fail_if_no_path);
    EXPECT_TRUE(told);
    settle();
}

TEST_F(MapDeviceTest, AWaiterOfTheGateMaySubmitAtOnce) {
    make_pair({}, 1);
    fail_both();
    Client& held = submit();
    struct Waiter : block::GateWaiter {
        MapDevice* map = nullptr;
        Client client;
    } waiter;
    waiter.map = map_.get();
    waiter.opened = [](block::GateWaiter& opened) {
        auto& self = static_cast<Waiter&>(opened);
        self.client.submit(*self.map);
    };
    map_->gate().wait(waiter);
    reinstate("b");
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(held.status, IoStatus::ok);
    EXPECT_EQ(waiter.client.ended, 1);
}

TEST_F(MapDeviceTest, GivesUpAfterAttemptsMaxAlthoughThePathsPassTheirChecks) {
    MapConfig config = config_for(make_spec({make_group({"a", "b"})}));
    config.table.attempts_max = 5;
    make(std::move(config));
    Client& read = submit();
    int tries = 0;
    for (; read.ended == 0 && tries < 100; ++tries) {
        const std::string used = device("a").waiting.empty() ? "b" : "a";
        ASSERT_EQ(device(used).waiting.size(), 1u);
        device(used).answer_all(IoStatus::io);
        map_->path_checked(index("a"), true, "good");
        map_->path_checked(index("b"), true, "good");
    }
    EXPECT_EQ(tries, 5);
    EXPECT_EQ(read.status, IoStatus::io);
}

TEST_F(MapDeviceTest, VerdictsOfChecksFailAndReinstatePaths) {
    make_pair();
    struct Listener final : multipath::FailureListener {
        std::vector<uint32_t> failed;
        void path_failed(uint32_t path) override { failed.push_back(path); }
    } listener;
    map_->set_failure_listener(&listener);
    map_->path_checked(0, false, "no answer");
    EXPECT_EQ(map_->status().paths[0].reason, "no answer");
    EXPECT_EQ(listener.failed, (std::vector<uint32_t>{0}));
    map_->path_checked(0, true, "good");
    EXPECT_EQ(map_->status().valid_paths, 2u);
    map_->path_checked(99, false, "a path that has left");
    EXPECT_EQ(map_->status().valid_paths, 2u);
}

TEST_F(MapDeviceTest, RefusesEventsForPathsAndGroupsThatAreNotThere) {
    make_pair();
    Event event{.kind = Event::Kind::message, .reason = {}};
    event.message = Message::fail_path;
    event.path = 7;
    EXPECT_FALSE(map_->handle(event).has_value());
    event.message = Message::switch_group;
    event.group = 3;
    EXPECT_FALSE(map_->handle(event).has_value());
    EXPECT_EQ(map_->status().valid_paths, 2u);
}

TEST_F(MapDeviceTest, ShuttingDownAnswersHeldAndNewRequestsAndWaitsForTheRest) {
    make_pair();
    Client& in_flight = submit();
    Client& failing = submit();
    fail_both();
    Client& held = submit();
    map_->shut_down();
    EXPECT_EQ(held.ended, 0);
    settle();
    EXPECT_EQ(held.status, IoStatus::shutdown);
    Client& fresh = submit();
    settle();
    EXPECT_EQ(fresh.status, IoStatus::shutdown);
    device("a").answer_all(IoStatus::ok);
    device("b").answer_all(IoStatus::io);
    EXPECT_EQ(in_flight.status, IoStatus::ok);
    EXPECT_EQ(failing.status, IoStatus::shutdown);
    EXPECT_EQ(map_->counters().in_flight, 0u);
}

TEST_F(MapDeviceTest, ANewTableKeepsRequestsInFlight) {
    make_pair();
    Client& on_a = submit();
    Client& on_b = submit();
    add_path("c");
    auto table = make_spec({make_group({"b", "c"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    device("a").answer_all(IoStatus::io);
    ASSERT_EQ(device("c").waiting.size() + device("b").waiting.size(), 2u) << "tried elsewhere";
    EXPECT_EQ(map_->status().valid_paths, 2u) << "a path that has left fails nobody";
    device("b").answer_all(IoStatus::ok);
    device("c").answer_all(IoStatus::ok);
    EXPECT_EQ(on_a.status, IoStatus::ok);
    EXPECT_EQ(on_b.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, ANewTableWithAPathRunsWhatIsHeld) {
    make_pair();
    fail_both();
    Client& held = submit();
    add_path("c");
    auto table = make_spec({make_group({"a", "b", "c"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    ASSERT_EQ(device("c").waiting.size(), 1u);
    device("c").answer_all(IoStatus::ok);
    EXPECT_EQ(held.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, ABadNewTableChangesNothing) {
    make_pair();
    auto table = make_spec({make_group({"a", "b"}, "no-such-selector")});
    EXPECT_FALSE(map_->replace(config_for(table), members_for(table)).has_value());
    Client& read = submit();
    device("a").answer_all(IoStatus::ok);
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, AMapMayStartWithoutAnyPathThatWorks) {
    MapConfig config = config_for(make_spec({make_group({"a"})}));
    config.table.groups[0].paths[0].up = false;
    make(std::move(config));
    Client& held = submit();
    EXPECT_EQ(map_->held_requests(), 1u);
    map_->path_checked(0, true, "good");
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(held.status, IoStatus::ok);
}

TEST_F(MapDeviceTest, APathThatStallsIsFailedAndItsReadsGoElsewhere) {
    paths_.reserve(8);
    add_path("a", 0, 5ms);
    add_path("b", 0, 5ms);
    make_pair();
    fail_path("b");
    Client& read = submit();
    reinstate("b");
    turn_until([&] { return !device("b").waiting.empty(); });
    EXPECT_EQ(map_->status().paths[0].failed_by, "stall");
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(read.status, IoStatus::ok);
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(read.ended, 1);
    EXPECT_TRUE(path("a").path->quiet());
}

TEST_F(MapDeviceTest, RefusesABadTable) {
    const auto table = make_spec({make_group({"x"}, "no-such-selector")});
    add_path("x");
    const auto refused = MapDevice::create(*loop_, config_for(table), members_for(table), heard_);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("map m:"), std::string::npos);
}

}  // namespace
}  // namespace braidway::map
