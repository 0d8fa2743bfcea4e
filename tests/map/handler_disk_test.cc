// SPDX-License-Identifier: Apache-2.0
// A hardware handler on a real array: the disk with target port groups that BRAIDWAY_ALUA_DISK
// names, such as one of the kernel's LIO target in a virtual machine. BRAIDWAY_ALUA_STATE names the
// file in which the target shows the state of its group, and takes another.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/clock.h"
#include "block/zero.h"
#include "map/handler_driver.h"
#include "multipath/handler_table.h"
#include "path/scsi_identify.h"
#include "path/sg_io.h"

namespace braidway::map {
namespace {

using namespace std::chrono_literals;

struct Silent final : MapObserver {
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
};

struct Io final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory = std::vector<std::byte>(4096);
    iovec data{memory.data(), memory.size()};
    bool ended = false;

    Io() {
        request.op = IoOp::read;
        request.length_bytes = memory.size();
        request.data = {&data, 1};
        request.push(*this);
    }
    void completed(block::Request& done) override {
        done.pop();
        ended = true;
    }
};

class HandlerDiskTest : public testing::Test {
  protected:
    void SetUp() override {
        const char* const disk = std::getenv("BRAIDWAY_ALUA_DISK");
        const char* const state = std::getenv("BRAIDWAY_ALUA_STATE");
        if (disk == nullptr || state == nullptr)
            GTEST_SKIP() << "BRAIDWAY_ALUA_DISK and BRAIDWAY_ALUA_STATE name no array";
        state_ = state;
        auto device = path::open_sg_device(disk);
        ASSERT_TRUE(device) << device.error().message;
        channel_ = std::make_unique<path::SgIo>(*loop_, std::move(*device));
        path_ = std::make_unique<path::Path>(
            *loop_, *pool_,
            std::make_unique<block::ZeroDevice>(*loop_, block::ZeroConfig{.size_bytes = 1u << 20}),
            path::Path::Options{.name = "a", .io_timeout = {}});
        make_map();
    }
    ~HandlerDiskTest() override {
        if (map_ == nullptr) return;
        map_->shut_down();
        channel_->shut_down();
        EXPECT_TRUE(turn_until([&] { return driver_->quiet() && channel_->quiet(); }));
        driver_.reset();
        map_.reset();
        turn_until([&] { return path_->quiet(); });
    }

    void make_map() {
        path::ScsiIdentify identify;
        std::optional<Result<path::ScsiSelfPortrait>> found;
        identify.start(*channel_, [&](auto result) { found = std::move(result); });
        ASSERT_TRUE(turn_until([&] { return found.has_value(); }));
        ASSERT_TRUE(*found) << found->error().message;
        const auto identity =
            multipath::identify_device((*found)->inquiry, (*found)->identification);
        ASSERT_EQ(multipath::handler_for(*identity), "alua");

        MapConfig config;
        config.name = "m";
        config.geometry = path_->geometry();
        config.table.handler.name = "alua";
        config.table.groups.push_back(
            {.selector = "round-robin", .paths = {{.name = "a", .arguments = {}}}});
        map_ = *MapDevice::create(*loop_, std::move(config), {{path_.get(), 0}}, silent_);
        driver_ = std::make_unique<HandlerDriver>(*loop_, *map_, *multipath::make_handler("alua"));
        ASSERT_TRUE(driver_->attach(*path_, *channel_, *identity).has_value());
        ASSERT_TRUE(turn_until([&] { return driver_->quiet(); }));
    }
    template <typename Condition>
    bool turn_until(Condition condition) {
        const Instant end = monotonic_now() + 30s;
        while (!condition() && monotonic_now() < end) loop_->turn(monotonic_now() + 100ms);
        return condition();
    }
    void set_state(int state) { std::ofstream(state_) << state; }
    int state() {
        int now = -1;
        std::ifstream(state_) >> now;
        return now;
    }
    bool vetoed() { return map_->status().paths[0].vetoed; }

    Silent silent_;
    std::string state_;
    std::unique_ptr<loop::Loop> loop_ = *loop::Loop::create();
    std::unique_ptr<memory::BufferPool> pool_ = *memory::BufferPool::create(1u << 20);
    std::unique_ptr<path::SgIo> channel_;
    std::unique_ptr<path::Path> path_;
    std::unique_ptr<MapDevice> map_;
    std::unique_ptr<HandlerDriver> driver_;
};

TEST_F(HandlerDiskTest, AGroupInStandbyIsVetoedAndMadeOptimizedByItsActivation) {
    set_state(wire::scsi::group_optimized);
    driver_->rescan(*path_);
    ASSERT_TRUE(turn_until([&] { return !vetoed() && driver_->quiet(); }));
    set_state(wire::scsi::group_standby);
    driver_->rescan(*path_);
    ASSERT_TRUE(turn_until([&] { return vetoed(); })) << driver_->status_text(*path_);
    EXPECT_EQ(state(), wire::scsi::group_standby);

    Io io;
    map_->submit(io.request);
    ASSERT_TRUE(turn_until([&] { return io.ended; })) << driver_->status_text(*path_);
    EXPECT_EQ(io.request.status(), IoStatus::ok);
    EXPECT_EQ(state(), wire::scsi::group_optimized) << "the target was told";
    EXPECT_FALSE(vetoed()) << driver_->status_text(*path_);
}

}  // namespace
}  // namespace braidway::map
