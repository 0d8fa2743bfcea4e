// SPDX-License-Identifier: Apache-2.0
#include "path/file.h"

#include "path/temporary_file.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

constexpr uint64_t size = 1u << 20;

/// Each test on a disk's file system and on one in memory.
class File : public LaneTest, public testing::WithParamInterface<std::string> {
  protected:
    File() : image_(size, GetParam() == "memory" ? "/dev/shm" : testing::TempDir()) {}

    std::unique_ptr<FileDevice> open(bool read_only = false) {
        auto opened = open_file(image_.name(), read_only, stores_);
        EXPECT_TRUE(opened.has_value()) << opened.error().message;
        auto device = std::make_unique<FileDevice>(*loop_);
        device->adopt(std::move(*opened));
        return device;
    }
    IoStatus run(Client& client, block::BlockDevice& device) {
        const int before = client.ended;
        client.submit(device);
        turn_until([&] { return client.ended > before; });
        return client.status;
    }
    IoStatus run(IoOp op, uint64_t offset, uint64_t length, block::BlockDevice& device,
                 int fill = 0x5a) {
        Client client(op, offset, length, fill);
        return run(client, device);
    }

    TemporaryFile image_;
    FileStores stores_;
};

TEST_P(File, ReadsWhatWasWritten) {
    auto device = open();
    for (const uint64_t length : {uint64_t{4096}, uint64_t{65536}, uint64_t{512} * 1024}) {
        Client write(IoOp::write, 8192, length, 0x41);
        EXPECT_EQ(run(write, *device), IoStatus::ok);
        Client read(IoOp::read, 8192, length, 0);
        EXPECT_EQ(run(read, *device), IoStatus::ok);
        EXPECT_TRUE(read.all(0x41));
        EXPECT_FALSE(read.request.hole);
    }
    EXPECT_EQ(run(IoOp::flush, 0, 0, *device), IoStatus::ok);
    EXPECT_EQ(image_.byte_at(8192), 'A');
    EXPECT_EQ(image_.byte_at(8191), '\0');
}

TEST_P(File, WritesThroughWithFua) {
    auto device = open();
    Client write(IoOp::write, 0, 4096, 0x42);
    write.request.fua = true;
    EXPECT_EQ(run(write, *device), IoStatus::ok);
    EXPECT_EQ(image_.byte_at(4095), 'B');
    Client zeroes(IoOp::write_zeroes, 0, 4096);
    zeroes.request.fua = true;
    EXPECT_EQ(run(zeroes, *device), IoStatus::ok);
    EXPECT_EQ(image_.byte_at(4095), '\0');
}

TEST_P(File, AnswersReadsOfHolesWithoutTouchingTheMemory) {
    auto device = open();
    Client read(IoOp::read, 4096, 8192, 0x77);
    EXPECT_EQ(run(read, *device), IoStatus::ok);
    EXPECT_TRUE(read.request.hole);
    EXPECT_TRUE(read.all(0x77));
    Client check(IoOp::read, 4096, 4096, 0x77);
    check.request.must_reach_storage = true;
    EXPECT_EQ(run(check, *device), IoStatus::ok);
    EXPECT_FALSE(check.request.hole);
    EXPECT_TRUE(check.all(0));
}

TEST_P(File, AWriteThroughAnotherPathEndsAHole) {
    auto first = open();
    auto second = open();
    EXPECT_EQ(run(IoOp::write, 8192, 4096, *second, 0x43), IoStatus::ok);
    Client read(IoOp::read, 8192, 4096, 0);
    EXPECT_EQ(run(read, *first), IoStatus::ok);
    EXPECT_FALSE(read.request.hole);
    EXPECT_TRUE(read.all(0x43));
    Client beside(IoOp::read, 4096, 4096);
    run(beside, *first);
    EXPECT_TRUE(beside.request.hole);
}

