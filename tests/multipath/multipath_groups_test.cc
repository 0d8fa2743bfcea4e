// SPDX-License-Identifier: Apache-2.0
// Which group I/O goes to: the kernel's rules, one by one.
#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MultipathGroups, UsesTheFirstGroupAloneWhileItHasAPath) {
    Driver map(two_groups());
    EXPECT_EQ(map.io(4), "a1 a2 a1 a2");
    EXPECT_EQ(map.group_letters(), "AE");
}

TEST(MultipathGroups, HasNoActiveGroupBeforeTheFirstIo) {
    Driver map(two_groups());
    EXPECT_EQ(map.group_letters(), "EE");
    EXPECT_EQ(map.group_number(), 1u);
    map.io();
    EXPECT_EQ(map.group_letters(), "AE");
}

TEST(MultipathGroups, StartsWithTheInitialGroupAndShowsItsNumberBeforeAnyIo) {
    MultipathSpec spec = two_groups();
    spec.initial_group = 2;
    Driver map(std::move(spec));
    EXPECT_EQ(map.group_number(), 2u);
    EXPECT_EQ(map.io(2), "b1 b2");
}

TEST(MultipathGroups, TakesAnInitialGroupBeyondTheLastAsTheFirst) {
    MultipathSpec spec = two_groups();
    spec.initial_group = 9;
    Driver map(std::move(spec));
    EXPECT_EQ(map.group_number(), 1u);
    EXPECT_EQ(map.io(), "a1");
}

TEST(MultipathGroups, LosesTheInitialGroupWithoutAPathToTheFirstUsableOne) {
    MultipathSpec spec = make_spec({make_group({"a"}), make_group({"b"}), make_group({"c"})});
    spec.initial_group = 2;
    Driver map(std::move(spec));
    map.fail("b");
    EXPECT_EQ(map.io(), "a");
    map.reinstate("b");
    EXPECT_EQ(map.io(), "a") << "the request was lost";
}

TEST(MultipathGroups, GoesThroughTheRestOfAGroupBeforeTheNextOne) {
    Driver map(two_groups());
    Route route = map.route();
    EXPECT_EQ(map.name_of(route), "a1");
    EXPECT_EQ(map.complete(route, IoStatus::transport), Verdict::retry);
    route = map.route();
    EXPECT_EQ(map.name_of(route), "a2");
    EXPECT_EQ(map.complete(route, IoStatus::transport), Verdict::retry);
    EXPECT_EQ(map.io(2), "b1 b2");
    EXPECT_EQ(map.group_letters(), "EA");
}

TEST(MultipathGroups, DoesNotFailBackWhenAPathOfAnEarlierGroupReturns) {
    Driver map(two_groups());
    map.fail("a1");
    map.fail("a2");
    EXPECT_EQ(map.io(), "b1");
    map.reinstate("a1");
    EXPECT_EQ(map.io(2), "b2 b1");
    EXPECT_EQ(map.group_letters(), "EA");
}

TEST(MultipathGroups, TellsOfASwitchButNotOfTheFirstChoice) {
    Driver map(two_groups());
    map.io();
    EXPECT_THAT(map.told(), IsEmpty());
    map.message(Message::switch_group, 2);
    EXPECT_THAT(map.told(), IsEmpty()) << "nothing has switched yet";
    map.io();
    EXPECT_THAT(map.told(), ElementsAre("group 2"));
    map.message(Message::switch_group, 2);
    map.io();
    EXPECT_THAT(map.told(), IsEmpty()) << "I/O went there before";
}

TEST(MultipathGroups, TellsOfASwitchAlsoAfterATimeWithoutPaths) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"})}));
    map.io();
    map.fail("a");
    map.fail("b");
    map.io();
    map.reinstate("b");
    map.told();
    map.io();
    EXPECT_THAT(map.told(), ElementsAre("group 2"));
}

