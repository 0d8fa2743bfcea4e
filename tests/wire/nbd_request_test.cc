// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_request.h"

#include <gtest/gtest.h>

#include "nbd_bytes.h"

namespace braidway::wire {
namespace {

using namespace nbd;
using Step = NbdRequestReader::Step;

constexpr uint64_t size_bytes = uint64_t{1} << 40;
constexpr unsigned all_flags =
    has_flags | send_flush | send_fua | send_trim | send_write_zeroes | send_cache | send_fast_zero;

NbdSession full_session(bool extended = false) {
    NbdSession session;
    session.size_bytes = size_bytes;
    session.minimum_block = 512;
    session.structured = session.base_allocation = true;
    session.extended = extended;
    session.flags = all_flags | send_df;
    if (extended) session.flags |= block_status_payload;
    return session;
}

NbdSession bare_session() {
    NbdSession session;
    session.size_bytes = size_bytes;
    session.minimum_block = 512;
    session.flags = has_flags;
    return session;
}

uint32_t judge(const NbdSession& session, uint16_t command, unsigned flags, uint64_t offset,
               uint64_t length) {
    NbdRequest request;
    request.command = command;
    request.flags = static_cast<uint16_t>(flags);
    request.offset = offset;
    request.length = length;
    judge_nbd_request(request, session);
    EXPECT_EQ(request.error == error_none, request.error_text.empty());
    return request.error;
}

TEST(NbdRequest, AFlagIsRefusedUnlessNegotiatedForItsCommand) {
    const NbdSession full = full_session();
    const NbdSession bare = bare_session();
    const unsigned fua = cmd_flag_fua;
    const unsigned allowed[] = {
        fua | cmd_flag_df,                            // read
        fua,                                          // write
        UINT16_MAX,                                   // disconnect: nothing keeps a client
        fua,                                          // flush
        fua,                                          // trim
        fua,                                          // cache
        fua | cmd_flag_no_hole | cmd_flag_fast_zero,  // write-zeroes
        fua | cmd_flag_req_one,                       // block-status
        0,                                            // resize
    };
    for (uint16_t command = 0; command <= cmd_resize; ++command) {
        for (unsigned bit = 0; bit < 16; ++bit) {
            const unsigned flag = 1u << bit;
            const bool good = (allowed[command] & flag) != 0;
            EXPECT_EQ(judge(full, command, flag, 0, 512), good ? error_none : error_einval)
                << nbd_command_name(command) << " " << bit;
            EXPECT_EQ(judge(bare, command, flag, 0, 512),
                      command == cmd_disc ? error_none : error_einval)
                << nbd_command_name(command) << " " << bit;
        }
    }
}

TEST(NbdRequest, ACommandIsRefusedUnlessNegotiated) {
    const NbdSession full = full_session();
    const NbdSession bare = bare_session();
    for (unsigned command = 0; command < 65536; ++command) {
        const bool basic = command <= cmd_disc;
        const bool known = command <= cmd_block_status;
        const auto number = static_cast<uint16_t>(command);
        ASSERT_EQ(judge(full, number, 0, 0, 512), known ? error_none : error_einval) << command;
        ASSERT_EQ(judge(bare, number, 0, 0, 512), basic ? error_none : error_einval) << command;
    }
}

TEST(NbdRequest, WritesToAReadOnlyExportAreNotPermitted) {
    NbdSession session = full_session();
    session.flags = static_cast<uint16_t>((session.flags | read_only) &
                                          ~(send_trim | send_write_zeroes | send_fast_zero));
    EXPECT_EQ(judge(session, cmd_write, 0, 0, 512), error_eperm);
    EXPECT_EQ(judge(session, cmd_write, 0, size_bytes, 512), error_eperm);
    EXPECT_EQ(judge(session, cmd_trim, 0, 0, 512), error_eperm);
    EXPECT_EQ(judge(session, cmd_write_zeroes, 0, 0, 512), error_eperm);
    EXPECT_EQ(judge(session, cmd_read, 0, 0, 512), error_none);
    EXPECT_EQ(judge(session, cmd_flush, 0, 0, 0), error_none);
}

TEST(NbdRequest, RangesAreJudgedByCommand) {
    const NbdSession session = full_session();
    struct Row {
        uint64_t offset, length;
        uint32_t write, zeroes, read, trim, status, cache;
    };
    constexpr uint32_t ok = error_none, bad = error_einval, full = error_enospc;
    const Row rows[] = {
        {0, 512, ok, ok, ok, ok, ok, ok},
        {size_bytes - 512, 512, ok, ok, ok, ok, ok, ok},
        {size_bytes - 512, 1024, full, full, bad, bad, bad, bad},
        {size_bytes, 512, full, full, bad, bad, bad, bad},
        {UINT64_MAX - 511, 512, full, full, bad, bad, bad, bad},
        {UINT64_MAX, 1, full, full, bad, bad, bad, bad},
        {1, 512, bad, bad, bad, bad, bad, bad},
        {0, 511, bad, bad, bad, bad, bad, bad},
        {size_bytes, 0, ok, ok, ok, ok, bad, ok},
        {0, 0, ok, ok, ok, ok, bad, ok},
        {size_bytes + 512, 0, full, full, bad, bad, bad, bad},
    };
    for (const Row& row : rows) {
        const auto at = &row - rows;
        EXPECT_EQ(judge(session, cmd_write, 0, row.offset, row.length), row.write) << at;
        EXPECT_EQ(judge(session, cmd_write_zeroes, 0, row.offset, row.length), row.zeroes) << at;
        EXPECT_EQ(judge(session, cmd_read, 0, row.offset, row.length), row.read) << at;
        EXPECT_EQ(judge(session, cmd_trim, 0, row.offset, row.length), row.trim) << at;
        EXPECT_EQ(judge(session, cmd_block_status, 0, row.offset, row.length), row.status) << at;
        EXPECT_EQ(judge(session, cmd_cache, 0, row.offset, row.length), row.cache) << at;
        EXPECT_EQ(judge(session, cmd_flush, 0, row.offset, row.length), ok) << at;
    }
}

TEST(NbdRequest, PayloadsAreBoundedAndOthersAreNot) {
    const uint64_t most = limits::payload_bytes_max;
    EXPECT_EQ(judge(full_session(), cmd_read, 0, 0, most), error_none);
    EXPECT_EQ(judge(full_session(), cmd_read, 0, 0, most + 512), error_eoverflow);
    EXPECT_EQ(judge(bare_session(), cmd_read, 0, 0, most + 512), error_einval);
    EXPECT_EQ(judge(full_session(), cmd_write, 0, 0, most), error_none);
    EXPECT_EQ(judge(full_session(), cmd_write, 0, 0, most + 512), error_einval);
    EXPECT_EQ(judge(full_session(), cmd_trim, 0, 0, most + 512), error_none);
    EXPECT_EQ(judge(full_session(true), cmd_write_zeroes, 0, 0, size_bytes), error_none);
}

Bytes compact(uint16_t command, uint16_t flags, uint64_t cookie, uint64_t offset, uint32_t length) {
    return Bytes().u32(request_magic).u16(flags).u16(command).u64(cookie).u64(offset).u32(length);
}

Bytes extended(uint16_t command, uint16_t flags, uint64_t cookie, uint64_t offset,
               uint64_t length) {
    return Bytes()
        .u32(extended_request_magic)
        .u16(flags)
        .u16(command)
        .u64(cookie)
        .u64(offset)
        .u64(length);
}

TEST(NbdRequestReader, CutsRequestsAndPayloads) {
    NbdRequestReader reader(full_session());
    Bytes stream = compact(cmd_write, cmd_flag_fua, 77, 4096, 512).zeroes(512);
    stream.add(compact(cmd_read, 0, 78, 512, 1024));
    std::span<const std::byte> rest(stream.get());
    NbdRequest request;
    size_t taken = 0;
    ASSERT_EQ(reader.next(rest, request, taken), Step::request);
    EXPECT_EQ(taken, 28u);
    EXPECT_EQ(request.command, cmd_write);
    EXPECT_EQ(request.cookie, 77u);
    EXPECT_EQ(request.offset, 4096u);
    EXPECT_EQ(request.payload_bytes, 512u);
    EXPECT_TRUE(request.has(cmd_flag_fua));
    rest = rest.subspan(taken);
    ASSERT_EQ(reader.next(rest.first(100), request, taken), Step::payload);
    EXPECT_EQ(taken, 100u);
    reader.payload_arrived(12);
    rest = rest.subspan(112);
    ASSERT_EQ(reader.next(rest, request, taken), Step::payload);
    EXPECT_EQ(taken, 400u);
    rest = rest.subspan(taken);
    for (size_t some = 1; some < 28; ++some) {
        ASSERT_EQ(reader.next(rest.first(some), request, taken), Step::more);
        ASSERT_EQ(taken, 0u);
    }
    ASSERT_EQ(reader.next(rest, request, taken), Step::request);
    EXPECT_EQ(request.cookie, 78u);
    EXPECT_EQ(request.payload_bytes, 0u);
}

TEST(NbdRequestReader, RefusedWritesStillHaveTheirPayload) {
    NbdSession session = bare_session();
    session.flags |= read_only;
    NbdRequestReader reader(session);
    NbdRequest request;
    size_t taken = 0;
    EXPECT_EQ(reader.next(compact(cmd_write, 0xFFFF, 1, 3, 77).get(), request, taken),
              Step::request);
    EXPECT_EQ(request.error, error_eperm);
    EXPECT_EQ(reader.payload_left(), 77u);
}

TEST(NbdRequestReader, TheWrongMagicBreaksTheStream) {
    NbdRequest request;
    size_t taken = 0;
    NbdRequestReader narrow(full_session());
    EXPECT_EQ(narrow.next(extended(cmd_read, 0, 1, 0, 512).get(), request, taken), Step::broken);
    NbdRequestReader wide(full_session(true));
    EXPECT_EQ(wide.next(compact(cmd_read, 0, 1, 0, 512).get(), request, taken), Step::broken);
    NbdRequestReader simple(full_session());
    EXPECT_EQ(simple.next(Bytes().text("GET / HTTP").get(), request, taken), Step::broken);
}

TEST(NbdRequestReader, ExtendedHeadersCarryLongLengthsAndPayloadLengths) {
    NbdRequestReader reader(full_session(true));
    NbdRequest request;
    size_t taken = 0;
    const uint64_t most = uint64_t{1} << 39;
    ASSERT_EQ(reader.next(extended(cmd_trim, 0, 9, 512, most).get(), request, taken),
              Step::request);
    EXPECT_EQ(taken, 32u);
    EXPECT_EQ(request.length, most);
    EXPECT_EQ(request.error, error_none);
    EXPECT_EQ(reader.payload_left(), 0u);
    // A payload where none belongs is refused, and taken.
    reader.next(extended(cmd_read, cmd_flag_payload_len, 9, 0, 512).get(), request, taken);
    EXPECT_EQ(request.error, error_einval);
    EXPECT_EQ(reader.payload_left(), 512u);
    reader.payload_arrived(512);
    // A write without the flag is refused, and its payload taken.
    reader.next(extended(cmd_write, 0, 9, 0, 512).get(), request, taken);
    EXPECT_EQ(request.error, error_einval);
    EXPECT_EQ(reader.payload_left(), 512u);
    reader.payload_arrived(512);
    reader.next(extended(cmd_write, cmd_flag_payload_len, 9, 0, 512).get(), request, taken);
    EXPECT_EQ(request.error, error_none);
    EXPECT_EQ(reader.payload_left(), 512u);
}

TEST(NbdRequestReader, BlockStatusPayloadsNameTheContext) {
    const NbdSession session = full_session(true);
    struct Row {
        uint64_t length;
        uint32_t context;
        uint32_t error;
    };
    const Row rows[] = {
        {1024, base_allocation_id, error_none},
        {1024, base_allocation_id + 1, error_einval},
        {1025, base_allocation_id, error_einval},
        {0, base_allocation_id, error_einval},
        {UINT64_MAX, base_allocation_id, error_einval},
    };
    for (const Row& row : rows) {
        NbdRequestReader reader(session);
        NbdRequest request;
        size_t taken = 0;
        reader.next(extended(cmd_block_status, cmd_flag_payload_len, 9, 512, 12).get(), request,
                    taken);
        ASSERT_EQ(request.error, error_none);
        ASSERT_EQ(reader.payload_left(), 12u);
        read_block_status_payload(Bytes().u64(row.length).u32(row.context).get(), request, session);
        EXPECT_EQ(request.error, row.error) << row.length;
        EXPECT_EQ(request.length, row.length);
    }
    NbdRequest request;
    for (const uint64_t length : {uint64_t{0}, uint64_t{7}, uint64_t{16}, UINT64_MAX}) {
        NbdRequestReader reader(session);
        size_t taken = 0;
        reader.next(extended(cmd_block_status, cmd_flag_payload_len, 9, 0, length).get(), request,
                    taken);
        EXPECT_EQ(request.error, error_einval);
        EXPECT_EQ(request.payload_bytes, length);
    }
}

}  // namespace
}  // namespace braidway::wire
