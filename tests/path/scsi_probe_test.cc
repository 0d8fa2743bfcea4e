// SPDX-License-Identifier: Apache-2.0
#include "path/scsi_probe.h"

#include <gmock/gmock.h>

#include <map>
#include <optional>

#include "support/devices.h"
#include "wire/scsi_block_commands.h"
#include "wire/scsi_inquiry.h"

namespace braidway::path {
namespace {

using namespace wire::scsi;
using testing::HasSubstr;

/// A device whose answers are in a table; what is not in it is refused.
class TableChannel final : public ScsiChannel {
  public:
    struct Answer {
        uint8_t status = status_good;
        std::vector<std::byte> data{};
        std::vector<std::byte> sense{};
        wire::ScsiTransport transport = wire::ScsiTransport::answered;
    };
    explicit TableChannel(loop::Loop& loop) : loop_(loop) {
        answer_.owner = this;
        answer_.done = [](loop::Operation& operation, int32_t) {
            ScsiTask& task = *static_cast<TableChannel*>(operation.owner)->task_;
            task.done(task);
        };
    }
    static Answer check(uint8_t key, uint8_t asc, uint8_t ascq) {
        const auto sense = wire::fixed_sense({.key = key, .asc = asc, .ascq = ascq});
        return {.status = status_check_condition, .sense = {sense.begin(), sense.end()}};
    }

    void execute(ScsiTask& task) override {
        task_ = &task;
        asked.push_back(wire::cdb_text(task.cdb));
        Answer answer = check(key_illegal_request, 0x20, 0);
        auto& list = answers[asked.back()];
        if (!list.empty()) {
            answer = list.front();
            if (list.size() > 1) list.erase(list.begin());
        }
        task.transport = answer.transport;
        task.status = answer.status;
        task.sense = answer.sense;
        task.data_in = answer.data;
        if (task.data_in.size() > task.data_in_bytes) task.data_in.resize(task.data_in_bytes);
        loop_.complete_soon(answer_, 0);
    }

    std::map<std::string, std::vector<Answer>> answers;
    std::vector<std::string> asked;

  private:
    loop::Loop& loop_;
    loop::Operation answer_;
    ScsiTask* task_ = nullptr;
};

class ScsiProbeTest : public LaneTest {
  protected:
    ScsiProbeTest() {
        set(wire::inquiry_cdb(252), wire::inquiry_data({.vendor = "ACME", .product = "Disk"}));
        channel_.answers[text(wire::test_unit_ready_cdb())] = {{}};
        const std::vector<std::byte> pages = {std::byte{0x00}, std::byte{0x80}, std::byte{0x83}};
        set(wire::vpd_cdb(0x00, 252), wire::vpd_data(0x00, pages));
        const std::string serial = "42";
        set(wire::vpd_cdb(0x80, 252),
            wire::vpd_data(0x80, std::as_bytes(std::span(serial.data(), serial.size()))));
        set(wire::vpd_cdb(0x83, 252), identification(8));
        const auto capacity = wire::capacity_16_data({.last_lba = 99, .block_bytes = 512});
        set(wire::read_capacity_16_cdb(), {capacity.begin(), capacity.end()});
        set(wire::mode_sense_6_cdb(8, 0, 192), {std::byte{3}, {}, std::byte{0x10}, {}});
    }
    static std::string text(const wire::Cdb& cdb) { return wire::cdb_text(cdb); }
    void set(const wire::Cdb& cdb, std::vector<std::byte> data) {
        channel_.answers[text(cdb)] = {{.data = std::move(data)}};
    }
    /// Page 0x83 with an NAA name, behind `others` of a kind that does not count.
    static std::vector<std::byte> identification(size_t others) {
        std::vector<wire::ScsiDesignator> list;
        for (size_t index = 0; index < others; ++index)
            list.push_back({.association = wire::ScsiDesignator::target_port,
                            .type = wire::ScsiDesignator::relative_port,
                            .name = std::vector<std::byte>(4)});
        list.push_back({.type = wire::ScsiDesignator::naa, .name = {16, std::byte{0x60}}});
        return wire::designator_data(list);
    }
    std::string problem() {
        const auto found = run();
        return found ? "none" : found.error().message;
    }
    Result<ScsiFinding> run() {
        std::optional<Result<ScsiFinding>> result;
        probe_.start(1s, [&](Result<ScsiFinding> found) { result = std::move(found); });
        turn_until([&] { return result.has_value(); });
        return std::move(*result);
    }

