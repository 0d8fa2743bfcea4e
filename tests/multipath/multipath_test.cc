// SPDX-License-Identifier: Apache-2.0
// Paths that fail and come back, and what an error means.
#include "multipath/multipath.h"

#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// --- error classes -------------------------------------------------------------------------------

struct ErrorRow {
    IoStatus status;
    bool fails_path;
};

/// Every outcome there is; which of them says something about the path.
constexpr std::array<ErrorRow, io_statuses> error_rows{{
    {IoStatus::ok, false},
    {IoStatus::not_supported, false},
    {IoStatus::no_space, false},
    {IoStatus::target, false},
    {IoStatus::reservation_conflict, false},
    {IoStatus::medium, false},
    {IoStatus::protection, false},
    {IoStatus::invalid, false},  // The kernel fails the path.
    {IoStatus::shutdown, false},
    {IoStatus::io, true},
    {IoStatus::timeout, true},
    {IoStatus::transport, true},
    {IoStatus::resource, true},
    {IoStatus::device_resource, true},
    {IoStatus::again, true},
    {IoStatus::offline, true},
    {IoStatus::duration_limit, true},
    {IoStatus::zone_resource, true},
}};

class MultipathErrors : public testing::TestWithParam<ErrorRow> {};

TEST_P(MultipathErrors, FailThePathAndAreRetriedExactlyWhenThePathIsToBlame) {
    Driver map(two_groups());
    const Verdict verdict = map.complete(map.route(), GetParam().status);
    const bool later =
        GetParam().status == IoStatus::resource || GetParam().status == IoStatus::device_resource;
    EXPECT_EQ(verdict, !GetParam().fails_path ? Verdict::done
                       : later                ? Verdict::retry_later
                                              : Verdict::retry);
    const PathStatus path = map.path_status("a1");
    EXPECT_EQ(path.state, GetParam().fails_path ? PathState::down : PathState::up);
    EXPECT_EQ(path.fail_count, GetParam().fails_path ? 1u : 0u);
    EXPECT_EQ(path.in_flight, 0u);
    EXPECT_EQ(map.map->valid_paths(), GetParam().fails_path ? 3u : 4u);
    if (!GetParam().fails_path) return;
    EXPECT_EQ(path.failed_by, "I/O error");
    EXPECT_EQ(path.reason, io_status_name(GetParam().status));
    EXPECT_EQ(path.failed_at, map.now);
}

TEST_P(MultipathErrors, OnTheLastPathAreHeldWhenQueueing) {
    Driver map(one_path());
    const Verdict verdict = map.complete(map.route(), GetParam().status);
    EXPECT_EQ(verdict, GetParam().fails_path ? Verdict::hold : Verdict::done);
}

TEST_P(MultipathErrors, OnTheLastPathGoUpWhenNotQueueing) {
    MultipathSpec spec = one_path();
    spec.no_path.queue = false;
    Driver map(std::move(spec));
    EXPECT_EQ(map.complete(map.route(), GetParam().status), Verdict::done);
    EXPECT_EQ(map.map->valid_paths(), GetParam().fails_path ? 0u : 1u);
}

INSTANTIATE_TEST_SUITE_P(Every, MultipathErrors, testing::ValuesIn(error_rows),
                         [](const auto& row) {
                             std::string name(io_status_name(row.param.status));
                             std::erase(name, '-');
                             return name;
                         });

TEST(Multipath, RetriesAnErrorOfAPathThatIsAlreadyDownButFailsNothingAgain) {
    Driver map(two_groups());
    const Route first = map.route();
    map.route();
    const Route third = map.route();
    EXPECT_EQ(map.name_of(third), "a1");
    EXPECT_EQ(map.complete(first, IoStatus::timeout), Verdict::retry);
    map.told();
    EXPECT_EQ(map.complete(third, IoStatus::transport), Verdict::retry);
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.path_status("a1").fail_count, 1u);
    EXPECT_EQ(map.path_status("a1").reason, "timeout");
}

