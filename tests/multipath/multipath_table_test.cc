// SPDX-License-Identifier: Apache-2.0
// New tables under running and held I/O.
#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void replace(Driver& map, MultipathSpec spec) {
    const auto taken = map.map->replace(std::move(spec), map.now);
    ASSERT_TRUE(taken.has_value()) << taken.error().message;
}

TEST(MultipathReplace, KeepsStateCountersAndStickyFailureOfPathsByName) {
    Driver map(two_groups());
    map.complete(map.route(), IoStatus::transport);
    map.fail("b2", true);
    map.told();
    map.now = map.now + 5s;
    replace(map, make_spec({make_group({"b2", "b1"}), make_group({"a2", "a1", "a3"})}));
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.map->valid_paths(), 3u);
    EXPECT_EQ(map.path("b2"), 0u);
    EXPECT_EQ(map.path_status("a1").state, PathState::down);
    EXPECT_EQ(map.path_status("a1").fail_count, 1u);
    EXPECT_EQ(map.path_status("a1").failed_by, "I/O error");
    EXPECT_EQ(map.path_status("a1").failed_at, map.now - 5s);
    EXPECT_EQ(map.path_status("a1").group, 2u);
    EXPECT_EQ(map.path_status("a3").state, PathState::up);
    map.check_says(Event::Kind::checker_up, "b2");
    EXPECT_EQ(map.path_status("b2").state, PathState::down);
}

TEST(MultipathReplace, StartsNewPathsAsTheTableSaysAndIgnoresThatForKnownOnes) {
    Driver map(make_spec({make_group({"a"})}));
    MultipathSpec spec = make_spec({make_group({"a", "b", "c"})});
    spec.groups[0].paths[0].up = false;
    spec.groups[0].paths[1].up = false;
    replace(map, std::move(spec));
    EXPECT_EQ(map.path_status("a").state, PathState::up);
    EXPECT_EQ(map.path_status("b").state, PathState::down);
    EXPECT_EQ(map.path_status("c").state, PathState::up);
    EXPECT_EQ(map.io(3), "a c a");
}

TEST(MultipathReplace, RefusesABadTableAndChangesNothing) {
    Driver map(two_groups());
    map.io();
    map.fail("a2");
    const Route route = map.route();
    MultipathSpec bad = make_spec({make_group({"x"}), make_group({"y"}, "fastest")});
    const auto taken = map.map->replace(std::move(bad), map.now);
    ASSERT_FALSE(taken.has_value());
    EXPECT_THAT(taken.error().message, HasSubstr("group 2: unknown path selector type"));
    EXPECT_EQ(map.map->path_count(), 4u);
    EXPECT_EQ(map.map->valid_paths(), 3u);
    EXPECT_EQ(map.group_letters(), "AE");
    EXPECT_EQ(map.complete(route), Verdict::done);
}

TEST(MultipathReplace, TakesAnswersOfSurvivingPathsAtTheirNewPlace) {
    Driver map(two_groups());
    const Route on_a1 = map.route(1000);
    const Route on_a2 = map.route(200);
    replace(map, make_spec({make_group({"a2", "c"}), make_group({"a1"})}));
    EXPECT_EQ(map.path_status("a1").in_flight, 1u);
    EXPECT_EQ(map.path_status("a1").in_flight_bytes, 1000u);
    EXPECT_EQ(map.complete(on_a1, IoStatus::timeout), Verdict::retry);
    EXPECT_EQ(map.path_status("a1").state, PathState::down);
    EXPECT_EQ(map.path_status("a1").in_flight, 0u);
    EXPECT_EQ(map.path_status("a2").in_flight_bytes, 200u);
    map.complete(on_a2);
    EXPECT_EQ(map.path_status("a2").in_flight_bytes, 0u);
}

TEST(MultipathReplace, TellsNewSelectorsWhatIsInFlight) {
    Driver map(make_spec({make_group({"a", "b"}, "service-time")}));
    const Route busy = map.route(1 << 20);
    EXPECT_EQ(map.name_of(busy), "a");
    replace(map, make_spec({make_group({"a", "b", "c"}, "service-time")}));
    EXPECT_EQ(map.io(4), "b c b c");
    map.complete(busy);
    EXPECT_EQ(map.io(), "a");
}

