// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "apps/braidway/dm_explain.h"

namespace braidway::apps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> warnings(const std::string& parameters) {
    const auto target = multipath::parse_dm_target("0 8 multipath " + parameters, nullptr);
    EXPECT_TRUE(target) << target.error().message;
    return target ? dm_target_warnings(*target) : std::vector<std::string>{};
}

TEST(DmWarnings, AreNotGivenForAnOrdinaryTable) {
    EXPECT_THAT(warnings("1 retain_attached_hw_handler 0 2 1 service-time 0 2 2 p1 1 1 p2 0 0 "
                         "round-robin 0 1 0 p3"),
                IsEmpty());
}

TEST(DmWarnings, TellOfQueueingWithoutALimit) {
    EXPECT_THAT(warnings("1 queue_if_no_path 0 1 1 round-robin 0 1 0 p1"),
                ElementsAre(StartsWith("queue_if_no_path has no limit")));
}

TEST(DmWarnings, TellOfRepeatCountsThatAreIgnored) {
    EXPECT_THAT(warnings("0 0 2 1 round-robin 0 2 1 p1 1000 p2 1 service-time 0 1 1 p3 2"),
                ElementsAre(StartsWith("2 paths have a repeat count above 1")));
    EXPECT_THAT(warnings("0 0 1 1 round-robin 0 1 1 p1 128"),
                ElementsAre(StartsWith("1 path has a repeat count above 1")));
}

TEST(DmWarnings, TellOfHandlersThatAreForgottenUnknownOrNotForEveryDevice) {
    const std::string path = " 1 1 round-robin 0 1 0 p1";
    EXPECT_THAT(warnings("2 queue_mode bio 1 alua" + path),
                ElementsAre(HasSubstr("'alua' is forgotten")));
    EXPECT_THAT(warnings("0 1 hp_ws" + path),
                ElementsAre(HasSubstr("no hardware handler 'hp_ws'; there are alua, emc")));
    EXPECT_THAT(warnings("0 2 alua 1" + path),
                ElementsAre(HasSubstr("is for SCSI devices"), HasSubstr("never printed back")));
    EXPECT_THAT(warnings("2 pg_init_retries 3 0" + path),
                ElementsAre(HasSubstr("no effect without a hardware handler")));
}

TEST(DmWarnings, TellOfPathsAndGroupsThatAreNotWhatTheySeem) {
    EXPECT_THAT(warnings("0 0 2 1 round-robin 0 2 0 p1 p2 round-robin 0 1 0 p1"),
                ElementsAre(StartsWith("'p1' is listed 2 times")));
    EXPECT_THAT(warnings("0 0 1 2 round-robin 0 1 0 p1"),
                ElementsAre(StartsWith("There is no group 2 to try first")));
    EXPECT_THAT(warnings("0 0 0 0"), ElementsAre(StartsWith("There are no paths")));
    EXPECT_THAT(warnings("2 queue_if_no_path queue_if_no_path 0 1 1 round-robin 0 1 0 p1"),
                ElementsAre(StartsWith("queue_if_no_path is given more than once"),
                            StartsWith("queue_if_no_path has no limit")));
}

TEST(DmWarnings, TellOfAStartThatIsNotZero) {
    const auto target =
        multipath::parse_dm_target("8 8 multipath 0 0 1 1 round-robin 0 1 0 p1", nullptr);
    ASSERT_TRUE(target);
    EXPECT_THAT(dm_target_warnings(*target), ElementsAre(StartsWith("It starts at sector 8")));
}

}  // namespace
}  // namespace braidway::apps
