// SPDX-License-Identifier: Apache-2.0
// What a file does with answers of the kernel that a test cannot order from a real one.
#include <linux/falloc.h>

#include <cerrno>

#include "path/file.h"
#include "path/scripted_loop.h"
#include "path/temporary_file.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

class FileScripted : public testing::Test {
  protected:
    explicit FileScripted(FileMode mode = FileMode::buffered) {
        auto opened = open_file(image_.name(), false, stores_);
        opened->mode = mode;
        opened->geometry.block_bytes = 512;
        device_.adopt(std::move(*opened));
        device_.file().store->holes.remove(0, 1u << 20);
    }
    loop::Operation& asked() { return *loop_.asked.at(0); }

    TemporaryFile image_{1u << 20};
    FileStores stores_;
    ScriptedLoop loop_;
    FileDevice device_{loop_};
};

using OneTransfer = FileScripted;

TEST_F(OneTransfer, GoesOnWhereItCameBackShort) {
    for (const IoOp op : {IoOp::read, IoOp::write}) {
        Client client(op, 8192, 4096);
        client.request.fua = op == IoOp::write;
        client.submit(device_);
        loop_.answer(1000);
        EXPECT_EQ(asked().offset, 9192u);
        EXPECT_EQ(asked().iov[0].iov_len, 3096u);
        EXPECT_EQ(asked().iov[0].iov_base, static_cast<char*>(client.data.iov_base) + 1000);
        EXPECT_EQ(asked().flags != 0, op == IoOp::write) << "still through to the storage";
        loop_.answer(96);
        EXPECT_EQ(asked().offset, 9288u);
        loop_.answer(3000);
        EXPECT_EQ(client.ended, 1);
        EXPECT_EQ(client.status, IoStatus::ok);
    }
}

TEST_F(OneTransfer, GoesOnPieceByPieceThroughAChain) {
    Client client(IoOp::read, 0, 4096);
    char* base = static_cast<char*>(client.data.iov_base);
    const iovec chain[3] = {{base, 1024}, {base + 1024, 1024}, {base + 2048, 2048}};
    client.request.data = chain;
    client.submit(device_);
    EXPECT_EQ(asked().iov_count, 3u);
    loop_.answer(1536);
    EXPECT_EQ(asked().iov[0].iov_base, base + 1536);
    EXPECT_EQ(asked().iov[0].iov_len, 512u);
    loop_.answer(512);
    EXPECT_EQ(asked().iov[0].iov_base, base + 2048);
    EXPECT_EQ(asked().iov[0].iov_len, 2048u);
    loop_.answer(2048);
    EXPECT_EQ(client.status, IoStatus::ok);
    EXPECT_EQ(client.ended, 1);
}

TEST_F(OneTransfer, AnInterruptedOneIsTriedAgain) {
    Client client(IoOp::read, 8192, 4096);
    client.submit(device_);
    loop_.answer(-EINTR);
    EXPECT_EQ(client.ended, 0);
    EXPECT_EQ(asked().offset, 8192u);
    loop_.answer(1024);
    loop_.answer(-EINTR);
    EXPECT_EQ(asked().offset, 9216u);
    loop_.answer(3072);
    EXPECT_EQ(client.ended, 1);
    EXPECT_EQ(client.status, IoStatus::ok);
}

TEST_F(OneTransfer, NothingReadIsAnIoErrorWithAReason) {
    Client client(IoOp::read, 8192, 4096);
    client.submit(device_);
    loop_.answer(2048);
    loop_.answer(0);
    EXPECT_EQ(client.status, IoStatus::io);
    EXPECT_EQ(client.request.error_text, "the file is shorter than it was");
}

