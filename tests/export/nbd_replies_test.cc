// SPDX-License-Identifier: Apache-2.0
// What clients are answered: errors with their texts, holes, block status, many in one call.
#include "nbd_harness.h"

namespace braidway::exports {
namespace {

class NbdReplies : public OnBackend {};

TEST_P(NbdReplies, RefusedAndFailedRequestsCarryATextAndTheirOffset) {
    World world(GetParam());
    world.serve();
    world.device.fail_with = IoStatus::medium;
    world.device.error_text = "a bad sector";
    Client client(world);
    client.enter();
    client.send(client.request(cmd_read, 0, 5, 4096, 512));
    Chunk failed = client.chunk();
    EXPECT_EQ(failed.type, reply_error_offset);
    EXPECT_EQ(failed.error(), error_eio);
    EXPECT_EQ(failed.text(), "a bad sector");
    EXPECT_EQ(failed.payload.size(), 6 + 12 + 8u);
    client.send(client.write(6, 4096, std::string(512, 'x')));
    failed = client.chunk();
    EXPECT_EQ(failed.type, reply_error);
    EXPECT_EQ(failed.error(), error_eio);
    client.send(client.request(cmd_read, 0, 7, 1, 512));
    failed = client.chunk();
    EXPECT_EQ(failed.type, reply_error);
    EXPECT_NE(failed.text(), "");
}

TEST_P(NbdReplies, DeviceErrorsAreTranslated) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter(Style::simple);
    const std::pair<IoStatus, uint32_t> rows[] = {
        {IoStatus::no_space, error_enospc},      {IoStatus::resource, error_enomem},
        {IoStatus::transport, error_eio},        {IoStatus::shutdown, error_eshutdown},
        {IoStatus::not_supported, error_einval},
    };
    for (const auto& [status, error] : rows) {
        world.device.fail_with = status;
        EXPECT_EQ(client.ask(client.write(1, 0, std::string(512, 'x'))), error);
    }
    EXPECT_EQ(client.ask(cmd_write_zeroes, cmd_flag_fast_zero, 0, 512), error_enotsup);
}

TEST_P(NbdReplies, HolesAreHolesOrZeroes) {
    World world(GetParam());
    world.serve();
    world.device.all_holes = true;
    std::memset(world.device.memory(), 'x', 65536);
    Client client(world);
    client.enter();
    for (const uint16_t flags : {uint16_t{0}, uint16_t{cmd_flag_df}}) {
        client.send(client.request(cmd_read, flags, 5, 4096, 8192));
        const Chunk chunk = client.chunk();
        EXPECT_EQ(chunk.type, reply_offset_hole);
        EXPECT_EQ(chunk.parse().u64(), 4096u);
        EXPECT_EQ(chunk.payload.size(), 12u);
    }
    Client simple(world);
    simple.enter(Style::simple);
    simple.send(simple.request(cmd_read, 0, 5, 4096, 8192));
    EXPECT_EQ(simple.simple().error, 0u);
    EXPECT_EQ(simple.receive(8192), std::string(8192, '\0'));
}

TEST_P(NbdReplies, BlockStatusListsExtentsMergedAndCut) {
    World world(GetParam());
    world.serve();
    world.device.extents = {
        {4096, false, false}, {4096, false, false}, {8192, true, true}, {1 << 20, false, true}};
    Client client(world);
    client.enter();
    client.send(client.request(cmd_block_status, 0, 5, 0, 65536));
    Chunk chunk = client.chunk();
    EXPECT_EQ(chunk.type, reply_block_status);
    Parse parse = chunk.parse();
    EXPECT_EQ(parse.u32(), base_allocation_id);
    for (const uint32_t number : {8192u, 0u, 8192u, 3u, 49152u, 2u}) EXPECT_EQ(parse.u32(), number);
    EXPECT_EQ(parse.left(), 0u);
    client.send(client.request(cmd_block_status, cmd_flag_req_one, 5, 0, 65536));
    chunk = client.chunk();
    parse = chunk.parse();
    parse.u32();
    EXPECT_EQ(parse.u32(), 4096u);
    EXPECT_EQ(parse.u32(), 0u);
    EXPECT_EQ(parse.left(), 0u);
}

TEST_P(NbdReplies, BlockStatusOfADeviceThatCannotIsData) {
    World world(GetParam());
    world.serve();
    world.device.change_geometry().can_block_status = false;
    for (const uint16_t flags : {uint16_t{0}, uint16_t{cmd_flag_req_one}}) {
        Client client(world);
        client.enter(Style::extended);
        client.send(client.request(cmd_block_status, flags, 5, 512, 1 << 20));
        const Chunk chunk = client.chunk();
        EXPECT_EQ(chunk.type, reply_block_status_ext);
        EXPECT_EQ(chunk.offset, 512u);
        Parse parse = chunk.parse();
        EXPECT_EQ(parse.u32(), base_allocation_id);
        EXPECT_EQ(parse.u32(), 1u);
        EXPECT_EQ(parse.u64(), 1u << 20);
        EXPECT_EQ(parse.u64(), 0u);
        EXPECT_EQ(parse.left(), 0u);
    }
}

TEST_P(NbdReplies, BlockStatusMayNameItsContext) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter(Style::extended);
    const auto ask = [&](const Bytes& payload) {
        client.send(client.request(cmd_block_status, cmd_flag_payload_len, 5, 0, payload.size())
                        .add(payload));
        return client.chunk();
    };
    EXPECT_EQ(ask(Bytes().u64(4096).u32(base_allocation_id)).type, reply_block_status_ext);
    EXPECT_EQ(ask(Bytes().u64(4096)).type, reply_none);  // No context asked for.
    EXPECT_EQ(ask(Bytes().u64(4096).u32(99)).error(), error_einval);
    EXPECT_EQ(ask(Bytes().u64(1 << 30).u32(base_allocation_id)).error(), error_einval);
    EXPECT_EQ(ask(Bytes().u64(4096).u32(base_allocation_id).u32(2)).error(), error_einval);
}

TEST_P(NbdReplies, ManyRequestsCostFewSystemCalls) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter(Style::simple);
    Bytes batch;
    for (unsigned at = 0; at < 32; ++at) batch.add(client.request(cmd_read, 0, at, 0, 4096));
    const uint64_t before = world.loop->counters().system_calls;
    for (int rounds = 0; rounds < 20; ++rounds) {
        ASSERT_EQ(client.send_some(batch.get()), batch.size());
        EXPECT_EQ(client.receive(32 * (16 + 4096)).size(), 32u * (16 + 4096));
    }
    const double calls = static_cast<double>(world.loop->counters().system_calls - before);
    EXPECT_LE(calls / (20 * 32), 0.3);
}

ON_BOTH_BACKENDS(NbdReplies);

}  // namespace
}  // namespace braidway::exports
