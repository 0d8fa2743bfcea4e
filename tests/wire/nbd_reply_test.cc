// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_reply.h"

#include <gtest/gtest.h>

#include <array>

#include "nbd_bytes.h"

namespace braidway::wire {
namespace {

using namespace nbd;

NbdReplyWriter writer(bool structured, bool extended = false) {
    NbdSession session;
    session.structured = structured;
    session.extended = extended;
    return NbdReplyWriter(session);
}

class NbdReply : public testing::Test {
  protected:
    std::span<const std::byte> written(size_t count) {
        EXPECT_LE(count, NbdReplyWriter::head_bytes_max);
        return std::span(buffer).first(count);
    }
    bool equal(size_t count, const Bytes& wanted) {
        const auto got = written(count);
        return std::vector<std::byte>(got.begin(), got.end()) == wanted.get();
    }
    std::array<std::byte, 512> buffer;
};

Bytes structured(uint16_t type, uint32_t length) {
    return Bytes().u32(structured_reply_magic).u16(1).u16(type).u64(42).u32(length);
}

Bytes extended(uint16_t type, uint64_t length) {
    return Bytes().u32(extended_reply_magic).u16(1).u16(type).u64(42).u64(4096).u64(length);
}

TEST_F(NbdReply, SimpleRepliesCarryErrorAndCookie) {
    const NbdReplyWriter to = writer(false);
    const Bytes good = Bytes().u32(simple_reply_magic).u32(0).u64(42);
    EXPECT_TRUE(equal(to.done(buffer.data(), 42, 4096), good));
    EXPECT_TRUE(equal(to.data(buffer.data(), 42, 4096, 512), good));
    EXPECT_TRUE(equal(to.error(buffer.data(), 42, 4096, error_eio, "text", true),
                      Bytes().u32(simple_reply_magic).u32(5).u64(42)));
}

TEST_F(NbdReply, StructuredChunksAreTheLastOfTheirReply) {
    const NbdReplyWriter to = writer(true);
    EXPECT_TRUE(equal(to.done(buffer.data(), 42, 4096), structured(reply_none, 0)));
    EXPECT_TRUE(
        equal(to.data(buffer.data(), 42, 4096, 512), structured(reply_offset_data, 520).u64(4096)));
    EXPECT_TRUE(equal(to.hole(buffer.data(), 42, 4096, 512),
                      structured(reply_offset_hole, 12).u64(4096).u32(512)));
    EXPECT_TRUE(equal(to.error(buffer.data(), 42, 4096, error_einval, "no"),
                      structured(reply_error, 8).u32(22).u16(2).text("no")));
    EXPECT_TRUE(equal(to.error(buffer.data(), 42, 4096, error_eio, "disk", true),
                      structured(reply_error_offset, 18).u32(5).u16(4).text("disk").u64(4096)));
    EXPECT_TRUE(equal(to.block_status(buffer.data(), 42, 4096, 3),
                      structured(reply_block_status, 28).u32(base_allocation_id)));
    EXPECT_TRUE(equal(to.extent(buffer.data(), {65536, 3}), Bytes().u32(65536).u32(3)));
}

TEST_F(NbdReply, ExtendedChunksRepeatTheOffset) {
    const NbdReplyWriter to = writer(true, true);
    EXPECT_TRUE(equal(to.done(buffer.data(), 42, 4096), extended(reply_none, 0)));
    EXPECT_TRUE(
        equal(to.data(buffer.data(), 42, 4096, 512), extended(reply_offset_data, 520).u64(4096)));
    EXPECT_TRUE(equal(to.hole(buffer.data(), 42, 4096, 512),
                      extended(reply_offset_hole, 12).u64(4096).u32(512)));
    EXPECT_TRUE(equal(to.error(buffer.data(), 42, 4096, error_eio, "disk", true),
                      extended(reply_error_offset, 18).u32(5).u16(4).text("disk").u64(4096)));
    EXPECT_TRUE(equal(to.block_status(buffer.data(), 42, 4096, 3),
                      extended(reply_block_status_ext, 56).u32(base_allocation_id).u32(3)));
    EXPECT_TRUE(equal(to.extent(buffer.data(), {uint64_t{1} << 40, 1}),
                      Bytes().u64(uint64_t{1} << 40).u64(1)));
}

TEST_F(NbdReply, LongTextsAreCut) {
    const std::string text(10000, 'x');
    const size_t count = writer(true, true).error(buffer.data(), 42, 0, error_eio, text, true);
    EXPECT_EQ(count, 32 + 6 + NbdReplyWriter::text_bytes_max + 8);
    EXPECT_LE(count, NbdReplyWriter::head_bytes_max);
}

TEST(NbdError, EveryStatusHasAValueThatTravels) {
    struct Row {
        IoStatus status;
        std::string_view name;
    };
    const Row special[] = {
        {IoStatus::ok, "ok"},           {IoStatus::not_supported, "EINVAL"},
        {IoStatus::no_space, "ENOSPC"}, {IoStatus::invalid, "EINVAL"},
        {IoStatus::resource, "ENOMEM"}, {IoStatus::shutdown, "ESHUTDOWN"},
    };
    for (unsigned at = 0; at < io_statuses; ++at) {
        std::string_view wanted = "EIO";
        for (const Row& row : special)
            if (row.status == static_cast<IoStatus>(at)) wanted = row.name;
        EXPECT_EQ(nbd_error_name(nbd_error_from(static_cast<IoStatus>(at))), wanted);
    }
    EXPECT_EQ(nbd_error_from(IoStatus::not_supported, true), error_enotsup);
    EXPECT_EQ(nbd_error_name(error_eperm), "EPERM");
    EXPECT_EQ(nbd_error_name(error_eoverflow), "EOVERFLOW");
}

}  // namespace
}  // namespace braidway::wire