TEST_F(OneTransfer, ErrorsAreClassified) {
    const std::pair<int, IoStatus> rows[] = {
        {EIO, IoStatus::io},         {ENOSPC, IoStatus::no_space}, {ENODATA, IoStatus::medium},
        {EINVAL, IoStatus::invalid}, {ENODEV, IoStatus::offline},  {EAGAIN, IoStatus::again}};
    for (const auto& [code, status] : rows) {
        Client client(IoOp::write, 0, 4096);
        client.submit(device_);
        loop_.answer(-code);
        EXPECT_EQ(client.status, status) << code;
    }
}

class DirectTransfer : public FileScripted {
  protected:
    DirectTransfer() : FileScripted(FileMode::direct) {}
};

TEST_F(DirectTransfer, GoesOnAtAWholeBlock) {
    Client client(IoOp::read, 0, 4096);
    client.submit(device_);
    loop_.answer(1000);
    EXPECT_EQ(asked().offset, 512u);
    EXPECT_EQ(asked().iov[0].iov_len, 3584u);
    loop_.answer(488);
    EXPECT_EQ(client.ended, 1);
    EXPECT_EQ(client.status, IoStatus::io) << "not even a block more: the file ends there";
}

using FileSystemCannot = FileScripted;

TEST_F(FileSystemCannot, ADiscardIsAdviceAndMakesNoHole) {
    Client discard(IoOp::discard, 0, 65536);
    discard.submit(device_);
    EXPECT_EQ(asked().flags, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    loop_.answer(-EOPNOTSUPP);
    EXPECT_EQ(discard.status, IoStatus::ok);
    EXPECT_FALSE(device_.file().store->holes.covers(0, 4096)) << "the data is still there";
}

TEST_F(FileSystemCannot, ZeroesAreWrittenByHand) {
    const uint64_t length = (3u << 20) / 2 + 512;
    image_.truncate(4u << 20);
    Client zeroes(IoOp::write_zeroes, 4096, length);
    zeroes.request.may_unmap = true;
    zeroes.request.fua = true;
    zeroes.submit(device_);
    loop_.answer(-EOPNOTSUPP);
    uint64_t at = 4096;
    while (asked().kind == loop::Operation::Kind::write) {
        EXPECT_EQ(asked().offset, at);
        uint64_t bytes = 0;
        for (uint32_t piece = 0; piece < asked().iov_count; ++piece)
            bytes += asked().iov[piece].iov_len;
        ASSERT_LE(at + bytes, 4096 + length);
        at += bytes;
        loop_.answer(static_cast<int32_t>(bytes));
    }
    EXPECT_EQ(at, 4096 + length);
    ASSERT_EQ(asked().kind, loop::Operation::Kind::sync_data);
    EXPECT_EQ(zeroes.ended, 0);
    loop_.answer(0);
    EXPECT_EQ(zeroes.ended, 1);
    EXPECT_EQ(zeroes.status, IoStatus::ok);
    EXPECT_FALSE(device_.file().store->holes.covers(4096, 4096)) << "zeroes, but no hole";
}

TEST_F(FileSystemCannot, FastZeroesAreRefusedAtOnce) {
    Client zeroes(IoOp::write_zeroes, 0, 4096);
    zeroes.request.fast_zero = true;
    zeroes.submit(device_);
    EXPECT_EQ(asked().flags, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
    loop_.answer(-EOPNOTSUPP);
    EXPECT_EQ(zeroes.status, IoStatus::not_supported);
}

TEST_F(FileSystemCannot, AnInterruptedPunchIsTriedAgain) {
    Client discard(IoOp::discard, 0, 4096);
    discard.submit(device_);
    loop_.answer(-EINTR);
    EXPECT_EQ(discard.ended, 0);
    loop_.answer(0);
    EXPECT_EQ(discard.status, IoStatus::ok);
    EXPECT_TRUE(device_.file().store->holes.covers(0, 4096));
}

TEST_F(FileSystemCannot, AFailedFlushIsAnError) {
    Client flush(IoOp::flush);
    flush.submit(device_);
    loop_.answer(-EIO);
    EXPECT_EQ(flush.status, IoStatus::io);
}

}  // namespace
}  // namespace braidway::path
