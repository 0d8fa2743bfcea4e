// SPDX-License-Identifier: Apache-2.0
#include "path/write_doubts.h"

#include <gmock/gmock.h>

#include "support/devices.h"

namespace braidway::path {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class WriteDoubtsTest : public LaneTest {
  protected:
    std::vector<bool> settled_;
    WriteDoubts doubts_{*loop_, 30ms, [this](bool at_risk) { settled_.push_back(at_risk); }};
};

TEST_F(WriteDoubtsTest, AreSettledOnceByKnowledge) {
    doubts_.clear();
    EXPECT_THAT(settled_, IsEmpty()) << "there was nothing to settle";
    doubts_.add();
    doubts_.add();
    EXPECT_TRUE(doubts_.any());
    doubts_.clear();
    EXPECT_THAT(settled_, ElementsAre(false));
    turn_for(50ms);
    EXPECT_THAT(settled_, ElementsAre(false));
    EXPECT_EQ(doubts_.added(), 2u);
    EXPECT_EQ(doubts_.risked(), 0u);
}

TEST_F(WriteDoubtsTest, AreARiskWhenOnlyTheTimeIsOver) {
    doubts_.add();
    turn_for(20ms);
    doubts_.add();
    turn_for(20ms);
    EXPECT_THAT(settled_, IsEmpty()) << "the time counts from the last";
    turn_until([&] { return !settled_.empty(); });
    EXPECT_THAT(settled_, ElementsAre(true));
    EXPECT_FALSE(doubts_.any());
    EXPECT_EQ(doubts_.risked(), 2u);
    doubts_.clear();
    EXPECT_THAT(settled_, ElementsAre(true));
}

}  // namespace
}  // namespace braidway::path
