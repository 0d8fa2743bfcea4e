// SPDX-License-Identifier: Apache-2.0
#include "path/writes_in_doubt.h"

#include "support/devices.h"

namespace braidway::path {
namespace {

class WritesInDoubtTest : public LaneTest {
  protected:
    void make(Duration quiesce) {
        doubt_ = std::make_unique<WritesInDoubt>(
            *loop_, quiesce, [this](bool at_risk) { settled_.push_back(at_risk); });
    }
    std::unique_ptr<WritesInDoubt> doubt_;
    std::vector<bool> settled_;
};

TEST_F(WritesInDoubtTest, AreSettledByProofWithoutARisk) {
    make(1h);
    const auto group = doubt_->add(3);
    EXPECT_TRUE(doubt_->any());
    EXPECT_EQ(doubt_->counters().unsettled, 3u);
    doubt_->settle(group);
    EXPECT_EQ(settled_, std::vector<bool>{false});
    EXPECT_EQ(doubt_->counters().writes, 3u);
    EXPECT_EQ(doubt_->counters().unsettled, 0u);
    EXPECT_EQ(doubt_->counters().at_risk, 0u);
    doubt_->settle(group);
    EXPECT_EQ(settled_.size(), 1u);
}

TEST_F(WritesInDoubtTest, AreSettledByTimeAndCountedAsARisk) {
    make(20ms);
    const Instant begun = loop_->now();
    doubt_->add(2);
    settle();
    EXPECT_TRUE(settled_.empty());
    turn_until([&] { return !settled_.empty(); });
    EXPECT_GE(loop_->now() - begun, 20ms);
    EXPECT_EQ(settled_, std::vector<bool>{true});
    EXPECT_EQ(doubt_->counters().at_risk, 2u);
    EXPECT_GE(doubt_->counters().held, 20ms);
}

TEST_F(WritesInDoubtTest, ProofForOneGroupDoesNotSettleAnother) {
    make(30ms);
    const auto first = doubt_->add(1);
    doubt_->add(1);
    doubt_->settle(first);
    EXPECT_TRUE(settled_.empty());
    EXPECT_TRUE(doubt_->any());
    turn_until([&] { return !settled_.empty(); });
    EXPECT_EQ(settled_, std::vector<bool>{true});
    EXPECT_EQ(doubt_->counters().at_risk, 1u);
}

TEST_F(WritesInDoubtTest, ARiskOfBeforeIsNotOneOfNow) {
    make(1ms);
    doubt_->add(1);
    turn_until([&] { return settled_.size() == 1; });
    const auto group = doubt_->add(1);
    doubt_->settle(group);
    EXPECT_EQ(settled_, (std::vector<bool>{true, false}));
}

TEST_F(WritesInDoubtTest, ALateGroupPutsTheEndOff) {
    make(30ms);
    doubt_->add(1);
    turn_for(20ms);
    const Instant second = loop_->now();
    doubt_->add(1);
    turn_until([&] { return !settled_.empty(); });
    EXPECT_GE(loop_->now() - second, 30ms);
    EXPECT_EQ(settled_.size(), 1u);
}

}  // namespace
}  // namespace braidway::path
