// SPDX-License-Identifier: Apache-2.0
// The client against our own server, on both backends: structured answers, holes, large data.
#include <deque>

#include "../export/nbd_harness.h"
#include "base/random.h"
#include "path/nbd_device.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

using TestClient = braidway::Client;

class NbdConnectionIo : public testing::TestWithParam<loop::Backend> {
  protected:
    void SetUp() override {
        if (!exports::World::available(GetParam()))
            GTEST_SKIP() << "this backend is not to be had here";
        world_.emplace(GetParam());
        auto disk = world_->disk();
        world_->serve(std::move(disk));
        options_.uri = *wire::NbdUri::parse("nbd+unix:///disk?socket=" + world_->path);
        connect();
    }
    void TearDown() override {
        if (!world_) return;
        device_->disconnect();
        world_->run_until([&] { return device_->quiet(); });
        device_.reset();
        world_.reset();
    }
    void connect() {
        device_ = std::make_unique<NbdDevice>(*world_->loop, options_);
        std::optional<Result<FabricFinding>> answer;
        device_->connect([&](Result<FabricFinding> found) { answer = std::move(found); });
        world_->run_until([&] { return answer.has_value(); });
        ASSERT_TRUE(answer->has_value()) << answer->error().message;
        device_->admit();
    }
    void finish(TestClient& client) {
        client.submit(*device_);
        world_->run_until([&] { return client.ended == 1; });
        EXPECT_EQ(client.status, IoStatus::ok);
    }

    std::optional<exports::World> world_;
    NbdDeviceOptions options_;
    std::unique_ptr<NbdDevice> device_;
};

TEST_P(NbdConnectionIo, EveryByteArrivesWhereItBelongs) {
    Random random(20260101);
    const uint64_t size = device_->geometry().size_bytes;
    for (int round = 0; round < 60; ++round) {
        std::deque<TestClient> clients;
        std::vector<uint64_t> places;
        const uint64_t stripe = size / 16;
        for (uint64_t at = 0; at < 16; ++at) {
            // Small ones are cut from the buffer, large ones go straight to their memory.
            const uint64_t length = 512 * (1 + random.below(random.below(4) == 0 ? 512 : 8));
            clients.emplace_back(at % 2 == 0 ? IoOp::write : IoOp::read,
                                 at / 2 * 2 * stripe + (at % 2) * 512, length,
                                 static_cast<int>(random.below(256)));
        }
        for (TestClient& client : clients) client.submit(*device_);
        world_->run_until(
            [&] { return std::ranges::all_of(clients, [](auto& c) { return c.ended == 1; }); });
        for (TestClient& client : clients) {
            ASSERT_EQ(client.status, IoStatus::ok);
            if (client.request.op != IoOp::write) continue;
            const int value = static_cast<int>(client.first_byte());
            TestClient read(IoOp::read, client.request.offset_bytes, client.request.length_bytes,
                            value ^ 1);
            finish(read);
            ASSERT_TRUE(read.all(value));
            ASSERT_EQ(world_->device.memory()[client.request.offset_bytes],
                      static_cast<std::byte>(value));
        }
    }
}

TEST_P(NbdConnectionIo, AWholeHoleIsToldAndPartOfOneIsFilledWithZeroes) {
    world_->device.all_holes = true;
    TestClient whole(IoOp::read, 0, 65536, 0x77);
    finish(whole);
    EXPECT_TRUE(whole.request.hole);
}

TEST_P(NbdConnectionIo, DataMayBeInManyPieces) {
    for (uint64_t at = 0; at < 262144; ++at)
        world_->device.memory()[at] = static_cast<std::byte>(at % 253);
    std::vector<std::byte> memory(131072);
    std::vector<iovec> pieces;
    size_t at = 0;
    for (const size_t bytes : {512u, 1000u, 24u, 65536u, 1u, 63999u})
        pieces.push_back({memory.data() + std::exchange(at, at + bytes), bytes});
    TestClient read(IoOp::read, 0, at);
    read.request.data = pieces;
    finish(read);
    for (size_t byte = 0; byte < at; ++byte)
        ASSERT_EQ(memory[byte], static_cast<std::byte>(byte % 253)) << byte;
    std::ranges::fill(memory, std::byte{9});
    TestClient write(IoOp::write, 512, at);
    write.request.data = pieces;
    finish(write);
    EXPECT_EQ(world_->device.memory()[512 + at - 1], std::byte{9});
    EXPECT_EQ(world_->device.memory()[512 + at], static_cast<std::byte>((512 + at) % 253));
}

TEST_P(NbdConnectionIo, BlockStatusIsTold) {
    world_->device.extents = {{4096, true, true}, {8192, false, false}};
    block::Extent extents[4];
    TestClient status(IoOp::block_status, 0, 12288);
    status.request.extents = extents;
    finish(status);
    ASSERT_EQ(status.request.extents_count, 2u);
    EXPECT_EQ(extents[0].length_bytes, 4096u);
    EXPECT_TRUE(extents[0].hole && extents[0].zero);
    EXPECT_EQ(extents[1].length_bytes, 8192u);
    EXPECT_FALSE(extents[1].hole || extents[1].zero);
}

TEST_P(NbdConnectionIo, WhatTheServerRefusesIsItsAnswer) {
    world_->device.fail_with = IoStatus::no_space;
    TestClient write(IoOp::write, 0, 4096);
    write.submit(*device_);
    world_->run_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::no_space);
    world_->device.fail_with = IoStatus::ok;
    TestClient read(IoOp::read, 0, 4096);
    finish(read);
}

TEST_P(NbdConnectionIo, ALoadThatIsCutEndsEveryRequestOnce) {
    Random random(7);
    std::deque<TestClient> clients;
    for (int at = 0; at < 200; ++at) {
        clients.emplace_back(random.below(2) == 0 ? IoOp::write : IoOp::read,
                             random.below(1000) * 4096, 4096 * (1 + random.below(40)));
        clients.back().submit(*device_);
    }
    for (int turn = 0; turn < 3; ++turn) world_->loop->turn(world_->loop->now());
    world_->server->abort_connections("the test cuts them");
    world_->run_until(
        [&] { return std::ranges::all_of(clients, [](auto& c) { return c.ended == 1; }); });
    for (TestClient& client : clients)
        EXPECT_TRUE(client.status == IoStatus::ok || client.status == IoStatus::transport ||
                    client.status == IoStatus::offline)
            << io_status_name(client.status);
    EXPECT_FALSE(device_->connected());
}

INSTANTIATE_TEST_SUITE_P(, NbdConnectionIo,
                         testing::Values(loop::Backend::io_uring, loop::Backend::epoll),
                         [](const auto& each) {
                             return each.param == loop::Backend::epoll ? "epoll" : "io_uring";
                         });

}  // namespace
}  // namespace braidway::path
