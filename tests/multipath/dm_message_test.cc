// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_message.h"

#include <gmock/gmock.h>

#include <cerrno>

namespace braidway::multipath {
namespace {

using testing::StartsWith;

/// A map of two groups with the paths p1 and p2, in a world with more devices.
DmMessageMap some_map() {
    return {.groups = 2,
            .device = [](std::string_view name) -> Result<void> {
                if (name == "tty") return fail("no block device", ENOTBLK);
                if (name == "4096:0") return fail("no such number", EOVERFLOW);
                if (name == "gone") return fail("no such device", ENOENT);
                return {};
            },
            .in_table = [](std::string_view name) { return name == "p1" || name == "p2"; }};
}

Result<DmMessage> read(std::string_view text) {
    return parse_dm_message(split_dm_words(text), some_map());
}

TEST(DmMessage, OfEveryKindIsReadWithoutRegardToCase) {
    EXPECT_EQ(read("QUEUE_IF_NO_PATH"), (DmMessage{Message::queue_if_no_path, "", 0}));
    EXPECT_EQ(read("fail_if_no_path"), (DmMessage{Message::fail_if_no_path, "", 0}));
    EXPECT_EQ(read("Fail_Path p1"), (DmMessage{Message::fail_path, "p1", 0}));
    EXPECT_EQ(read("reinstate_path p2"), (DmMessage{Message::reinstate_path, "p2", 0}));
    EXPECT_EQ(read("switch_group 2"), (DmMessage{Message::switch_group, "", 2}));
    EXPECT_EQ(read("disable_group 1"), (DmMessage{Message::disable_group, "", 1}));
    EXPECT_EQ(read("enable_group 1"), (DmMessage{Message::enable_group, "", 1}));
}

TEST(DmMessage, GroupNumbersWrapAtTwoToThe32) {
    EXPECT_EQ(read("switch_group 01")->group, 1u);
    EXPECT_EQ(read("switch_group 4294967297")->group, 1u);
    EXPECT_EQ(read("enable_group 4294967298")->group, 2u);
}

TEST(DmMessage, IsRefusedWithTheKernelsCode) {
    struct Refusal {
        const char* text;
        int code;
        const char* message;
    };
    const Refusal refusals[] = {
        {"", EINVAL, "Empty message received: expected queue_if_no_path"},
        {"nonsense", EINVAL, "Invalid multipath message arguments. Expected 2 arguments, got 1:"},
        {"fail_path", EINVAL, "Invalid multipath message arguments. Expected 2 arguments, got 1:"},
        {"fail_path p1 p2", EINVAL, "Invalid multipath message arguments. Expected 2 arguments"},
        {"queue_if_no_path 1", EINVAL, "Unrecognised multipath message received: 'queue_if_no_pa"},
        {"nonsense gone", EINVAL, "Unrecognised multipath message received: 'nonsense': expected"},
        {"switch_group 0", EINVAL, "switch_group: invalid PG number supplied: '0': expected"},
        {"switch_group 3", EINVAL, "switch_group: invalid PG number supplied: '3': expected"},
        {"enable_group 4294967296", EINVAL, "enable_group: invalid PG number supplied"},
        {"disable_group +1", EINVAL, "disable_group: invalid PG number supplied"},
        {"switch_group 1x", EINVAL, "switch_group: invalid PG number supplied"},
        {"switch_group -1", EINVAL, "switch_group: invalid PG number supplied"},
        {"fail_path gone", ENOENT, "message: error getting device 'gone': no such device"},
        {"reinstate_path tty", ENOTBLK, "message: error getting device 'tty': no block device"},
        {"fail_path 4096:0", EOVERFLOW, "message: error getting device '4096:0'"},
        {"fail_path p3", EINVAL, "fail_path 'p3': the table has no such path"},
    };
    for (const Refusal& each : refusals) {
        const auto refused = read(each.text);
        ASSERT_FALSE(refused) << each.text;
        EXPECT_EQ(refused.error().code, each.code) << each.text;
        EXPECT_THAT(refused.error().message, StartsWith(each.message)) << each.text;
    }
}

TEST(DmMessage, OfAGroupIsRefusedByAMapWithoutGroups) {
    const auto refused =
        parse_dm_message(std::vector<std::string>{"switch_group", "1"}, DmMessageMap{});
    EXPECT_EQ(refused.error().message,
              "switch_group: invalid PG number supplied: '1': the map has no groups");
}

TEST(DmMessage, IsPrintedAsItIsRead) {
    for (const char* text :
         {"queue_if_no_path", "fail_if_no_path", "fail_path p1", "reinstate_path p2",
          "switch_group 2", "disable_group 1", "enable_group 2"})
        EXPECT_EQ(dm_message_text(read(text).value()), text);
    const DmMessage strange{Message::fail_path, "a b\\", 0};
    EXPECT_EQ(parse_dm_message(split_dm_words(dm_message_text(strange)), DmMessageMap{}), strange);
}

}  // namespace
}  // namespace braidway::multipath