TEST_P(File, ADiscardMakesAHoleAgain) {
    auto device = open();
    run(IoOp::write, 0, 65536, *device);
    EXPECT_EQ(run(IoOp::discard, 0, 65536, *device), IoStatus::ok);
    Client read(IoOp::read, 0, 65536);
    run(read, *device);
    EXPECT_TRUE(read.request.hole);
    EXPECT_EQ(image_.byte_at(0), '\0');
}

TEST_P(File, ADiscardThatOverlapsAWriteTeachesNothing) {
    auto device = open();
    Client discard(IoOp::discard, 0, 65536);
    Client write(IoOp::write, 0, 4096, 0x44);
    discard.submit(*device);
    write.submit(*device);
    turn_until([&] { return discard.ended == 1 && write.ended == 1; });
    Client read(IoOp::read, 0, 4096, 0);
    run(read, *device);
    EXPECT_FALSE(read.request.hole);
    EXPECT_EQ(static_cast<char>(read.first_byte()), image_.byte_at(0));
}

TEST_P(File, WritesZeroesKeepingOrGivingUpTheSpace) {
    auto device = open();
    for (const bool may_unmap : {false, true}) {
        run(IoOp::write, 0, 262144, *device);
        Client zeroes(IoOp::write_zeroes, 4096, 131072);
        zeroes.request.may_unmap = may_unmap;
        EXPECT_EQ(run(zeroes, *device), IoStatus::ok);
        Client read(IoOp::read, 4096, 131072);
        read.request.must_reach_storage = true;
        EXPECT_EQ(run(read, *device), IoStatus::ok);
        EXPECT_TRUE(read.all(0));
        EXPECT_EQ(image_.byte_at(4095), 'Z');
        EXPECT_EQ(image_.byte_at(4096 + 131072), 'Z');
        Client known(IoOp::read, 4096, 4096);
        run(known, *device);
        EXPECT_EQ(known.request.hole, may_unmap);
    }
}

TEST_P(File, FastZeroIsDoneOrRefusedButNeverLeftHalf) {
    auto device = open();
    run(IoOp::write, 0, 8192, *device);
    Client zeroes(IoOp::write_zeroes, 0, 4096);
    zeroes.request.fast_zero = true;
    const IoStatus status = run(zeroes, *device);
    EXPECT_TRUE(status == IoStatus::ok || status == IoStatus::not_supported);
    EXPECT_EQ(image_.byte_at(0), status == IoStatus::ok ? '\0' : 'Z');
}

TEST_P(File, TellsDataFromHoles) {
    image_.fill(65536, 65536, 'x');
    auto device = open();
    std::vector<block::Extent> extents(8);
    Client status(IoOp::block_status, 4096, 262144);
    status.request.extents = extents;
    EXPECT_EQ(run(status, *device), IoStatus::ok);
    ASSERT_EQ(status.request.extents_count, 3u);
    EXPECT_EQ(extents[0].length_bytes, 65536u - 4096u);
    EXPECT_TRUE(extents[0].hole && extents[0].zero);
    EXPECT_EQ(extents[1].length_bytes, 65536u);
    EXPECT_FALSE(extents[1].hole || extents[1].zero);
    EXPECT_EQ(extents[2].length_bytes, 262144u - 126976u);
    EXPECT_TRUE(extents[2].hole);
    // With less room the answer is the beginning.
    Client short_answer(IoOp::block_status, 4096, 262144);
    short_answer.request.extents = std::span(extents).first(1);
    run(short_answer, *device);
    EXPECT_EQ(short_answer.request.extents_count, 1u);
}

