// SPDX-License-Identifier: Apache-2.0
#include "path/scsi_identify.h"

#include <gmock/gmock.h>

#include <deque>

#include "wire/scsi_inquiry.h"
#include "wire/scsi_sense.h"

namespace braidway::path {
namespace {

using testing::HasSubstr;

std::vector<std::byte> of_text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// A device that answers what the test has put up, and notes what it was asked.
struct Device final : ScsiChannel {
    struct Answer {
        std::vector<std::byte> data = {};
        wire::ScsiSense sense = {};
        wire::ScsiTransport transport = wire::ScsiTransport::answered;
    };
    std::deque<Answer> answers;
    std::vector<std::string> asked;
    ScsiTask* task = nullptr;

    void execute(ScsiTask& next) override {
        EXPECT_EQ(task, nullptr) << "one after the other";
        task = &next;
        asked.push_back(wire::cdb_text(next.cdb) + " " + std::to_string(next.data_in_bytes));
    }
    void answer_all() {
        while (task != nullptr && !answers.empty()) {
            ScsiTask& now = *std::exchange(task, nullptr);
            const Answer answer = answers.front();
            answers.pop_front();
            now.transport = answer.transport;
            now.data_in = answer.data;
            now.data_in.resize(std::min<size_t>(now.data_in.size(), now.data_in_bytes));
            if (answer.sense.key != 0) {
                const auto sense = wire::fixed_sense(answer.sense);
                now.sense.assign(sense.begin(), sense.end());
                now.status = wire::scsi::status_check_condition;
            }
            now.done(now);
        }
    }
};

std::vector<std::byte> disk() {
    return wire::inquiry_data({.vendor = "IBM", .product = "3542", .revision = "0401"});
}

std::vector<std::byte> names(size_t of_ports) {
    std::vector<wire::ScsiDesignator> all(
        of_ports, {wire::ScsiDesignator::target_port, wire::ScsiDesignator::naa, false,
                   std::vector<std::byte>(8, std::byte{0x50})});
    all.push_back({wire::ScsiDesignator::logical_unit, wire::ScsiDesignator::naa, false,
                   std::vector<std::byte>(16, std::byte{0x60})});
    return wire::designator_data(all);
}

std::vector<std::byte> serial() {
    return wire::vpd_data(0x80, of_text("1T05078453"));
}

constexpr wire::ScsiSense unit_attention{.key = 6, .asc = 0x29, .ascq = 0};
constexpr wire::ScsiSense no_such_page{.key = 5, .asc = 0x24, .ascq = 0};

struct ScsiIdentifyTest : testing::Test {
    Device device;
    ScsiIdentify identify;
    std::optional<Result<ScsiSelfPortrait>> found;

    Result<ScsiSelfPortrait>& ask(std::deque<Device::Answer> answers) {
        found.reset();
        device.answers = std::move(answers);
        identify.start(device, [&](Result<ScsiSelfPortrait> result) { found = std::move(result); });
        EXPECT_TRUE(identify.busy());
        device.answer_all();
        EXPECT_TRUE(found.has_value());
        EXPECT_FALSE(identify.busy());
        return *found;
    }
    std::string error(std::deque<Device::Answer> answers) {
        const auto& result = ask(std::move(answers));
        return result ? "found" : result.error().message;
    }
};

TEST_F(ScsiIdentifyTest, ADiskIsAskedForItsThreePages) {
    const auto& result = ask({{disk()}, {names(0)}, {serial()}});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->unit.wwid.text, "3" + std::string("60606060606060606060606060606060"));
    EXPECT_EQ(result->unit.vendor, "IBM");
    EXPECT_EQ(result->unit.serial, "1T05078453");
    EXPECT_EQ(result->inquiry, disk());
    EXPECT_EQ(result->identification, names(0));
    EXPECT_EQ(device.asked, (std::vector<std::string>{"inquiry 252", "inquiry page 0x83 252",
                                                      "inquiry page 0x80 252"}));
}

TEST_F(ScsiIdentifyTest, APageEndsWhereItSaysHoweverMuchTheHostCounts) {
    auto page = names(0);
    page.resize(252);
    EXPECT_EQ(ask({{disk()}, {page}, {serial()}})->identification, names(0));
    EXPECT_TRUE(ask({{disk()}, {names(0)}, {{std::byte{0}, std::byte{0x80}}}}));
}

TEST_F(ScsiIdentifyTest, ALongPageIsAskedForAgainWithRoom) {
    const auto page = names(30);
    ASSERT_GT(page.size(), 252u);
    const auto& result = ask({{disk()}, {page}, {page}, {serial()}});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->unit.wwid.text, "3" + std::string("60606060606060606060606060606060"));
    EXPECT_EQ(device.asked[2], "inquiry page 0x83 " + std::to_string(page.size()));
}

