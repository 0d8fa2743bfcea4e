// SPDX-License-Identifier: Apache-2.0
#include "block/split.h"

#include "support/devices.h"

namespace braidway::block {
namespace {

constexpr uint32_t piece = 4096;

class Split : public LaneTest {
  protected:
    void make(uint32_t parts) {
        auto below = std::make_unique<ScriptedDevice>();
        device_ = below.get();
        layer_ = std::make_unique<SplitLayer>(std::move(below), piece, parts);
    }
    ScriptedDevice* device_ = nullptr;
    std::unique_ptr<SplitLayer> layer_;
};

TEST_F(Split, PassesWholeWhatFits) {
    make(8);
    Client read(IoOp::read, piece, piece);
    Client discard(IoOp::discard, 0, 10 * piece);
    Client flush(IoOp::flush);
    for (Client* client : {&read, &discard, &flush}) client->submit(*layer_);
    ASSERT_EQ(device_->waiting.size(), 3u);
    EXPECT_EQ(device_->waiting[0], &read.request);
    EXPECT_EQ(device_->seen[1].length_bytes, 10 * piece);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(read.ended + discard.ended + flush.ended, 3);
}

TEST_F(Split, CutsAtMultiplesOfTheLimitAndCoversEverythingOnce) {
    make(8);
    Client write(IoOp::write, piece - 512, 2 * piece + 1024);
    write.request.fua = true;
    write.submit(*layer_);
    ASSERT_EQ(device_->waiting.size(), 4u);
    uint64_t at = write.request.offset_bytes;
    const char* memory = static_cast<const char*>(write.data.iov_base);
    for (const Request* part : device_->waiting) {
        EXPECT_EQ(part->offset_bytes, at);
        EXPECT_EQ(part->offset_bytes / piece, (at + part->length_bytes - 1) / piece);
        EXPECT_EQ(part->data[0].iov_base, memory);
        EXPECT_EQ(part->data[0].iov_len, part->length_bytes);
        EXPECT_TRUE(part->fua);
        at += part->length_bytes;
        memory += part->length_bytes;
    }
    EXPECT_EQ(at, write.request.offset_bytes + write.request.length_bytes);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(write.ended, 1);
    EXPECT_EQ(write.status, IoStatus::ok);
}

TEST_F(Split, AwaitsAllPartsAndAnswersTheFirstErrorInOffsetOrder) {
    make(8);
    Client read(IoOp::read, 0, 4 * piece);
    read.submit(*layer_);
    device_->waiting[3]->error_text = "late part";
    device_->answer(3, IoStatus::transport);
    device_->waiting[1]->error_text = "early part";
    device_->answer(1, IoStatus::medium);
    device_->answer(1, IoStatus::io);
    EXPECT_EQ(read.ended, 0);
    device_->answer(0, IoStatus::ok);
    EXPECT_EQ(read.ended, 1);
    EXPECT_EQ(read.status, IoStatus::medium);
    EXPECT_EQ(read.request.error_text, "early part");
}

TEST_F(Split, AnUnknownOutcomeOfOnePartIsOneOfTheWhole) {
    make(8);
    Client write(IoOp::write, 0, 2 * piece);
    write.submit(*layer_);
    device_->waiting[0]->outcome_unknown = true;
    device_->answer(0, IoStatus::timeout);
    device_->answer(0, IoStatus::ok);
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_EQ(write.status, IoStatus::timeout);
}

TEST_F(Split, FillsHolesOfPartsWithZeroes) {
    make(8);
    Client read(IoOp::read, 0, 2 * piece, 0x77);
    read.submit(*layer_);
    device_->waiting[1]->hole = true;
    device_->answer(1, IoStatus::ok);
    device_->answer(0, IoStatus::ok);
    EXPECT_FALSE(read.request.hole);
    const auto* bytes = static_cast<const unsigned char*>(read.data.iov_base);
    EXPECT_EQ(bytes[piece - 1], 0x77);
    EXPECT_EQ(bytes[piece], 0);
    EXPECT_EQ(bytes[2 * piece - 1], 0);
}

TEST_F(Split, WaitsInOrderWhenPartsRunOut) {
    make(3);
    Client first(IoOp::read, 0, 4 * piece);
    Client second(IoOp::read, 64 * piece, 2 * piece);
    first.submit(*layer_);
    second.submit(*layer_);
    EXPECT_EQ(device_->waiting.size(), 3u);
    device_->answer(0, IoStatus::ok);
    EXPECT_EQ(device_->seen.back().offset_bytes, 3 * piece);
    device_->answer(0, IoStatus::ok);
    EXPECT_EQ(device_->seen.back().offset_bytes, 64 * piece);
    // The last free part of the first goes to the second; then all is under way.
    device_->answer(0, IoStatus::ok);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(first.ended, 1);
    EXPECT_EQ(second.ended, 1);
    EXPECT_EQ(device_->submitted, 6u);
}

TEST_F(Split, ACompletionMaySubmitAgain) {
    make(2);
    Client client(IoOp::read, 0, 5 * piece);
    client.on_end = [&](Client& again) {
        if (again.ended < 3) again.submit(*layer_);
    };
    client.submit(*layer_);
    while (!device_->waiting.empty()) device_->answer(device_->waiting.size() - 1, IoStatus::ok);
    EXPECT_EQ(client.ended, 3);
    EXPECT_EQ(device_->submitted, 15u);
}

}  // namespace
}  // namespace braidway::block
