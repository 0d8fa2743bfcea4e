// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_table.h"

#include <gmock/gmock.h>

#include <cerrno>

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

MultipathSpec accepted(const std::string& parameters) {
    const auto map = parse_dm_table(parameters, nullptr);
    EXPECT_TRUE(map) << parameters << ": " << map.error().message;
    return map.value_or(MultipathSpec{});
}

Error refused(const std::string& parameters, const DeviceLookup& lookup = nullptr) {
    const auto map = parse_dm_table(parameters, lookup);
    EXPECT_FALSE(map) << parameters;
    return map ? Error{} : map.error();
}

/// A table with these feature words and one path.
std::string with_features(const std::string& features) {
    return features + " 0 1 1 round-robin 0 1 0 p1";
}

TEST(DmTable, HoldsWhatTheLineSays) {
    const MultipathSpec map = accepted(
        "7 pg_init_retries 50 queue_if_no_path pg_init_delay_msecs 0 queue_mode mq "
        "3 emc 1 0 2 2 service-time 0 2 2 8:0 1 50 8:16 1 1 round-robin 0 1 0 8:32");
    EXPECT_TRUE(map.no_path.queue);
    EXPECT_EQ(map.no_path.timeout, std::nullopt);
    EXPECT_EQ(map.pg_init_retries, 50u);
    EXPECT_EQ(map.pg_init_delay, Duration(0));
    EXPECT_EQ(map.queue_mode, QueueMode::request);
    EXPECT_FALSE(map.retain_attached_handler);
    EXPECT_EQ(map.handler.name, "emc");
    EXPECT_THAT(map.handler.parameters, ElementsAre("1", "0"));
    EXPECT_EQ(map.initial_group, 2u);
    ASSERT_EQ(map.groups.size(), 2u);
    EXPECT_EQ(map.groups[0].selector, "service-time");
    ASSERT_EQ(map.groups[0].paths.size(), 2u);
    EXPECT_EQ(map.groups[0].paths[0].name, "8:0");
    EXPECT_THAT(map.groups[0].paths[0].arguments, ElementsAre("1", "50"));
    EXPECT_EQ(map.groups[0].paths[1].name, "8:16");
    EXPECT_EQ(map.groups[1].selector, "round-robin");
    ASSERT_EQ(map.groups[1].paths.size(), 1u);
    EXPECT_THAT(map.groups[1].paths[0].arguments, IsEmpty());
}

TEST(DmTable, WithoutAFeatureFailsIoThatHasNoPath) {
    const MultipathSpec map = accepted("0 0 0 0");
    EXPECT_FALSE(map.no_path.queue);
    EXPECT_EQ(map.no_path.timeout, std::nullopt);
    EXPECT_EQ(map.pg_init_retries, 0u);
    EXPECT_EQ(map.pg_init_delay, std::nullopt);
    EXPECT_EQ(map.handler.name, "");
    EXPECT_THAT(map.groups, IsEmpty());
    EXPECT_EQ(map.initial_group, 0u);
}

TEST(DmTable, FeatureWordsAreReadWithoutCaseAndTheLastOfTwoCounts) {
    const MultipathSpec map = accepted(
        with_features("7 QUEUE_IF_NO_PATH Queue_If_No_Path Pg_Init_Retries 5 PG_INIT_RETRIES 3 "
                      "Retain_Attached_HW_Handler"));
    EXPECT_TRUE(map.no_path.queue);
    EXPECT_TRUE(map.retain_attached_handler);
    EXPECT_EQ(map.pg_init_retries, 3u);
    const MultipathSpec modes = accepted(with_features("4 queue_mode BIO queue_mode Rq"));
    EXPECT_EQ(modes.queue_mode, QueueMode::request);
    EXPECT_FALSE(modes.retain_attached_handler);
}

TEST(DmTable, BioModeRetainsTheAttachedHandlerAndForgetsItsOwn) {
    const auto target = parse_dm_target(
        "0 10 multipath 2 queue_mode bio 3 emc 1 0 1 1 round-robin 0 1 0 p1", nullptr);
    ASSERT_TRUE(target) << target.error().message;
    EXPECT_EQ(target->map.queue_mode, QueueMode::bio);
    EXPECT_TRUE(target->map.retain_attached_handler);
    EXPECT_EQ(target->map.handler.name, "");
    EXPECT_THAT(target->map.handler.parameters, IsEmpty());
    EXPECT_THAT(target->warnings, ElementsAre(HasSubstr("'emc' is forgotten")));
}