TEST(MultipathReplace, TakesAnswersOfRemovedPathsOffTheBooks) {
    Driver map(two_groups());
    const Route good = map.route();
    const Route bad = map.route();
    const Route medium = map.route();
    replace(map, make_spec({make_group({"b1", "b2"})}));
    map.told();
    EXPECT_EQ(map.complete(good), Verdict::done);
    EXPECT_EQ(map.complete(bad, IoStatus::transport), Verdict::retry);
    EXPECT_EQ(map.complete(medium, IoStatus::medium), Verdict::done);
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.map->valid_paths(), 2u);
}

TEST(MultipathReplace, TakesAPathThatWasRemovedAndCameBackForANewOne) {
    Driver map(make_spec({make_group({"a", "b"})}));
    const Route old = map.route(777);
    EXPECT_EQ(map.name_of(old), "a");
    replace(map, make_spec({make_group({"b"})}));
    replace(map, make_spec({make_group({"a", "b"})}));
    EXPECT_EQ(map.path_status("a").in_flight, 0u);
    EXPECT_EQ(map.complete(old, IoStatus::transport), Verdict::retry);
    EXPECT_EQ(map.path_status("a").state, PathState::up) << "that was another life";
    EXPECT_EQ(map.path_status("a").in_flight_bytes, 0u);
}

TEST(MultipathReplaceDeathTest, CatchesATicketOfAnEntryThatIsUsedAnew) {
    Driver map(make_spec({make_group({"a", "b"})}));
    const Route old = map.route();
    map.complete(old);
    replace(map, make_spec({make_group({"b"})}));
    replace(map, make_spec({make_group({"c", "b"})}));
    const Route fresh = map.route();
    EXPECT_EQ(fresh.ticket.entry, old.ticket.entry) << "entries are used again";
    EXPECT_DEATH(map.complete(old), "exactly once");
    map.complete(fresh);
}

TEST(MultipathReplace, UsesTheEntryOfARemovedPathAgainAfterItsLastAnswer) {
    Driver map(make_spec({make_group({"a", "b"})}));
    const Route old = map.route();
    replace(map, make_spec({make_group({"b"})}));
    replace(map, make_spec({make_group({"c", "b"})}));
    const Route early = map.route();
    EXPECT_EQ(map.name_of(early), "c");
    EXPECT_NE(early.ticket.entry, old.ticket.entry) << "its answer has not come";
    map.complete(old);
    replace(map, make_spec({make_group({"d", "b", "c"})}));
    const Route late = map.route();
    EXPECT_EQ(map.name_of(late), "d");
    EXPECT_EQ(late.ticket.entry, old.ticket.entry);
    map.complete(early);
    map.complete(late);
}

// --- groups --------------------------------------------------------------------------------------

TEST(MultipathReplace, KeepsTheGroupInUseWhenItsSetOfPathsIsTheSame) {
    Driver map(two_groups());
    map.message(Message::switch_group, 2);
    map.io();
    replace(map, make_spec({make_group({"a1", "a2", "a3"}), make_group({"c"}),
                            make_group({"b2", "b1"})}));
    EXPECT_EQ(map.group_letters(), "EEA");
    EXPECT_EQ(map.io(2), "b2 b1");
    EXPECT_THAT(map.told(), IsEmpty());
}

TEST(MultipathReplace, ChoosesAnewWhenTheGroupInUseChanged) {
    for (const auto& changed :
         {make_group({"b1"}), make_group({"b1", "b2", "b3"}), make_group({"b1", "c"})}) {
        Driver map(two_groups());
        map.message(Message::switch_group, 2);
        map.io();
        replace(map, make_spec({make_group({"a1", "a2"}), changed}));
        EXPECT_EQ(map.group_letters(), "EE");
        EXPECT_EQ(map.group_number(), 1u);
        EXPECT_EQ(map.io(), "a1");
        EXPECT_THAT(map.told(), ElementsAre("group 1"));
    }
}

TEST(MultipathReplace, ChoosesAnewWhenTheGroupInUseWasMergedIntoAnother) {
    Driver map(two_groups());
    map.io();
    replace(map, make_spec({make_group({"b1", "a1", "a2", "b2"})}));
    EXPECT_EQ(map.group_letters(), "E");
}

