// SPDX-License-Identifier: Apache-2.0
#include "explore/replay.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace braidway::explore {
namespace {

TEST(Replay, WritesRunsAndOutcomes) {
    EXPECT_EQ(replay_text({}), "b1:");
    EXPECT_EQ(replay_text({{0, 0}, {0, 0}, {0, 0}, {1, 1}, {0, 0}, {26, 0}}), "b1:a3b.1aA");
}

TEST(Replay, ReadsWhatItWrote) {
    Random random(1);
    for (int turn = 0; turn < 1000; ++turn) {
        Decisions decisions(random.below(40));
        for (Decision& decision : decisions) {
            decision.slot = static_cast<uint8_t>(random.below(3) == 0 ? random.below(32) : 1);
            decision.choice = static_cast<uint16_t>(random.below(4) == 0 ? random.below(65536) : 0);
        }
        const Result<Decisions> read = parse_replay(replay_text(decisions));
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(*read, decisions);
    }
}

TEST(Replay, NamesThePositionOfWhatItCannotRead) {
    const auto message = [](std::string_view text) {
        const Result<Decisions> read = parse_replay(text);
        return read ? std::string("read") : read.error().message;
    };
    EXPECT_NE(message("").find("position 1"), std::string::npos);
    EXPECT_NE(message("a3").find("b1:"), std::string::npos);
    EXPECT_NE(message("b1:a?").find("position 5"), std::string::npos);
    EXPECT_NE(message("b1:Z").find("position 4"), std::string::npos);
    EXPECT_NE(message("b1:a0").find("out of range"), std::string::npos);
    EXPECT_NE(message("b1:a.").find("outcome"), std::string::npos);
    EXPECT_NE(message("b1:a.65536").find("out of range"), std::string::npos);
    EXPECT_NE(message("b1:a99999999999999999999").find("out of range"), std::string::npos);
    EXPECT_NE(message("b1:a1000000b1000000").find("too many"), std::string::npos);
}

TEST(Replay, ReadsOrRefusesAnyBytes) {
    Random random(2);
    for (int turn = 0; turn < 20'000; ++turn) {
        std::string text = "b1:";
        for (uint64_t i = random.below(12); i > 0; --i) {
            const bool any = random.below(4) == 0;
            text += any ? static_cast<char>(random.below(256)) : "abA.019"[random.below(7)];
        }
        const Result<Decisions> read = parse_replay(text);
        if (!read) continue;
        const Result<Decisions> again = parse_replay(replay_text(*read));
        ASSERT_TRUE(again.has_value());
        EXPECT_EQ(*again, *read);
    }
}

}  // namespace
}  // namespace braidway::explore