// --- switch_group --------------------------------------------------------------------------------

TEST(MultipathSwitchGroup, IsOnlyARequestUntilTheNextIo) {
    Driver map(two_groups());
    map.io();
    map.message(Message::switch_group, 2);
    EXPECT_EQ(map.group_letters(), "EE");
    EXPECT_EQ(map.group_number(), 2u);
    EXPECT_EQ(map.io(), "b1");
    EXPECT_EQ(map.group_letters(), "EA");
}

TEST(MultipathSwitchGroup, EndsTheDisablingOfEveryGroup) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"}), make_group({"c"})}));
    map.message(Message::disable_group, 1);
    map.message(Message::disable_group, 2);
    EXPECT_EQ(map.group_letters(), "DDE");
    map.message(Message::switch_group, 3);
    EXPECT_EQ(map.group_letters(), "EEE");
    EXPECT_EQ(map.io(), "c");
}

TEST(MultipathSwitchGroup, IsLostWhenTheGroupHasNoPath) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"}), make_group({"c"})}));
    map.message(Message::switch_group, 2);
    map.io();
    map.fail("c");
    map.message(Message::switch_group, 3);
    EXPECT_EQ(map.group_number(), 3u);
    EXPECT_EQ(map.io(), "a") << "the first usable group, not the one before";
    EXPECT_EQ(map.group_number(), 1u);
    map.reinstate("c");
    EXPECT_EQ(map.io(), "a");
}

TEST(MultipathSwitchGroup, IsKeptWhileNoPathIsUpAndObeyedWhenOneReturns) {
    Driver map(two_groups());
    map.message(Message::switch_group, 2);
    for (const char* path : {"a1", "a2", "b1", "b2"}) map.fail(path);
    EXPECT_EQ(map.io(), "hold");
    EXPECT_EQ(map.group_number(), 2u);
    map.message(Message::fail_if_no_path);
    EXPECT_EQ(map.io(), "fail");
    EXPECT_EQ(map.group_number(), 2u);
    map.reinstate("a1");
    map.reinstate("b2");
    EXPECT_EQ(map.io(), "b2");
}

TEST(MultipathSwitchGroup, OfTheGroupInUseKeepsIt) {
    Driver map(two_groups());
    map.message(Message::switch_group, 2);
    map.io();
    map.message(Message::switch_group, 2);
    EXPECT_EQ(map.io(), "b2");
}

// --- disable_group, enable_group -----------------------------------------------------------------

TEST(MultipathDisableGroup, MovesIoToTheFirstEnabledGroup) {
    Driver map(two_groups());
    map.io();
    map.message(Message::disable_group, 1);
    EXPECT_EQ(map.group_letters(), "DE");
    EXPECT_EQ(map.io(), "b1");
    EXPECT_EQ(map.group_letters(), "DA");
}

TEST(MultipathDisableGroup, DoesNotTakeBackARequestForTheGroup) {
    Driver map(two_groups());
    map.message(Message::switch_group, 1);
    map.message(Message::disable_group, 1);
    EXPECT_EQ(map.io(), "a1") << "though group 2 is enabled and has a path";
    EXPECT_EQ(map.group_letters(), "DE");
}

TEST(MultipathDisableGroup, DoesNotTakeBackTheRequestThatTheInitialGroupIs) {
    Driver map(two_groups());
    map.message(Message::disable_group, 1);
    EXPECT_EQ(map.io(), "a1");
    EXPECT_EQ(map.group_letters(), "DE");
}

TEST(MultipathDisableGroup, UsesDisabledGroupsWhenNoOtherHasAPath) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"}), make_group({"c"})}));
    map.io();
    map.message(Message::disable_group, 1);
    map.message(Message::disable_group, 2);
    EXPECT_EQ(map.io(), "c");
    map.fail("c");
    EXPECT_EQ(map.io(), "a") << "the first of the disabled ones";
    EXPECT_EQ(map.group_letters(), "DDE");
}

