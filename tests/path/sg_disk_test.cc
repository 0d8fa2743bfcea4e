// SPDX-License-Identifier: Apache-2.0
// SG_IO on a real disk of the kernel: the one that BRAIDWAY_SCSI_DISK names, such as one of
// scsi_debug in a virtual machine (tests/e2e/scsi_guest.py). Reads only. BRAIDWAY_SILENT_DISK names
// one that takes commands and answers none.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/clock.h"
#include "path/scsi_identify.h"
#include "path/sg_io.h"
#include "wire/scsi_limits.h"

namespace braidway::path {
namespace {

using namespace std::chrono_literals;

class SgDiskTest : public testing::Test {
  protected:
    void open_named_by(const char* variable) {
        const char* const name = std::getenv(variable);
        if (name == nullptr) GTEST_SKIP() << variable << " names no disk";
        auto device = open_sg_device(name);
        ASSERT_TRUE(device) << device.error().message;
        channel_ = std::make_unique<SgIo>(*loop_, std::move(*device));
        in_sys_ = "/sys/block/" + std::string(name).substr(5) + "/";
    }
    ~SgDiskTest() override {
        if (channel_ == nullptr) return;
        EXPECT_TRUE(turn_until([&] { return channel_->quiet(); }));
    }
    template <typename Condition>
    bool turn_until(Condition condition) {
        const Instant end = monotonic_now() + 60s;
        while (!condition() && monotonic_now() < end) loop_->turn(end);
        return condition();
    }
    std::vector<std::byte> data_of(wire::Cdb cdb, uint32_t room) {
        ScsiTask task{.cdb = cdb, .data_in_bytes = room, .timeout = 10s};
        bool done = false;
        task.owner = &done;
        task.done = [](ScsiTask& ended) { *static_cast<bool*>(ended.owner) = true; };
        channel_->execute(task);
        EXPECT_TRUE(turn_until([&] { return done; }));
        EXPECT_EQ(task.transport, wire::ScsiTransport::answered);
        return task.status == 0 ? task.data_in : std::vector<std::byte>();
    }
    std::string in_sys(const std::string& name) {
        std::ifstream file(in_sys_ + name, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(file), {}};
        return text;
    }

    std::unique_ptr<loop::Loop> loop_ = *loop::Loop::create();
    std::unique_ptr<SgIo> channel_;
    std::string in_sys_;
};

TEST_F(SgDiskTest, TheDiskIsTheOneThatTheKernelKnows) {
    open_named_by("BRAIDWAY_SCSI_DISK");
    if (channel_ == nullptr) return;
    ScsiIdentify identify;
    std::optional<Result<ScsiSelfPortrait>> found;
    identify.start(*channel_, [&](Result<ScsiSelfPortrait> result) { found = std::move(result); });
    ASSERT_TRUE(turn_until([&] { return found.has_value(); }));
    ASSERT_TRUE(*found) << found->error().message;
    const ScsiSelfPortrait& disk = **found;
    std::printf("wwid %s (%s)\n", disk.unit.wwid.text.c_str(),
                wire::wwid_source_text(disk.unit.wwid.source).c_str());
    const std::string page = in_sys("device/vpd_pg83");
    ASSERT_EQ(page.size(), disk.identification.size());
    EXPECT_EQ(std::memcmp(page.data(), disk.identification.data(), page.size()), 0);
    // "naa.6..." of the kernel is "36..." here.
    const std::string wwid = in_sys("device/wwid");
    // But of a locally assigned name ("naa.3...") we think less than the kernel does.
    if (wwid.starts_with("naa.") && !wwid.starts_with("naa.3")) {
        EXPECT_EQ("3" + wwid.substr(4), disk.unit.wwid.text + "\n");
    }
}

TEST_F(SgDiskTest, ItsShapeIsTheOneThatTheKernelKnows) {
    open_named_by("BRAIDWAY_SCSI_DISK");
    if (channel_ == nullptr) return;
    const auto capacity = data_of(wire::read_capacity_16_cdb(), 32);
    const auto block_limits = data_of(wire::vpd_cdb(0xb0, 252), 252);
    const auto provisioning = data_of(wire::vpd_cdb(0xb2, 252), 252);
    const auto limits = wire::parse_limits(
        {.capacity_16 = capacity, .block_limits = block_limits, .provisioning = provisioning});
    ASSERT_TRUE(limits) << limits.error().message;
    const auto sectors = std::stoull(in_sys("size"));
    EXPECT_EQ(limits->size_bytes(), sectors * 512);
    EXPECT_EQ(limits->block_bytes, std::stoul(in_sys("queue/logical_block_size")));
    EXPECT_EQ(limits->physical_block_bytes, std::stoul(in_sys("queue/physical_block_size")));
    const bool discards = in_sys("queue/discard_max_bytes") != "0\n";
    EXPECT_EQ(limits->discard != wire::ScsiDiscard::none, discards);
}

TEST_F(SgDiskTest, ADiskThatNeverAnswersIsGivenUpInTime) {
    open_named_by("BRAIDWAY_SILENT_DISK");
    if (channel_ == nullptr) return;
    ScsiTask task{.cdb = wire::test_unit_ready_cdb(), .timeout = 1s};
    bool done = false;
    task.owner = &done;
    task.done = [](ScsiTask& ended) { *static_cast<bool*>(ended.owner) = true; };
    const Instant begin = monotonic_now();
    channel_->execute(task);
    ASSERT_TRUE(turn_until([&] { return done; }));
    const Duration took = monotonic_now() - begin;
    std::printf(
        "answered '%s' after %lld ms\n",
        wire::scsi_answer_text({.transport = task.transport, .status = task.status}).c_str(),
        static_cast<long long>(took / 1ms));
    EXPECT_EQ(task.transport, wire::ScsiTransport::timed_out);
    EXPECT_GE(took, 1s);
    // The rest is for a virtual machine on a busy host; the kernel's recovery takes much longer.
    EXPECT_LE(took, 1s + limits::sg_answer_grace + 4s);
}

}  // namespace
}  // namespace braidway::path