TEST(DmTable, NumbersWrapAtTwoToThe32) {
    const MultipathSpec map =
        accepted("4294967297 queue_if_no_path 0 01 4294967297 round-robin 0 1 4294967296 p1");
    EXPECT_TRUE(map.no_path.queue);
    EXPECT_EQ(map.initial_group, 1u);
}

TEST(DmTable, AcceptsAPathTwiceAndAnInitialGroupBeyondTheLast) {
    const MultipathSpec map = accepted("0 0 1 1024 round-robin 0 2 1 p1 1 p1 1000");
    EXPECT_EQ(map.initial_group, 1024u);
    EXPECT_EQ(map.groups[0].paths[0].name, map.groups[0].paths[1].name);
}

/// Each line with the start of its message; the kernel's words come first, then the place.
TEST(DmTable, IsRefusedInTheKernelsWords) {
    const std::pair<const char*, const char*> lines[] = {
        {"",
         "invalid number of feature args: word 1, where the line ends: expected a whole number "
         "from 0 to 8"},
        {"9", "invalid number of feature args: word 1 '9': expected"},
        {"-1 0 0 0", "invalid number of feature args: word 1 '-1'"},
        {"3 queue_if_no_path 0",
         "invalid number of feature args: word 1 '3': 3 words are announced, 2 are left"},
        {"1 no_such 0 0 0", "Unrecognised multipath feature request: word 2 'no_such'"},
        {"1 pg_init_retries 5 0 0 0",
         "Unrecognised multipath feature request: word 2 'pg_init_retries': the features end"},
        {"1 queue_mode bio 0 0 0", "Unrecognised multipath feature request: word 2 'queue_mode'"},
        {"1 pg_init_delay_msecs 1 0 0 0", "Unrecognised multipath feature request: word 2"},
        {"2 pg_init_retries 0 0 0 0", "pg_init_retries must be between 1 and 50: word 3 '0'"},
        {"2 pg_init_retries 51 0 0 0", "pg_init_retries must be between 1 and 50: word 3 '51'"},
        {"2 pg_init_delay_msecs 60001 0 0 0",
         "pg_init_delay_msecs must be between 0 and 60000: word 3 '60001'"},
        {"2 queue_mode none 0 0 0", "Unknown 'queue_mode' requested: word 3 'none'"},
        {"0", "invalid number of hardware handler args: word 2, where the line ends"},
        {"0 1", "invalid number of hardware handler args: word 2 '1': 1 words"},
        {"0 1025 0 0", "invalid number of hardware handler args: word 2 '1025'"},
        {"0 0", "invalid number of priority groups: word 3, where the line ends"},
        {"0 0 1025 1", "invalid number of priority groups: word 3 '1025'"},
        {"0 0 1", "invalid initial priority group number: word 4, where"},
        {"0 0 1 x", "invalid initial priority group number: word 4 'x'"},
        {"0 0 1 0 bad", "invalid initial priority group: word 4 '0'"},
        {"0 0 0 1 bad", "invalid initial priority group: word 4 '1'"},
        {"0 0 0 0 round-robin 0 1 0 p1",
         "priority group count mismatch: word 3 '0': 0 groups are announced, the line has 1"},
        {"0 0 2 1 round-robin 0 1 0 p1", "priority group count mismatch: word 3 '2'"},
        {"0 0 1 1", "priority group count mismatch: word 3 '1'"},
        {"0 0 1 1 round-robin",
         "not enough priority group arguments: word 5 'round-robin', group 1"},
        {"0 0 1 1 bad", "not enough priority group arguments: word 5 'bad', group 1"},
        {"0 0 1 1 bad x",
         "unknown path selector type: word 5 'bad', group 1: there are: round-robin, "},
        {"0 0 1 1 Round-Robin 0 1 0 p1", "unknown path selector type: word 5 'Round-Robin'"},
        {"0 0 1 1 round-robin x", "invalid number of path selector args: word 6 'x', group 1"},
        {"0 0 1 1 round-robin 1", "invalid number of path selector args: word 6 '1', group 1"},
        {"0 0 1 1 round-robin 0", "invalid number of paths: word 7, where the line ends, group 1"},
        {"0 0 1 1 round-robin 0 0 0", "invalid number of paths: word 7 '0', group 1"},
        {"0 0 1 1 round-robin 0 1025 0", "invalid number of paths: word 7 '1025', group 1"},
        {"0 0 1 1 round-robin 0 1", "invalid number of selector args: word 8, where"},
        {"0 0 1 1 round-robin 0 1 1025", "invalid number of selector args: word 8 '1025'"},
        {"0 0 1 1 round-robin 0 1 0",
         "not enough path parameters: word 9, where the line ends, group 1, path 1"},
        {"0 0 1 1 round-robin 0 2 1 p1 1 p2",
         "not enough path parameters: word 11 'p2', group 1, path 2"},
    };
    for (const auto& [line, message] : lines) {
        const Error error = refused(line);
        EXPECT_THAT(error.message, StartsWith(message)) << line;
        EXPECT_EQ(error.code, EINVAL) << line;
    }
}