TEST(MultipathDisableGroup, LeavesADisabledGroupInUseUntilItHasNoPath) {
    Driver map(make_spec({make_group({"a1", "a2"}), make_group({"b"})}));
    map.io();
    map.message(Message::disable_group, 1);
    map.fail("b");
    EXPECT_EQ(map.io(), "a2");
    map.reinstate("b");
    EXPECT_EQ(map.io(2), "a1 a2");
    EXPECT_EQ(map.group_letters(), "DE") << "no group is A";
    map.fail("a1");
    map.fail("a2");
    EXPECT_EQ(map.io(), "b");
    EXPECT_EQ(map.group_letters(), "DA");
}

TEST(MultipathEnableGroup, OfAnyGroupWithoutAChangeDropsTheGroupInUse) {
    Driver map(two_groups());
    map.io();
    EXPECT_EQ(map.group_letters(), "AE");
    map.message(Message::enable_group, 2);
    EXPECT_EQ(map.group_letters(), "EE");
}

TEST(MultipathEnableGroup, WorksAsAFailback) {
    Driver map(two_groups());
    map.fail("a1");
    map.fail("a2");
    map.io();
    map.reinstate("a1");
    EXPECT_EQ(map.group_number(), 2u);
    map.message(Message::enable_group, 2);
    EXPECT_EQ(map.group_number(), 1u);
    EXPECT_EQ(map.io(), "a1");
}

TEST(MultipathEnableGroup, MakesADisabledGroupUsableAgain) {
    Driver map(two_groups());
    map.io();
    map.message(Message::disable_group, 1);
    map.io();
    map.message(Message::enable_group, 1);
    EXPECT_EQ(map.group_letters(), "EE");
    EXPECT_EQ(map.io(), "a2");
}

// --- no path left --------------------------------------------------------------------------------

TEST(MultipathGroups, KeepsLetterAWhenTheLastPathIsFailedByMessageUntilAnIoFindsNone) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"})}));
    map.message(Message::switch_group, 2);
    map.io();
    map.fail("a");
    map.fail("b");
    EXPECT_EQ(map.group_letters(), "EA");
    EXPECT_EQ(map.group_number(), 2u);
    EXPECT_EQ(map.io(), "hold");
    EXPECT_EQ(map.group_letters(), "EE");
    EXPECT_EQ(map.group_number(), 1u);
}

TEST(MultipathGroups, LosesLetterAWhenAnIoThatTriedEveryPathIsHeld) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"})}));
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::retry);
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::hold);
    EXPECT_EQ(map.group_letters(), "EE");
    EXPECT_EQ(map.group_number(), 1u);
}

TEST(MultipathGroups, KeepsLetterAWhenAnIoThatTriedEveryPathFails) {
    MultipathSpec spec = make_spec({make_group({"a"}), make_group({"b"})});
    spec.no_path.queue = false;
    Driver map(std::move(spec));
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::retry);
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::done);
    EXPECT_EQ(map.group_letters(), "EA");
    EXPECT_EQ(map.group_number(), 2u);
}

TEST(MultipathGroups, StartsAtTheFirstGroupAfterAnIoFoundNoPath) {
    Driver map(make_spec({make_group({"a"}), make_group({"b"})}));
    map.message(Message::switch_group, 2);
    map.io();
    map.fail("a");
    map.fail("b");
    map.io();
    map.reinstate("b");
    map.reinstate("a");
    EXPECT_EQ(map.io(), "a");
}

TEST(MultipathGroups, AMapWithoutPathsIsLegalAndHoldsIo) {
    Driver map(MultipathSpec{});
    EXPECT_EQ(map.group_number(), 0u);
    EXPECT_EQ(map.io(), "hold");
    EXPECT_EQ(map.map->path_count(), 0u);
}

}  // namespace
}  // namespace braidway::multipath
