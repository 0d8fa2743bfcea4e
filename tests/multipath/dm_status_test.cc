// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_status.h"

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(DmStatus, HoldsWhatTheLineSays) {
    const auto info = parse_dm_info(
        "2 1 3 0 2 2 D 2 972 0 2 3 8:0 F 4 1024 0 55 8:16 A 0 1 -1 0 A 0 1 0 8:32 A 1");
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_TRUE(info->queue_io);
    EXPECT_EQ(info->pg_init_count, 3u);
    EXPECT_EQ(info->group, 2u);
    ASSERT_EQ(info->groups.size(), 2u);
    EXPECT_EQ(info->groups[0].state, GroupState::disabled);
    EXPECT_THAT(info->groups[0].words, ElementsAre("972", "0"));
    EXPECT_THAT(info->groups[0].paths,
                ElementsAre(DmInfoPath{"8:0", PathState::down, 4, {"1024", "0", "55"}},
                            DmInfoPath{"8:16", PathState::up, 0, {"1", "-1", "0"}}));
    EXPECT_EQ(info->groups[1].state, GroupState::active);
    EXPECT_THAT(info->groups[1].words, IsEmpty());
    EXPECT_THAT(info->groups[1].paths, ElementsAre(DmInfoPath{"8:32", PathState::up, 1, {}}));
}

TEST(DmStatus, OfAMapWithoutGroupsIsShort) {
    DmInfo info;
    EXPECT_EQ(dm_info_text(info), "2 1 0 0 0 0");
    EXPECT_EQ(parse_dm_info("2 1 0 0 0 0"), info);
}

TEST(DmStatus, IsRefusedWithTheWordThatIsWrong) {
    const std::pair<const char*, const char*> lines[] = {
        {"", "word 1, where the line ends: expected 2"},
        {"3 0 0 0 0 0", "word 1 '3': expected 2"},
        {"2 2 0 0 0 0", "word 2 '2': expected 0 or 1"},
        {"2 0 x 0 0 0", "word 3 'x': expected the number of activations"},
        {"2 0 0 1 0 0", "word 4 '1': expected 0, the number of handler words"},
        {"2 0 0 0 1025 1", "word 5 '1025': expected the number of groups"},
        {"2 0 0 0 0 1", "word 6 '1': expected the number of a group"},
        {"2 0 0 0 1 0", "word 6 '0': expected the number of a group"},
        {"2 0 0 0 1 2", "word 6 '2': expected the number of a group"},
        {"2 0 0 0 0 0 x", "word 7 'x': expected the end of the line"},
        {"2 0 0 0 1 1", "word 7, where the line ends, group 1: expected A, E or D"},
        {"2 0 0 0 1 1 AE", "word 7 'AE', group 1: expected A, E or D"},
        {"2 0 0 0 1 1 A 1", "word 8 '1', group 1: expected the number of the selector's words"},
        {"2 0 0 0 1 1 A 0 1025 0", "word 9 '1025', group 1: expected the number of paths"},
        {"2 0 0 0 1 1 A 0 1 x", "word 10 'x', group 1: expected the number of words for each"},
        {"2 0 0 0 1 1 A 0 1 0", "word 11, where the line ends, group 1, path 1: expected a device"},
        {"2 0 0 0 1 1 A 0 1 0 8:0 U 0", "word 12 'U', group 1, path 1: expected A or F"},
        {"2 0 0 0 1 1 A 0 1 0 8:0 A x", "word 13 'x', group 1, path 1: expected how often"},
        {"2 0 0 0 1 1 A 0 1 2 8:0 A 0 1", "word 14 '1', group 1, path 1: expected 2 words"},
    };
    for (const auto& [line, message] : lines) {
        const auto refused = parse_dm_info(line);
        ASSERT_FALSE(refused) << line;
        EXPECT_THAT(refused.error().message,
                    StartsWith(std::string("not a multipath status line: ") + message))
            << line;
        EXPECT_EQ(refused.error().code, EINVAL);
    }
    EXPECT_THAT(parse_dm_info("x", 3).error().message, HasSubstr("word 4 'x'"));
}

PathArguments random_words(size_t count) {
    const std::vector<std::string> words{"0", "-1", "18446744073709551615", "a b", "\\"};
    PathArguments made;
    for (size_t word = 0; word < count; ++word) made.push_back(*rc::gen::elementOf(words));
    return made;
}

DmInfoGroup random_group() {
    DmInfoGroup group;
    group.state = *rc::gen::element(GroupState::enabled, GroupState::active, GroupState::disabled);
    group.words = random_words(*rc::gen::inRange<size_t>(0, 3));
    const size_t words_per_path = *rc::gen::inRange<size_t>(0, 4);
    const int paths = *rc::gen::inRange(0, 5);
    for (int path = 0; path < paths; ++path)
        group.paths.push_back({.name = random_words(1)[0],
                               .state = *rc::gen::element(PathState::up, PathState::down),
                               .fail_count = *rc::gen::arbitrary<uint32_t>(),
                               .words = random_words(words_per_path)});
    return group;
}

TEST(DmStatus, ReadsBackAsItWasPrinted) {
    ::setenv("RC_PARAMS", "seed=4", 0);
    EXPECT_TRUE(rc::check("parse(print(info)) is the info", [] {
        DmInfo info;
        info.queue_io = *rc::gen::arbitrary<bool>();
        info.pg_init_count = *rc::gen::arbitrary<uint32_t>();
        const uint32_t groups = *rc::gen::inRange(0U, 5U);
        for (uint32_t group = 0; group < groups; ++group) info.groups.push_back(random_group());
        info.group = groups == 0 ? 0 : *rc::gen::inRange(1U, groups + 1);
        const auto read = parse_dm_info(dm_info_text(info));
        if (!read) RC_FAIL(read.error().message);
        RC_ASSERT(*read == info);
    }));
}

}  // namespace
}  // namespace braidway::multipath
