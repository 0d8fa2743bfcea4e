// SPDX-License-Identifier: Apache-2.0
// A map whose paths lead to the ports of a scripted array, with the array's hardware handler.
#pragma once

#include <gmock/gmock.h>

#include <cstring>

#include "map/handler_driver.h"
#include "multipath/handler_table.h"
#include "sim/faulty_channel.h"
#include "sim/scsi_path.h"
#include "sim/virtual_loop.h"

namespace braidway::sim {

using multipath::Event;
using multipath::Message;
using multipath::PathState;

struct Silent final : map::MapObserver {
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
};

/// One I/O of a program.
struct Io final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory;
    iovec data{};
    bool ended = false;

    explicit Io(IoOp op, std::byte fill = std::byte{0}) : memory(512, fill) {
        data = {memory.data(), memory.size()};
        request.op = op;
        request.length_bytes = memory.size();
        request.data = {&data, 1};
    }
    void completed(block::Request& done) override {
        done.pop();
        ended = true;
    }
};

/// A map with one group for each port of an array, and the array's handler.
class HandlerMapTest : public testing::Test {
  protected:
    ~HandlerMapTest() override { take_down(); }

    /// Ends what make() has made; another may be made after it.
    void take_down() {
        if (map_ == nullptr) return;
        map_->shut_down();
        loop_.pass(std::chrono::seconds(600));
        driver_.reset();
        map_.reset();
        loop_.pass(std::chrono::seconds(1));
        channels_.clear();
        paths_.clear();
        scsi_.clear();
    }

    void make(ArrayShape shape) {
        array_ = std::make_unique<ScsiResponder>(std::move(shape));
        multipath::MultipathSpec table;
        table.pg_init_retries = 3;
        std::vector<map::Member> members;
        for (uint8_t port = 0; port < array_->shape().ports.size(); ++port) {
            auto device = std::make_unique<ScsiPath>(loop_, *array_, port, 0);
            scsi_.push_back(device.get());
            channels_.push_back(std::make_unique<FaultyChannel>(loop_, *device));
            const std::string name(1, static_cast<char>('a' + port));
            paths_.push_back(std::make_unique<path::Path>(
                loop_, *pool_, std::move(device),
                path::Path::Options{.name = name, .io_timeout = {}, .tries_max = 64}));
            table.groups.push_back(
                {.selector = "round-robin", .paths = {{.name = name, .arguments = {}}}});
            members.push_back({paths_.back().get(), 0});
        }
        table.handler.name = multipath::handler_for(scsi_[0]->identity());
        ASSERT_FALSE(table.handler.name.empty());
        map::MapConfig config;
        config.name = "m";
        config.geometry = scsi_[0]->geometry();
        const std::string handler = table.handler.name;
        config.table = std::move(table);
        map_ = *map::MapDevice::create(loop_, std::move(config), members, silent_);
        driver_ =
            std::make_unique<map::HandlerDriver>(loop_, *map_, *multipath::make_handler(handler));
        for (size_t port = 0; port < paths_.size(); ++port) {
            ASSERT_TRUE(driver_->attach(*paths_[port], *channels_[port], scsi_[port]->identity())
                            .has_value());
            scsi_[port]->set_sense_reader([this, port](const wire::ScsiSense& sense) {
                return driver_->check_sense(*paths_[port], sense);
            });
        }
        loop_.pass(std::chrono::seconds(10));
    }

    IoStatus run(Io& io) {
        io.request.push(io);
        map_->submit(io.request);
        EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, std::chrono::seconds(300)))
            << "it is held";
        return io.request.status();
    }
    IoStatus read() {
        Io io(IoOp::read);
        return run(io);
    }
    IoStatus write(std::byte fill) {
        Io io(IoOp::write, fill);
        return run(io);
    }
    void send(Message message, uint32_t group) {
        Event event{.message = message, .group = group, .reason = {}};
        ASSERT_TRUE(map_->handle(event).has_value());
    }
    uint32_t group() { return map_->status().current_group; }
    PathState state(size_t path) { return map_->status().paths[path].state; }

    VirtualLoop loop_;
    std::unique_ptr<memory::BufferPool> pool_ = *memory::BufferPool::create(1u << 20);
    std::unique_ptr<ScsiResponder> array_;
    std::vector<ScsiPath*> scsi_;
    std::vector<std::unique_ptr<FaultyChannel>> channels_;
    std::vector<std::unique_ptr<path::Path>> paths_;
    Silent silent_;
    std::unique_ptr<map::MapDevice> map_;
    std::unique_ptr<map::HandlerDriver> driver_;
};

}  // namespace braidway::sim