TEST(Multipath, TellsOfEachPathThatOneIoFails) {
    Driver map(two_groups());
    for (int tries = 0; tries < 3; ++tries) map.complete(map.route(), IoStatus::io);
    EXPECT_THAT(map.told(),
                ElementsAre("failed a1 left 3", "failed a2 left 2", "group 2", "failed b1 left 1"));
}

TEST(Multipath, PassesAnErrorUpWhenTheRequestHadAllItsTries) {
    MultipathSpec spec = two_groups();
    spec.attempts_max = 5;
    Driver map(std::move(spec));
    uint32_t attempts = 0;
    for (int tries = 1; tries <= 5; ++tries) {
        for (const char* path : {"a1", "a2", "b1", "b2"})
            map.check_says(Event::Kind::checker_up, path);
        const Route route = map.route(4096, attempts);
        attempts = route.ticket.attempts;
        EXPECT_EQ(attempts, static_cast<uint32_t>(tries));
        EXPECT_EQ(map.complete(route, IoStatus::io), tries < 5 ? Verdict::retry : Verdict::done);
    }
    EXPECT_EQ(map.map->valid_paths(), 3u) << "the path that failed the last try failed by the rule";
}

TEST(Multipath, TriesEveryPathOfAMapThatHasMoreThanTheTriesAllowed) {
    std::vector<std::string> names;
    for (int at = 0; at < 40; ++at) names.push_back(fmt::format("p{}", at));
    MultipathSpec spec = make_spec({make_group(names)});
    spec.attempts_max = 2;
    Driver map(std::move(spec));
    uint32_t attempts = 0;
    for (int tries = 1; tries <= 39; ++tries) {
        const Route route = map.route(4096, attempts);
        attempts = route.ticket.attempts;
        ASSERT_EQ(map.complete(route, IoStatus::transport), Verdict::retry) << tries;
    }
    EXPECT_EQ(map.complete(map.route(4096, attempts)), Verdict::done);
}

// --- failing and reinstating ---------------------------------------------------------------------

TEST(MultipathFailPath, TakesThePathOutAndCountsTheFailure) {
    Driver map(two_groups());
    map.fail("a1");
    EXPECT_EQ(map.io(3), "a2 a2 a2");
    const PathStatus path = map.path_status("a1");
    EXPECT_EQ(path.state, PathState::down);
    EXPECT_EQ(path.fail_count, 1u);
    EXPECT_EQ(path.failed_by, "operator");
    EXPECT_EQ(path.reason, "by hand");
    EXPECT_THAT(map.told(), ElementsAre("failed a1 left 3"));
}

TEST(MultipathFailPath, OnAFailedPathSucceedsAndDoesNothing) {
    Driver map(two_groups());
    map.fail("a1");
    map.told();
    map.fail("a1");
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.path_status("a1").fail_count, 1u);
    EXPECT_EQ(map.map->valid_paths(), 3u);
}

TEST(MultipathFailPath, IsUndoneByTheNextGoodCheck) {
    Driver map(two_groups());
    map.fail("a1");
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_EQ(map.path_status("a1").state, PathState::up);
}

TEST(MultipathFailPath, ThatIsStickyIsUndoneOnlyByReinstatePath) {
    Driver map(two_groups());
    map.fail("a1", true);
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_EQ(map.path_status("a1").state, PathState::down);
    EXPECT_TRUE(map.path_status("a1").sticky);
    map.reinstate("a1");
    EXPECT_EQ(map.path_status("a1").state, PathState::up);
    EXPECT_FALSE(map.path_status("a1").sticky);
    map.check_says(Event::Kind::checker_down, "a1");
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_EQ(map.path_status("a1").state, PathState::up) << "the hold is gone for good";
}

TEST(MultipathFailPath, ThatIsStickyHoldsAPathThatIsDownAlready) {
    Driver map(two_groups());
    map.check_says(Event::Kind::checker_down, "a1", "no answer");
    map.fail("a1", true);
    map.fail("a1", false);
    EXPECT_TRUE(map.path_status("a1").sticky);
    EXPECT_EQ(map.path_status("a1").fail_count, 1u);
    EXPECT_EQ(map.path_status("a1").failed_by, "check");
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_EQ(map.path_status("a1").state, PathState::down);
}