TEST_F(ScsiIdentifyTest, APageThatGrowsForeverIsAskedForAtMostOnceAtItsLargest) {
    auto page = names(0);
    page[2] = std::byte{0xff};
    const auto& result = ask({{disk()}, {page}, {page}, {serial()}});
    ASSERT_TRUE(result);
    EXPECT_EQ(device.asked[2], "inquiry page 0x83 16384");
    EXPECT_THAT(result->unit.wwid.remark, HasSubstr("came"));
}

TEST_F(ScsiIdentifyTest, AUnitAttentionIsNoAnswer) {
    EXPECT_TRUE(
        ask({{{}, unit_attention}, {disk()}, {{}, unit_attention}, {names(0)}, {serial()}}));
    std::deque<Device::Answer> always(ScsiIdentify::tries_max, {{}, unit_attention});
    EXPECT_EQ(error(always), "inquiry: sense 06/29/00");
}

TEST_F(ScsiIdentifyTest, APageThatIsRefusedIsNotThere) {
    const auto& old = ask({{disk()}, {{}, no_such_page}, {serial()}});
    ASSERT_TRUE(old);
    EXPECT_EQ(old->unit.wwid.text, "SIBM_3542_1T05078453");
    EXPECT_EQ(ask({{disk()}, {names(0)}, {{}, no_such_page}})->unit.serial, "");
    EXPECT_THAT(error({{disk()}, {{}, no_such_page}, {{}, no_such_page}}),
                HasSubstr("inquiry page 0x83 has 0 bytes"));
}

TEST_F(ScsiIdentifyTest, WithoutAnAnswerThereIsNoIdentity) {
    EXPECT_EQ(error({{disk()}, {{}, {}, wire::ScsiTransport::timed_out}}),
              "inquiry page 0x83: timed out")
        << "the serial number would be another name for the same unit";
    EXPECT_EQ(error({{{}, {}, wire::ScsiTransport::no_connection}}), "inquiry: no connection");
}

TEST_F(ScsiIdentifyTest, WhatIsNoDiskIsRefused) {
    EXPECT_THAT(error({{wire::inquiry_data({.qualifier = 1, .device_type = 0x1f})}}),
                HasSubstr("there is no LUN"));
    EXPECT_EQ(error({{wire::inquiry_data({.device_type = 5})}}),
              "the LUN is no disk (device type 5)");
}

TEST_F(ScsiIdentifyTest, TheNextQuestionMayBeAskedFromInsideTheAnswer) {
    device.answers = {{disk()}, {names(0)}, {serial()}, {disk()}, {names(0)}, {serial()}};
    unsigned answers = 0;
    identify.start(device, [&](const Result<ScsiSelfPortrait>&) {
        ++answers;
        identify.start(device, [&](const Result<ScsiSelfPortrait>&) { ++answers; });
    });
    device.answer_all();
    EXPECT_EQ(answers, 2u);
}

}  // namespace
}  // namespace braidway::path
