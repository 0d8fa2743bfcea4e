// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/dm_explain.h"

#include <gmock/gmock.h>

namespace braidway::apps {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string explained(const std::string& line) {
    const auto target = multipath::parse_dm_target(line, nullptr);
    EXPECT_TRUE(target) << target.error().message;
    return target ? explain_dm_target(*target, line) : "";
}

TEST(DmExplain, SaysEverythingInOrder) {
    EXPECT_EQ(explained("mpatha: 0 2097152 multipath 3 pg_init_retries 50 "
                        "retain_attached_hw_handler 1 rdac 2 2 service-time 0 2 2 8:0 1 50 8:160 1 "
                        "0 round-robin 0 1 1 8:32 1"),
              R"(mpatha: 1.0G (2097152 sectors), 3 paths in 2 groups
Without a path: I/O fails at once.
Hardware handler: rdac: IBM DS, NetApp E-Series, Dell MD and kin: moves the LUN to the other controller (mode select)
A handler that a device has already is kept (retain_attached_hw_handler).
Activating a group is tried again up to 50 times (pg_init_retries).

Group 1 of 2, the first choice once the one tried first has no path left
  service-time: the path that should be done first: bytes in flight by relative throughput
    8:0    relative throughput 50
    8:160  only when no other path is left

Group 2 of 2, tried first
  round-robin: every path in its turn, one I/O each
    8:32

I/O stays in a group while it has a path; then the first group that has one is taken,
disabled groups last. Going back to a better group takes a message (switch_group).

Warning: The hardware handler rdac is for SCSI devices: the kernel refuses the table with any other path.
)");
}

TEST(DmExplain, ShowsWhatThePrintedLineWouldBeWhenItDiffers) {
    const std::string same = "0 8 multipath 0 0 1 1 round-robin 0 1 1 p1 1";
    EXPECT_THAT(explained(same), Not(HasSubstr("print it back")));
    EXPECT_THAT(explained("  0 8\tmultipath 0 0 1 1 round-robin 0 1 1 p1 1 "),
                Not(HasSubstr("print it back")));
    EXPECT_THAT(explained("x: 0 8 multipath 2 queue_mode bio 0 1 1 round-robin 0 1 0 p1"),
                HasSubstr("\nThe kernel would print it back as\n"
                          "  x: 0 8 multipath 3 retain_attached_hw_handler queue_mode bio 0 1 1 "
                          "round-robin 0 1 1 p1 1\n"));
}

TEST(DmExplain, FillsInWhatAPathDoesNotSay) {
    EXPECT_THAT(explained("0 8 multipath 0 0 1 1 service-time 0 1 0 p1"),
                HasSubstr("    p1  relative throughput 1\n"));
}

TEST(DmExplain, SpeaksOfWaitingAndOfDelays) {
    const std::string text =
        explained("0 8 multipath 5 queue_if_no_path pg_init_delay_msecs 1500 queue_mode bio 0 0 0");
    EXPECT_THAT(text, HasSubstr("4.0K (8 sectors), 0 paths in 0 groups\n"));
    EXPECT_THAT(text, HasSubstr("I/O waits until one is back (queue_if_no_path).\n"));
    EXPECT_THAT(text, HasSubstr("bio by bio"));
    EXPECT_THAT(text, HasSubstr("A delayed activation waits 1.5 s (pg_init_delay_msecs).\n"));
    EXPECT_THAT(text, HasSubstr("Hardware handler: none\n"));
}

TEST(DmExplain, OfALengthBeyondAnyBytesShowsSectors) {
    EXPECT_THAT(explained("0 18446744073709551615 multipath 0 0 0 0"),
                testing::StartsWith("18446744073709551615 sectors, 0 paths"));
}

}  // namespace
}  // namespace braidway::apps