    TableChannel channel_{*loop_};
    ScsiProbe probe_{channel_};
};

TEST_F(ScsiProbeTest, LearnsNameSizeAndAbilities) {
    const auto found = run();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->unit.vendor, "ACME");
    EXPECT_EQ(found->unit.serial, "42");
    EXPECT_EQ(found->unit.wwid.text, "3" + std::string("60606060606060606060606060606060"));
    EXPECT_EQ(found->disk.limits.blocks, 100u);
    EXPECT_TRUE(found->disk.can_fua);
    EXPECT_FALSE(found->disk.read_only);
    EXPECT_FALSE(found->inquiry.empty() || found->identification.empty());
    set(wire::mode_sense_6_cdb(8, 0, 192), {std::byte{3}, {}, std::byte{0x80}, {}});
    EXPECT_TRUE(run()->disk.read_only);
}

TEST_F(ScsiProbeTest, AsksAgainForPagesThatAreLonger) {
    set(wire::vpd_cdb(0x83, 252), identification(60));
    const auto found = run();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(std::ranges::count(channel_.asked, text(wire::vpd_cdb(0x83, 252))), 2);
}

TEST_F(ScsiProbeTest, TakesNewsOfEarlierEventsAndDropsThem) {
    auto& ready = channel_.answers[text(wire::test_unit_ready_cdb())];
    ready = {TableChannel::check(key_unit_attention, 0x29, 0),
             TableChannel::check(key_unit_attention, 0x2a, 9),
             {}};
    auto& capacity = channel_.answers[text(wire::read_capacity_16_cdb())];
    capacity.insert(capacity.begin(), TableChannel::check(key_unit_attention, 0x3f, 0x0e));
    EXPECT_TRUE(run());
    ready = {TableChannel::check(key_unit_attention, 0x29, 0)};
    EXPECT_THAT(problem(), HasSubstr("not ready: sense 06/29/00"));
}

TEST_F(ScsiProbeTest, BeginsAgainWhenTheUnitBecomesAnotherOneMeanwhile) {
    auto& capacity = channel_.answers[text(wire::read_capacity_16_cdb())];
    capacity.insert(capacity.begin(), TableChannel::check(key_unit_attention, 0x3f, 0x0e));
    const auto found = run();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(std::ranges::count(channel_.asked, text(wire::vpd_cdb(0x83, 252))), 2)
        << "the name is asked again, not only the size";
}

TEST_F(ScsiProbeTest, APassivePathIsWorthHaving) {
    auto& ready = channel_.answers[text(wire::test_unit_ready_cdb())];
    ready = {TableChannel::check(key_not_ready, 0x04, 0x0b)};
    EXPECT_TRUE(run());
    ready = {{.status = status_reservation_conflict}};
    EXPECT_TRUE(run());
    ready = {TableChannel::check(key_not_ready, 0x3a, 0)};
    EXPECT_THAT(problem(), HasSubstr("the unit is not ready: sense 02/3a/00"));
}

TEST_F(ScsiProbeTest, UsesTheShortCapacityOfOldDisks) {
    channel_.answers.erase(text(wire::read_capacity_16_cdb()));
    const auto capacity = wire::capacity_10_data({.last_lba = 7, .block_bytes = 4096});
    set(wire::read_capacity_10_cdb(), {capacity.begin(), capacity.end()});
    channel_.answers.erase(text(wire::mode_sense_6_cdb(8, 0, 192)));
    const auto found = run();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->disk.limits.size_bytes(), 32768u);
    EXPECT_FALSE(found->disk.can_fua);
}

TEST_F(ScsiProbeTest, SaysWhichUnitsThereAre) {
    set(wire::inquiry_cdb(252), wire::inquiry_data({.qualifier = 3, .device_type = 0x1f}));
    EXPECT_EQ(problem(), "the target has no such LUN");
    set(wire::report_luns_cdb(2056), {{}, {},           {}, std::byte{16},
                                      {}, {},           {}, {},
                                      {}, std::byte{2}, {}, {},
                                      {}, {},           {}, {},
                                      {}, std::byte{5}, {}, {},
                                      {}, {},           {}, {}});
    EXPECT_EQ(problem(), "the target has no such LUN; it has 2, 5");
}

TEST_F(ScsiProbeTest, RefusesWhatIsNoDiskOrMakesNoSense) {
    set(wire::inquiry_cdb(252), wire::inquiry_data({.device_type = 5}));
    EXPECT_THAT(problem(), HasSubstr("no disk but a device of type 0x05"));
    set(wire::inquiry_cdb(252), std::vector<std::byte>(8));
    EXPECT_THAT(problem(), HasSubstr("inquiry data are too short"));
    set(wire::inquiry_cdb(252), wire::inquiry_data({.vendor = "ACME"}));
    set(wire::read_capacity_16_cdb(), std::vector<std::byte>(32));
    EXPECT_NE(problem(), "none");
    channel_.answers[text(wire::inquiry_cdb(252))] = {
        {.transport = wire::ScsiTransport::timed_out}};
    EXPECT_EQ(problem(), "inquiry: timed out");
}

TEST_F(ScsiProbeTest, SaysNothingAfterItWasCancelled) {
    bool told = false;
    probe_.start(1s, [&](const Result<ScsiFinding>&) { told = true; });
    probe_.cancel();
    turn_until([&] { return !probe_.busy(); });
    EXPECT_FALSE(told);
    EXPECT_EQ(channel_.asked.size(), 1u);
}

}  // namespace
}  // namespace braidway::path