TEST(MultipathReplace, AsksForTheInitialGroupOfTheNewTable) {
    Driver map(two_groups());
    map.io();
    MultipathSpec spec = make_spec({make_group({"a1"}), make_group({"b1", "b2"})});
    spec.initial_group = 2;
    replace(map, std::move(spec));
    EXPECT_EQ(map.group_number(), 2u);
    EXPECT_EQ(map.io(), "b1");
}

TEST(MultipathReplace, KeepsARequestForAGroupThatIsTheSame) {
    Driver map(two_groups());
    map.message(Message::switch_group, 2);
    replace(map, make_spec({make_group({"c"}), make_group({"a1"}), make_group({"b1", "b2"})}));
    EXPECT_EQ(map.group_number(), 3u);
    EXPECT_EQ(map.io(), "b1");
}

TEST(MultipathReplace, KeepsTheDisablingOfAGroupThatIsTheSame) {
    Driver map(two_groups());
    map.io();
    map.message(Message::disable_group, 1);
    replace(map, make_spec({make_group({"a1", "a2"}), make_group({"b1"})}));
    EXPECT_EQ(map.group_letters(), "DE");
    EXPECT_EQ(map.io(), "b1");
    replace(map, make_spec({make_group({"a1", "c"}), make_group({"b1"})}));
    EXPECT_EQ(map.group_letters(), "EA");
}

// --- no path left --------------------------------------------------------------------------------

TEST(MultipathReplace, RunsHeldIoWhenItBringsAPath) {
    Driver map(make_spec({make_group({"a"})}));
    map.fail("a");
    map.told();
    replace(map, make_spec({make_group({"a"}), make_group({"b"})}));
    EXPECT_THAT(map.told(), ElementsAre("paths back", "disarm", "run held"));
    EXPECT_EQ(map.io(), "b");
}

TEST(MultipathReplace, StartsTheClockWhenItTakesTheLastPath) {
    Driver map(make_spec({make_group({"a", "b"})}));
    map.fail("b");
    map.told();
    replace(map, make_spec({make_group({"b"})}));
    EXPECT_THAT(map.told(), ElementsAre("no paths", "arm 1060"));
    replace(map, MultipathSpec{});
    EXPECT_THAT(map.told(), ElementsAre("arm 1060"));
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathReplace, MeasuresANewTimeoutFromTheLossOfTheLastPath) {
    Driver map(make_spec({make_group({"a"})}));
    map.fail("a");
    map.now = map.now + 20s;
    map.told();
    MultipathSpec spec = make_spec({make_group({"a"})});
    spec.no_path.timeout = 30s;
    replace(map, spec);
    EXPECT_THAT(map.told(), ElementsAre("arm 1030"));
    spec.no_path.timeout = 10s;
    replace(map, spec);
    EXPECT_THAT(map.told(), ElementsAre("fail held"));
    EXPECT_EQ(map.io(), "fail");
    spec.no_path.timeout = 100s;
    replace(map, spec);
    EXPECT_THAT(map.told(), ElementsAre("arm 1100"));
    EXPECT_EQ(map.io(), "hold");
    spec.no_path.timeout = std::nullopt;
    replace(map, spec);
    EXPECT_THAT(map.told(), ElementsAre("disarm"));
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathReplace, FailsHeldIoWhenTheNewPolicyIsFail) {
    Driver map(make_spec({make_group({"a"})}));
    map.fail("a");
    map.told();
    MultipathSpec spec = make_spec({make_group({"a"})});
    spec.no_path.queue = false;
    replace(map, spec);
    EXPECT_THAT(map.told(), ElementsAre("disarm", "fail held"));
    EXPECT_EQ(map.io(), "fail");
    spec.no_path.queue = true;
    map.now = map.now + 59s;
    replace(map, spec);
    EXPECT_THAT(map.told(), ElementsAre("arm 1060"));
}

TEST(MultipathReplace, TakesTheNewPolicyWhilePathsAreUp) {
    Driver map(make_spec({make_group({"a"})}));
    MultipathSpec spec = make_spec({make_group({"a"})});
    spec.no_path.queue = false;
    replace(map, std::move(spec));
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::done);
}

}  // namespace
}  // namespace braidway::multipath