TEST(DmTable, CountsTheWordsOfTheWholeLineInItsMessages) {
    const auto target = parse_dm_target("mpatha: 0 10 multipath 0 0 1 1 bad x", nullptr);
    ASSERT_FALSE(target);
    EXPECT_THAT(target.error().message, StartsWith("unknown path selector type: word 9 'bad'"));
}

TEST(DmTable, PassesTheErrorOfALookupOn) {
    const DeviceLookup lookup = [](std::string_view name) -> Result<void> {
        if (name == "p1") return {};
        return fail("there is no such device", ENOENT);
    };
    const Error error = refused("0 0 1 1 round-robin 0 2 0 p1 9:99", lookup);
    EXPECT_EQ(error.message,
              "error getting device: word 10 '9:99', group 1, path 2: there is no such device");
    EXPECT_EQ(error.code, ENOENT);
}

TEST(DmTable, SaysWhatIsWrongOnOneLineWhateverIsInIt) {
    for (const char* line :
         {"0 0 1 1 round-robin 0 1 1 p\\\n1 \x01", "0 0 1 1 a\\\nb 0", "1 a\\\nb 0 0 0"})
        EXPECT_EQ(refused(line).message.find_first_of("\n\x01"), std::string::npos) << line;
}

/// Which of two problems in a line is found: the kernel stops at its first.
TEST(DmTable, ChecksPathByPathTheDeviceBeforeItsWords) {
    const DeviceLookup lookup = [](std::string_view name) -> Result<void> {
        if (name.starts_with("p")) return {};
        return fail("no", name == "char" ? ENOTBLK : ENOENT);
    };
    EXPECT_EQ(refused("0 0 1 1 round-robin 0 2 1 char x gone 1", lookup).code, ENOTBLK);
    const Error words_first = refused("0 0 1 1 round-robin 0 2 1 p1 x gone 1", lookup);
    EXPECT_EQ(words_first.code, EINVAL);
    EXPECT_THAT(words_first.message,
                HasSubstr("(word 9 'p1', group 1, path 1: its words are 'x')"));
    EXPECT_EQ(refused("0 0 1 1 round-robin 0 3 1 p1 1 gone 1 p2 x", lookup).code, ENOENT);
    EXPECT_THAT(refused("0 0 1 1 round-robin 0 3 1 p1 1 p2 x p3", lookup).message,
                HasSubstr("group 1, path 2"));
    EXPECT_THAT(refused("0 0 1 1 round-robin 0 3 1 p1 1 p2 1 p3", lookup).message,
                StartsWith("not enough path parameters"));
    EXPECT_EQ(refused("0 0 2 1 round-robin 0 1 0 gone bad x", lookup).code, ENOENT);
}

TEST(DmTable, FindsTheFirstOfManyPathsThatItsSelectorRefuses) {
    std::string line = "0 0 1 1 service-time 0 1024 2";
    for (int path = 1; path <= 1024; ++path) line += path % 777 == 0 ? " p 1 101" : " p 1 100";
    EXPECT_THAT(refused(line).message, HasSubstr("group 1, path 777: its words are '1 101'"));
}

}  // namespace
}  // namespace braidway::multipath
