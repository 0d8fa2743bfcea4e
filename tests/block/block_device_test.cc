// SPDX-License-Identifier: Apache-2.0
#include "block/block_device.h"

#include <gtest/gtest.h>

#include "block/zero.h"
#include "support/devices.h"

namespace braidway::block {
namespace {

constexpr uint64_t size = 1u << 20;

Geometry full_geometry() {
    Geometry geometry;
    geometry.size_bytes = size;
    geometry.block_bytes = 4096;
    geometry.can_discard = geometry.can_write_zeroes = geometry.can_fast_zero = true;
    geometry.can_block_status = true;
    return geometry;
}

IoStatus check(IoOp op, uint64_t offset, uint64_t length, const Geometry& geometry) {
    Request request;
    request.op = op;
    request.offset_bytes = offset;
    request.length_bytes = length;
    return check_request(request, geometry);
}

struct Row {
    IoOp op;
    uint64_t offset;
    uint64_t length;
    IoStatus expected;
};

TEST(CheckRequest, JudgesRangesAndAlignment) {
    const Row rows[] = {
        {IoOp::read, 0, 4096, IoStatus::ok},
        {IoOp::read, 0, size, IoStatus::ok},
        {IoOp::read, size - 4096, 4096, IoStatus::ok},
        {IoOp::read, size - 4096, 8192, IoStatus::invalid},
        {IoOp::read, size, 4096, IoStatus::invalid},
        {IoOp::read, 0, 0, IoStatus::invalid},
        {IoOp::write, 0, 0, IoStatus::invalid},
        {IoOp::read, 512, 4096, IoStatus::invalid},
        {IoOp::read, 4096, 512, IoStatus::invalid},
        {IoOp::write, 512, 4096, IoStatus::invalid},
        {IoOp::write, size - 4096, 8192, IoStatus::no_space},
        {IoOp::write, size, 4096, IoStatus::no_space},
        {IoOp::discard, size, 4096, IoStatus::no_space},
        {IoOp::write_zeroes, size, 4096, IoStatus::no_space},
        {IoOp::block_status, size, 4096, IoStatus::invalid},
        {IoOp::cache, size, 4096, IoStatus::invalid},
        {IoOp::block_status, 0, size, IoStatus::ok},
        {IoOp::flush, 0, 0, IoStatus::ok},
        {IoOp::flush, 12345, 1, IoStatus::ok},
    };
    for (const Row& row : rows)
        EXPECT_EQ(check(row.op, row.offset, row.length, full_geometry()), row.expected)
            << io_op_name(row.op) << " " << row.offset << "+" << row.length;
}

TEST(CheckRequest, IsNotFooledByNumbersThatWrap) {
    const uint64_t top = UINT64_MAX & ~uint64_t{4095};
    EXPECT_EQ(check(IoOp::read, top, 4096, full_geometry()), IoStatus::invalid);
    EXPECT_EQ(check(IoOp::read, top, 8192, full_geometry()), IoStatus::invalid);
    EXPECT_EQ(check(IoOp::read, 4096, top, full_geometry()), IoStatus::invalid);
    EXPECT_EQ(check(IoOp::write, 4096, top, full_geometry()), IoStatus::no_space);
    EXPECT_EQ(check(IoOp::write, top, top, full_geometry()), IoStatus::no_space);
}

TEST(CheckRequest, RefusesWhatTheDeviceCannotDo) {
    Geometry plain = full_geometry();
    plain.can_flush = plain.can_discard = plain.can_write_zeroes = false;
    EXPECT_EQ(check(IoOp::flush, 0, 0, plain), IoStatus::not_supported);
    EXPECT_EQ(check(IoOp::discard, 0, 4096, plain), IoStatus::not_supported);
    EXPECT_EQ(check(IoOp::write_zeroes, 0, 4096, plain), IoStatus::not_supported);
    EXPECT_EQ(check(IoOp::write, 0, 4096, plain), IoStatus::ok);
}

TEST(CheckRequest, RefusesChangesOfAReadOnlyDevice) {
    Geometry geometry = full_geometry();
    geometry.read_only = true;
    for (const IoOp op : {IoOp::write, IoOp::discard, IoOp::write_zeroes})
        EXPECT_EQ(check(op, 0, 4096, geometry), IoStatus::not_supported) << io_op_name(op);
    for (const IoOp op : {IoOp::read, IoOp::flush, IoOp::block_status, IoOp::cache})
        EXPECT_EQ(check(op, 0, 4096, geometry), IoStatus::ok) << io_op_name(op);
}

using FinishSoon = LaneTest;

TEST_F(FinishSoon, EndsFromTheLoopWithEveryStatus) {
    struct Device final : BlockDevice {
        loop::Loop& loop;
        Geometry shape;
        IoStatus status = IoStatus::ok;
        explicit Device(loop::Loop& lane) : loop(lane) {}
        const Geometry& geometry() const override { return shape; }
        void begin(Request& request) override { finish_soon(loop, request, status); }
    } device(*loop_);
    for (unsigned status = 0; status < io_statuses; ++status) {
        device.status = static_cast<IoStatus>(status);
        Client client;
        client.submit(device);
        EXPECT_EQ(client.ended, 0);
        settle();
        EXPECT_EQ(client.ended, 1);
        EXPECT_EQ(client.status, device.status);
    }
}

TEST_F(FinishSoon, ACompletionMaySubmitTheSameRequestAgain) {
    ZeroDevice zero(*loop_, {.size_bytes = size, .block_bytes = 512, .holes = false});
    Client client;
    client.on_end = [&](Client& again) {
        if (again.ended < 100) again.submit(zero);
    };
    client.submit(zero);
    turn_until([&] { return client.ended == 100; });
}

}  // namespace
}  // namespace braidway::block