TEST(MultipathReinstatePath, OnAPathThatIsUpDoesNothing) {
    Driver map(two_groups());
    map.reinstate("a1");
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.map->valid_paths(), 4u);
}

TEST(MultipathReinstatePath, KeepsTheFailCountAndWhoFailedIt) {
    Driver map(two_groups());
    map.fail("a1");
    map.reinstate("a1");
    map.fail("a1");
    map.reinstate("a1");
    EXPECT_EQ(map.path_status("a1").fail_count, 2u);
    EXPECT_EQ(map.path_status("a1").failed_by, "operator");
    EXPECT_THAT(map.told(), ElementsAre("failed a1 left 3", "reinstated a1 left 4",
                                        "failed a1 left 3", "reinstated a1 left 4"));
}

TEST(MultipathChecker, FailsAPathThatIsUpWithItsReason) {
    Driver map(two_groups());
    map.check_says(Event::Kind::checker_down, "b1", "no answer in 30 s");
    EXPECT_EQ(map.path_status("b1").failed_by, "check");
    EXPECT_EQ(map.path_status("b1").reason, "no answer in 30 s");
    map.check_says(Event::Kind::checker_down, "b1", "again");
    EXPECT_EQ(map.path_status("b1").fail_count, 1u);
    EXPECT_EQ(map.path_status("b1").reason, "no answer in 30 s");
}

TEST(MultipathChecker, ReinstatesAPathThatAnIoErrorFailed) {
    Driver map(one_path());
    map.complete(map.route(), IoStatus::offline);
    map.told();
    map.check_says(Event::Kind::checker_up, "a");
    EXPECT_THAT(map.told(), ElementsAre("reinstated a left 1", "paths back", "disarm", "run held"));
    EXPECT_EQ(map.io(), "a");
}

TEST(MultipathChecker, SaysNothingNewAboutAPathThatIsUp) {
    Driver map(two_groups());
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_THAT(map.told(), IsEmpty());
}

TEST(Multipath, FailsAPathWhoseIoStalls) {
    Driver map(two_groups());
    map.check_says(Event::Kind::path_stalled, "a2", "no answer for 30 s");
    EXPECT_EQ(map.path_status("a2").failed_by, "stall");
    EXPECT_EQ(map.io(2), "a1 a1");
}

TEST(Multipath, StartsWithPathsThatAreDownAndTakesThemInOnAGoodCheck) {
    MultipathSpec spec = two_groups();
    spec.groups[0].paths[0].up = false;
    Driver map(std::move(spec));
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.map->valid_paths(), 3u);
    EXPECT_EQ(map.path_status("a1").failed_by, "start");
    EXPECT_EQ(map.path_status("a1").fail_count, 0u);
    EXPECT_EQ(map.io(2), "a2 a2");
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_EQ(map.io(), "a1");
}

TEST(Multipath, CountsWhatIsInFlightOnEachPath) {
    Driver map(two_groups());
    const Route first = map.route(1000);
    const Route second = map.route(500);
    const Route third = map.route(30);
    EXPECT_EQ(map.path_status("a1").in_flight, 2u);
    EXPECT_EQ(map.path_status("a1").in_flight_bytes, 1030u);
    EXPECT_EQ(map.path_status("a2").in_flight_bytes, 500u);
    map.complete(first);
    map.complete(second, IoStatus::medium);
    map.complete(third, IoStatus::io);
    EXPECT_EQ(map.path_status("a1").in_flight, 0u);
    EXPECT_EQ(map.path_status("a1").in_flight_bytes, 0u);
    EXPECT_EQ(map.path_status("a2").in_flight, 0u);
}

TEST(MultipathDeathTest, CatchesATicketThatComesBackTwice) {
    Driver map(two_groups());
    const Route route = map.route();
    map.complete(route);
    EXPECT_DEATH(map.complete(route), "exactly once");
}

}  // namespace
}  // namespace braidway::multipath
