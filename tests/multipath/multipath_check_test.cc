// SPDX-License-Identifier: Apache-2.0
// What a map refuses, and in which words.
#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string refusal(const Driver& map, const Event& event) {
    const auto good = map.map->check(event);
    return good ? "" : good.error().message;
}

TEST(MultipathCheck, RefusesPathsThatTheMapDoesNotHave) {
    const Driver map(two_groups());
    for (const Message message : {Message::fail_path, Message::reinstate_path}) {
        EXPECT_EQ(refusal(map, {.message = message, .path = 3, .reason = {}}), "");
        EXPECT_THAT(refusal(map, {.message = message, .path = 4, .reason = {}}),
                    HasSubstr("no path number 4: the map has 4 paths"));
        EXPECT_NE(refusal(map, {.message = message, .path = no_path, .reason = {}}), "");
    }
    for (const Event::Kind kind :
         {Event::Kind::checker_up, Event::Kind::checker_down, Event::Kind::path_stalled}) {
        EXPECT_EQ(refusal(map, {.kind = kind, .path = 0, .reason = {}}), "");
        EXPECT_NE(refusal(map, {.kind = kind, .path = 4, .reason = {}}), "");
    }
}

TEST(MultipathCheck, RefusesGroupsThatTheMapDoesNotHave) {
    const Driver map(two_groups());
    for (const Message message :
         {Message::switch_group, Message::disable_group, Message::enable_group}) {
        EXPECT_EQ(refusal(map, {.message = message, .group = 2, .reason = {}}), "");
        EXPECT_THAT(refusal(map, {.message = message, .group = 3, .reason = {}}),
                    HasSubstr("no priority group 3: the map has 2, numbered from 1"));
        EXPECT_NE(refusal(map, {.message = message, .group = 0, .reason = {}}), "");
    }
}

TEST(MultipathCheck, AcceptsWhatNeedsNeitherPathNorGroup) {
    const Driver map(MultipathSpec{});
    for (const Message message : {Message::queue_if_no_path, Message::fail_if_no_path})
        EXPECT_EQ(refusal(map, {.message = message, .reason = {}}), "");
    EXPECT_EQ(refusal(map, {.kind = Event::Kind::no_path_timer, .reason = {}}), "");
}

std::string create_error(MultipathSpec spec) {
    const auto made = Multipath::create(std::move(spec), Instant{});
    return made ? "" : made.error().message;
}

TEST(MultipathCreate, RefusesAnEmptyGroup) {
    EXPECT_THAT(create_error(make_spec({make_group({"a"}), make_group({})})),
                HasSubstr("group 2: a group needs a path"));
}

TEST(MultipathCreate, RefusesAPathThatIsThereTwice) {
    EXPECT_THAT(create_error(make_spec({make_group({"a"}), make_group({"b", "a"})})),
                HasSubstr("group 2: path a is there twice"));
}

TEST(MultipathCreate, RefusesAPathWithoutAName) {
    EXPECT_THAT(create_error(make_spec({make_group({""})})), HasSubstr("without a name"));
}

TEST(MultipathCreate, RefusesInitialGroupZeroWhenThereAreGroups) {
    MultipathSpec spec = one_path();
    spec.initial_group = 0;
    EXPECT_THAT(create_error(std::move(spec)), HasSubstr("invalid initial priority group"));
    MultipathSpec empty;
    empty.initial_group = 0;
    EXPECT_EQ(create_error(std::move(empty)), "");
}

TEST(MultipathCreate, RefusesAnUnknownSelectorAndSaysWhichThereAre) {
    EXPECT_THAT(create_error(make_spec({make_group({"a"}, "fastest")})),
                HasSubstr("group 1: unknown path selector type 'fastest'; there are: round-robin, "
                          "queue-length, service-time, "));
}

TEST(MultipathCreate, RefusesMorePathsOrGroupsThanTheLimits) {
    std::vector<std::string> names;
    std::vector<GroupSpec> groups;
    for (size_t at = 0; at <= limits::paths_max; ++at) {
        names.push_back(fmt::format("p{}", at));
        groups.push_back(make_group({names.back()}));
    }
    EXPECT_THAT(create_error(make_spec({make_group(names)})), HasSubstr("at most 1024"));
    EXPECT_THAT(create_error(make_spec(groups)), HasSubstr("at most 1024"));
    names.pop_back();
    EXPECT_EQ(create_error(make_spec({make_group(names)})), "");
}

TEST(MultipathCreate, RefusesANegativeTimeoutAndNoTries) {
    MultipathSpec negative = one_path();
    negative.no_path.timeout = -1s;
    EXPECT_THAT(create_error(std::move(negative)), HasSubstr("negative"));
    MultipathSpec no_tries = one_path();
    no_tries.attempts_max = 0;
    EXPECT_THAT(create_error(std::move(no_tries)), HasSubstr("at least one try"));
}

}  // namespace
}  // namespace braidway::multipath