TEST_P(File, AnswersManyQuestionsAboutHolesAtOnce) {
    auto device = open();
    std::vector<block::Extent> extents(16);
    std::vector<Client> clients(16);
    for (size_t at = 0; at < clients.size(); ++at) {
        clients[at].prepare(IoOp::block_status, at * 4096, 4096);
        clients[at].request.extents = std::span(extents).subspan(at, 1);
        clients[at].submit(*device);
    }
    turn_until([&] {
        return std::all_of(clients.begin(), clients.end(),
                           [](const Client& client) { return client.ended == 1; });
    });
    for (const block::Extent& extent : extents) {
        EXPECT_EQ(extent.length_bytes, 4096u);
        EXPECT_TRUE(extent.hole);
    }
}

TEST_P(File, LearnsHolesFromQuestionsUnlessTheFileChangesMeanwhile) {
    auto device = open();
    run(IoOp::write, 0, 65536, *device);
    ASSERT_EQ(run(IoOp::flush, 0, 0, *device), IoStatus::ok);
    device->file().store->holes.remove(0, size);
    block::Extent extent;
    Client status(IoOp::block_status, 131072, 65536);
    status.request.extents = {&extent, 1};
    Client write(IoOp::write, 131072, 4096, 0x45);
    status.submit(*device);
    write.submit(*device);
    turn_until([&] { return status.ended == 1 && write.ended == 1; });
    EXPECT_FALSE(device->file().store->holes.covers(131072, 1));
    Client quiet(IoOp::block_status, 524288, 65536);
    quiet.request.extents = {&extent, 1};
    run(quiet, *device);
    EXPECT_TRUE(device->file().store->holes.covers(524288, 65536));
}

TEST_P(File, AFileThatShrankIsAnIoError) {
    image_.fill(0, size, 'x');
    auto device = open();
    image_.truncate(size / 2);
    EXPECT_EQ(run(IoOp::read, size / 2, 4096, *device), IoStatus::io);
    EXPECT_EQ(run(IoOp::read, size / 2 - 4096, 8192, *device), IoStatus::io);
    image_.truncate(size / 4 + 6000);
    EXPECT_EQ(run(IoOp::read, size / 4, 16384, *device), IoStatus::io);
    EXPECT_EQ(run(IoOp::read, size / 4, 4096, *device), IoStatus::ok);
}

TEST_P(File, IsOfflineWhileNothingIsOpen) {
    FileDevice device(*loop_);
    EXPECT_FALSE(device.is_open());
    Client read;
    read.submit(device);
    EXPECT_EQ(read.ended, 0);
    settle();
    EXPECT_EQ(read.status, IoStatus::offline);
    auto opened = open_file(image_.name(), false, stores_);
    device.adopt(std::move(*opened));
    EXPECT_EQ(device.geometry().size_bytes, size);
    EXPECT_EQ(run(IoOp::write, 0, 4096, device), IoStatus::ok);
}

TEST_P(File, AReadOnlyDeviceSaysSo) {
    auto device = open(true);
    EXPECT_TRUE(device->geometry().read_only);
    Client write(IoOp::write);
    EXPECT_EQ(block::check_request(write.request, device->geometry()), IoStatus::not_supported);
    EXPECT_EQ(run(IoOp::read, 0, 4096, *device), IoStatus::ok);
    EXPECT_EQ(run(IoOp::flush, 0, 0, *device), IoStatus::ok);
    EXPECT_EQ(run(IoOp::cache, 0, 4096, *device), IoStatus::ok);
}

TEST_P(File, ManyRequestsAtOnceAllEnd) {
    auto device = open();
    WatchingLayer watched(std::move(device));
    std::vector<Client> clients(64);
    for (size_t at = 0; at < clients.size(); ++at) {
        clients[at].prepare(at % 2 ? IoOp::write : IoOp::read, at * 8192, 8192, 0x46);
        clients[at].submit(watched);
    }
    turn_until([&] { return watched.ended == 64; });
    for (const Client& client : clients) EXPECT_EQ(client.status, IoStatus::ok);
}

INSTANTIATE_TEST_SUITE_P(FileSystems, File, testing::Values("disk", "memory"),
                         [](const auto& chosen) { return chosen.param; });

}  // namespace
}  // namespace braidway::path
