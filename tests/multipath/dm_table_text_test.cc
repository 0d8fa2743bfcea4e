// SPDX-License-Identifier: Apache-2.0
// Table lines as device-mapper prints them back.
//
// A fixed seed by default; RC_PARAMS="seed=7 max_success=10000" asks for others.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <array>
#include <cstdlib>

#include <fmt/format.h>

#include "multipath/dm_table.h"

namespace braidway::multipath {
namespace {

/// What `parameters` are printed back as.
std::string back(const std::string& parameters) {
    const auto map = parse_dm_table(parameters, nullptr);
    return map ? dm_table_text(*map) : map.error().message;
}

TEST(DmTableText, HasTheFeaturesInAFixedOrder) {
    EXPECT_EQ(back("8 queue_mode bio RETAIN_attached_hw_handler pg_init_delay_msecs 2000 "
                   "pg_init_retries 05 queue_if_no_path 1 alua 0 0"),
              "8 queue_if_no_path pg_init_retries 5 pg_init_delay_msecs 2000 "
              "retain_attached_hw_handler queue_mode bio 0 0 0");
    EXPECT_EQ(back("2 queue_mode rq 0 0 0"), "0 0 0 0");
    EXPECT_EQ(back("2 queue_if_no_path queue_if_no_path 0 0 0"), "1 queue_if_no_path 0 0 0");
}

TEST(DmTableText, SaysWhatBioModeImplies) {
    EXPECT_EQ(back("2 queue_mode bio 0 1 1 round-robin 0 1 1 p1 1"),
              "3 retain_attached_hw_handler queue_mode bio 0 1 1 round-robin 0 1 1 p1 1");
}

TEST(DmTableText, HasAHandlerWithoutItsArguments) {
    EXPECT_EQ(back("0 3 emc 1 0 0 0"), "0 1 emc 0 0");
}

TEST(DmTableText, ShowsTheHandlerThatADeviceHadAlsoInBioMode) {
    auto map = parse_dm_table("2 queue_mode bio 0 0 0", nullptr).value();
    map.handler.name = "alua";
    EXPECT_EQ(dm_table_text(map), "3 retain_attached_hw_handler queue_mode bio 1 alua 0 0");
}

TEST(DmTableText, ClampsRepeatCountsAndFillsInWhatIsNotGiven) {
    EXPECT_EQ(back("0 0 1 1 round-robin 0 3 1 p1 1000 p2 1 p3 0"),
              "0 0 1 1 round-robin 0 3 1 p1 1 p2 1 p3 0");
    EXPECT_EQ(back("0 0 2 1 service-time 0 1 0 p1 service-time 0 1 1 p2 128"),
              "0 0 2 1 service-time 0 1 2 p1 1 1 service-time 0 1 2 p2 1 1");
}

TEST(DmTableText, ShowsAnInitialGroupBeyondTheLastAsTheFirst) {
    EXPECT_EQ(back("0 0 1 2 round-robin 0 1 1 p1 1"), "0 0 1 1 round-robin 0 1 1 p1 1");
    EXPECT_EQ(back("0 0 2 2 round-robin 0 1 1 p1 1 round-robin 0 1 1 p2 1"),
              "0 0 2 2 round-robin 0 1 1 p1 1 round-robin 0 1 1 p2 1");
}

TEST(DmTableText, EscapesWhatWouldSplitAWord) {
    EXPECT_EQ(back(R"(0 1 a\ b 1 1 round-robin 0 1 1 p\\1\  1)"),
              R"(0 1 a\ b 1 1 round-robin 0 1 1 p\\1\  1)");
}

TEST(DmTableText, OfAMapWithoutPathsIsShort) {
    MultipathSpec map;
    EXPECT_EQ(dm_table_text(map), "1 queue_if_no_path 0 0 0");
}

using Word = std::string;

/// One of `words`.
Word any_of(std::initializer_list<Word> words) {
    return *rc::gen::elementOf(std::vector<Word>(words));
}

/// Every selector there is, of those of device-mapper.
std::vector<Word> selectors() {
    std::vector<Word> known;
    for (const char* name :
         {"round-robin", "queue-length", "service-time", "historical-service-time", "io-affinity"})
        if (make_selector(name, {}, {})) known.emplace_back(name);
    return known;
}

/// A group with random words, as its selector prints them back.
GroupSpec random_group() {
    GroupSpec group;
    group.selector = *rc::gen::elementOf(selectors());
    if (group.selector == "historical-service-time" && *rc::gen::arbitrary<bool>())
        group.selector_arguments = {fmt::to_string(*rc::gen::inRange(0, 1024)),
                                    fmt::to_string(*rc::gen::inRange(0, 9))};
    const size_t paths = *rc::gen::inRange<size_t>(1, 6);
    std::vector<PathArguments> arguments(paths);
    for (size_t path = 0; path < paths; ++path) {
        if (group.selector == "io-affinity")
            arguments[path] = {fmt::format("{:x}", 1U << path)};
        else if (*rc::gen::arbitrary<bool>())
            arguments[path] = {any_of({"0", "1", "1000"})};
        if (group.selector == "service-time" && !arguments[path].empty())
            arguments[path].push_back(fmt::to_string(*rc::gen::inRange(0, 101)));
    }
    const auto made = make_selector(group.selector, group.selector_arguments, arguments);
    if (!made) RC_FAIL(made.error().message);
    group.selector_arguments = (*made)->group_words();
    for (Selector::Index path = 0; path < paths; ++path) {
        PathSpec& each = group.paths.emplace_back();
        each.name = any_of({"8:0", "8:16", "p", "p 1", "\\", "a\\ b", "\t", "1"});
        each.arguments = (*made)->table_words(path);
    }
    return group;
}

/// A map as a table can say it, with everything filled in.
MultipathSpec random_map() {
    MultipathSpec map;
    map.no_path = {.queue = *rc::gen::arbitrary<bool>(), .timeout = std::nullopt};
    map.pg_init_retries = *rc::gen::inRange(0U, 51U);
    if (*rc::gen::arbitrary<bool>())
        map.pg_init_delay = std::chrono::milliseconds(*rc::gen::inRange(0, 60001));
    if (*rc::gen::arbitrary<bool>()) map.queue_mode = QueueMode::bio;
    map.retain_attached_handler = map.queue_mode == QueueMode::bio || *rc::gen::arbitrary<bool>();
    if (map.queue_mode == QueueMode::request)
        map.handler.name = any_of({"", "alua", "emc", "rdac", "hp_sw", "a b"});
    const size_t groups = *rc::gen::inRange<size_t>(0, 5);
    for (size_t group = 0; group < groups; ++group) map.groups.push_back(random_group());
    map.initial_group = groups == 0 ? 0 : *rc::gen::inRange(1U, static_cast<uint32_t>(groups) + 1);
    return map;
}

void expect_same(const MultipathSpec& one, const MultipathSpec& other) {
    RC_ASSERT(one.no_path.queue == other.no_path.queue);
    RC_ASSERT(one.no_path.timeout == other.no_path.timeout);
    RC_ASSERT(one.pg_init_retries == other.pg_init_retries);
    RC_ASSERT(one.pg_init_delay == other.pg_init_delay);
    RC_ASSERT(one.queue_mode == other.queue_mode);
    RC_ASSERT(one.retain_attached_handler == other.retain_attached_handler);
    RC_ASSERT(one.handler.name == other.handler.name);
    RC_ASSERT(one.handler.parameters == other.handler.parameters);
    RC_ASSERT(one.initial_group == other.initial_group);
    RC_ASSERT(one.groups.size() == other.groups.size());
    for (size_t group = 0; group < one.groups.size(); ++group) {
        const GroupSpec& mine = one.groups[group];
        const GroupSpec& yours = other.groups[group];
        RC_ASSERT(mine.selector == yours.selector);
        RC_ASSERT(mine.selector_arguments == yours.selector_arguments);
        RC_ASSERT(mine.paths.size() == yours.paths.size());
        for (size_t path = 0; path < mine.paths.size(); ++path) {
            RC_ASSERT(mine.paths[path].name == yours.paths[path].name);
            RC_ASSERT(mine.paths[path].arguments == yours.paths[path].arguments);
        }
    }
}

TEST(DmTableText, ReadsBackAsTheMapItWasPrintedFrom) {
    ::setenv("RC_PARAMS", "seed=4", 0);
    EXPECT_TRUE(rc::check("parse(print(map)) is the map", [] {
        const MultipathSpec map = random_map();
        const std::string text = dm_table_text(map);
        const auto read = parse_dm_table(text, nullptr);
        if (!read) RC_FAIL(text + ": " + read.error().message);
        expect_same(*read, map);
        RC_ASSERT(dm_table_text(*read) == text);
    }));
}

/// A line that is a table in most of its words.
TEST(DmTableText, OfAnyAcceptedLineIsItsOwnText) {
    ::setenv("RC_PARAMS", "seed=4", 0);
    EXPECT_TRUE(rc::check("print(parse(text)) is a fixed point", [] {
        std::string text = dm_table_text(random_map());
        std::vector<Word> words = split_dm_words(text);
        const int changes = *rc::gen::inRange(0, 3);
        for (int change = 0; change < changes; ++change)
            words[*rc::gen::inRange<size_t>(0, words.size())] =
                any_of({"0", "1", "2", "7", "4294967297", "queue_if_no_path", "QUEUE_MODE", "rq",
                        "round-robin", "queue-length", "service-time", "p", "x"});
        text.clear();
        for (const Word& word : words) text += " " + escape_dm_word(word);
        const auto map = parse_dm_table(text, nullptr);
        RC_CLASSIFY(map.has_value(), "accepted");
        if (!map) return;
        const std::string printed = dm_table_text(*map);
        const auto again = parse_dm_table(printed, nullptr);
        if (!again) RC_FAIL(printed + ": " + again.error().message);
        RC_ASSERT(dm_table_text(*again) == printed);
    }));
}

}  // namespace
}  // namespace braidway::multipath
