// SPDX-License-Identifier: Apache-2.0
#include "path/path.h"

#include "block/delay.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

constexpr Duration timeout = 5ms;

class PathTest : public LaneTest, private StallListener {
  protected:
    void make(std::optional<Duration> io_timeout = {}, uint32_t tries_max = 64) {
        auto device = std::make_unique<ScriptedDevice>();
        device_ = device.get();
        path_ = std::make_unique<Path>(
            *loop_, *pool_, std::move(device),
            Path::Options{.name = "p", .io_timeout = io_timeout, .tries_max = tries_max});
        path_->set_stall_listener(this, 7);
    }
    ~PathTest() override { path_.reset(); }

    /// Puts a client's data into a buffer of the pool.
    void use_buffer(Client& client) {
        memory::Buffer* buffer =
            pool_->allocate(static_cast<uint32_t>(client.request.length_bytes));
        ASSERT_NE(buffer, nullptr);
        client.request.buffer = buffer;
        client.data = {buffer->data, client.request.length_bytes};
    }

    void path_settled(size_t) override { ++settled_; }
    void path_stalled(size_t path_index, Duration waited) override {
        EXPECT_EQ(path_index, 7u);
        EXPECT_GE(waited, timeout);
        ++stalls_;
    }

    ScriptedDevice* device_ = nullptr;
    std::unique_ptr<Path> path_;
    int stalls_ = 0;
    int settled_ = 0;
};

TEST_F(PathTest, PassesRequestsAndAnswersOn) {
    make();
    Client write(IoOp::write, 8192, 4096);
    write.request.fua = true;
    write.submit(*path_);
    ASSERT_EQ(device_->waiting.size(), 1u);
    block::Request& below = *device_->waiting[0];
    EXPECT_NE(&below, &write.request);
    EXPECT_TRUE(below.fua);
    EXPECT_EQ(below.offset_bytes, 8192u);
    EXPECT_EQ(below.data[0].iov_base, write.data.iov_base);
    below.error_text = "why";
    device_->answer(0, IoStatus::protection);
    EXPECT_EQ(write.ended, 1);
    EXPECT_EQ(write.status, IoStatus::protection);
    EXPECT_EQ(write.request.error_text, "why");

    Client read;
    read.submit(*path_);
    device_->waiting[0]->hole = true;
    device_->answer(0, IoStatus::ok);
    EXPECT_TRUE(read.request.hole);

    block::Extent extents[2];
    Client status(IoOp::block_status);
    status.request.extents = extents;
    status.submit(*path_);
    device_->waiting[0]->extents[0] = {4096, true, false};
    device_->waiting[0]->extents_count = 1;
    device_->answer(0, IoStatus::ok);
    EXPECT_EQ(status.request.extents_count, 1u);
    EXPECT_TRUE(extents[0].hole);
}

TEST_F(PathTest, PassesOnThatItsDeviceHasSettledWrites) {
    make();
    path_->device_settled();
    EXPECT_EQ(settled_, 1);
}

TEST_F(PathTest, WritesThatItGaveUpItselfAreNotSettledByItsDevice) {
    make(timeout);
    Client write(IoOp::write);
    write.submit(*path_);
    turn_until([&] { return write.ended == 1; });
    EXPECT_TRUE(write.request.outcome_unknown);
    path_->device_settled();
    EXPECT_EQ(settled_, 0);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(settled_, 1);
}

TEST_F(PathTest, CountsWhatItDoes) {
    make();
    Client read(IoOp::read, 0, 8192);
    Client write(IoOp::write, 0, 4096);
    Client flush(IoOp::flush);
    Client bad(IoOp::read, 0, 4096);
    for (Client* client : {&read, &write, &flush, &bad}) client->submit(*path_);
    EXPECT_EQ(path_->counters().in_flight, 4u);
    EXPECT_EQ(path_->counters().in_flight_bytes, 16384u);
    EXPECT_FALSE(path_->quiet());
    device_->answer(3, IoStatus::medium);
    device_->answer_all(IoStatus::ok);
    const PathCounters& counters = path_->counters();
    EXPECT_EQ(counters.reads, 2u);
    EXPECT_EQ(counters.writes, 1u);
    EXPECT_EQ(counters.others, 1u);
    EXPECT_EQ(counters.read_bytes, 8192u);
    EXPECT_EQ(counters.written_bytes, 4096u);
    EXPECT_EQ(counters.outcomes[static_cast<size_t>(IoStatus::ok)], 3u);
    EXPECT_EQ(counters.outcomes[static_cast<size_t>(IoStatus::medium)], 1u);
    EXPECT_EQ(counters.in_flight, 0u);
    EXPECT_EQ(counters.in_flight_bytes, 0u);
    EXPECT_TRUE(path_->quiet());
}

TEST_F(PathTest, ALateReadIsGivenUpAndMovedToAFreshBuffer) {
    make(timeout);
    Client read;
    use_buffer(read);
    memory::Buffer* old = read.request.buffer;
    read.submit(*path_);
    turn_until([&] { return read.ended == 1; });
    EXPECT_EQ(read.status, IoStatus::timeout);
    EXPECT_FALSE(read.request.outcome_unknown);
    EXPECT_EQ(stalls_, 1);
    EXPECT_NE(read.request.buffer, old);
    EXPECT_EQ(read.request.data[0].iov_base, read.request.buffer->data);
    EXPECT_EQ(path_->counters().abandoned, 1u);
    EXPECT_EQ(path_->counters().in_flight, 0u);
    EXPECT_FALSE(path_->quiet());
    // The owner gives its memory back; the old one stays lent until the kernel has answered.
    read.request.buffer->release();
    EXPECT_EQ(pool_->bytes_in_use(), 4096u);
    EXPECT_EQ(device_->waiting[0]->data[0].iov_base, old->data);
    device_->answer(0, IoStatus::ok);
    EXPECT_EQ(read.ended, 1);
    EXPECT_EQ(pool_->bytes_in_use(), 0u);
    EXPECT_EQ(path_->counters().abandoned, 0u);
    EXPECT_TRUE(path_->quiet());
}

TEST_F(PathTest, AReadThatIsGivenUpTwiceLeavesBothMemoriesAlone) {
    make(timeout);
    Client read;
    use_buffer(read);
    const void* first = read.data.iov_base;
    read.submit(*path_);
    turn_until([&] { return read.ended == 1; });
    const void* second = read.request.data[0].iov_base;
    read.submit(*path_);
    turn_until([&] { return read.ended == 2; });
    const void* third = read.request.data[0].iov_base;
    // What the kernel has not looked at yet must still name the memory of its own try.
    ASSERT_EQ(device_->waiting.size(), 2u);
    EXPECT_EQ(device_->waiting[0]->data[0].iov_base, first);
    EXPECT_EQ(device_->waiting[1]->data[0].iov_base, second);
    EXPECT_NE(second, third);
    read.data = {nullptr, 0};
    EXPECT_EQ(device_->waiting[0]->data[0].iov_base, first);
    device_->answer_all(IoStatus::ok);
    read.request.buffer->release();
    EXPECT_EQ(pool_->bytes_in_use(), 0u);
}

TEST_F(PathTest, WithoutAFreshBufferALateReadIsNotTriedAgain) {
    make(timeout);
    Client read;
    use_buffer(read);
    std::vector<memory::Buffer*> taken;
    while (memory::Buffer* buffer = pool_->allocate(4096)) taken.push_back(buffer);
    read.submit(*path_);
    turn_until([&] { return read.ended == 1; });
    EXPECT_TRUE(read.request.outcome_unknown);
    read.request.buffer->release();
    device_->answer_all(IoStatus::ok);
    for (memory::Buffer* buffer : taken) buffer->release();
    EXPECT_EQ(pool_->bytes_in_use(), 0u);
}

TEST_F(PathTest, ALateWriteIsReportedWaitsOnAndIsThenUnknown) {
    make(timeout);
    Client write(IoOp::write);
    use_buffer(write);
    const Instant start = monotonic_now();
    write.submit(*path_);
    turn_until([&] { return stalls_ == 1; });
    EXPECT_EQ(write.ended, 0);
    turn_until([&] { return write.ended == 1; });
    EXPECT_GE(monotonic_now() - start, 2 * timeout);
    EXPECT_EQ(write.status, IoStatus::timeout);
    EXPECT_TRUE(write.request.outcome_unknown);
    write.request.buffer->release();
    EXPECT_EQ(pool_->bytes_in_use(), 4096u) << "the kernel may still read it";
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(pool_->bytes_in_use(), 0u);
    EXPECT_EQ(write.ended, 1);
}

TEST_F(PathTest, AWriteThatIsOnlySlowEndsWell) {
    make(timeout);
    Client write(IoOp::write);
    write.submit(*path_);
    turn_until([&] { return stalls_ == 1; });
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(write.ended, 1);
    EXPECT_EQ(write.status, IoStatus::ok);
    turn_for(3 * timeout);
    EXPECT_EQ(write.ended, 1);
    EXPECT_TRUE(path_->quiet());
}

TEST_F(PathTest, AnAnswerAboutHolesIsNotWrittenLate) {
    make(timeout);
    block::Extent extents[1] = {{123, false, false}};
    Client status(IoOp::block_status);
    status.request.extents = extents;
    status.submit(*path_);
    turn_until([&] { return status.ended == 1; });
    EXPECT_TRUE(device_->waiting[0]->extents.empty());
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(extents[0].length_bytes, 123u);
}

TEST_F(PathTest, TellsOfAStallOnceForManyLateRequests) {
    make(timeout);
    // Submitted in one turn, so that they are late in one turn.
    struct Start : loop::Timer {
        std::vector<Client> reads{10};
        Path* path = nullptr;
    } start;
    start.path = path_.get();
    start.fire = [](loop::Timer& timer, Instant) {
        auto& self = static_cast<Start&>(timer);
        for (Client& read : self.reads) read.submit(*self.path);
    };
    loop_->arm(start, loop_->now());
    std::vector<Client>& reads = start.reads;
    turn_until([&] { return reads.back().ended == 1; });
    for (const Client& read : reads) EXPECT_EQ(read.ended, 1);
    EXPECT_EQ(stalls_, 1);
    device_->answer_all(IoStatus::ok);
}

TEST_F(PathTest, WithoutATimeoutItWaits) {
    make();
    Client read;
    read.submit(*path_);
    turn_for(2 * timeout);
    EXPECT_EQ(read.ended, 0);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(read.ended, 1);
}

TEST_F(PathTest, WaitsInLineWhenTriesRunOut) {
    make({}, 2);
    std::vector<Client> reads(5);
    for (size_t at = 0; at < reads.size(); ++at) {
        reads[at].prepare(IoOp::read, at * 4096, 4096);
        reads[at].submit(*path_);
    }
    EXPECT_EQ(device_->waiting.size(), 2u);
    EXPECT_EQ(path_->counters().in_flight, 5u);
    device_->answer(1, IoStatus::ok);
    EXPECT_EQ(device_->seen.back().offset_bytes, 2u * 4096);
    Client late(IoOp::read, 65536);
    late.submit(*path_);
    device_->answer_all(IoStatus::ok);
    for (const Client& read : reads) EXPECT_EQ(read.ended, 1);
    EXPECT_EQ(late.ended, 1);
    EXPECT_EQ(device_->seen.back().offset_bytes, 65536u) << "behind those that waited";
    EXPECT_TRUE(path_->quiet());
}

TEST_F(PathTest, ThoseInLineDoNotWaitForEverBehindTriesThatNeverComeBack) {
    make(timeout, 1);
    Client stuck;
    stuck.submit(*path_);
    turn_until([&] { return stuck.ended == 1; });
    EXPECT_EQ(path_->counters().abandoned, 1u);
    // The only try is with the kernel for good; a write that was never sent can go elsewhere.
    Client write(IoOp::write);
    write.submit(*path_);
    EXPECT_EQ(device_->waiting.size(), 1u);
    turn_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::timeout);
    EXPECT_FALSE(write.request.outcome_unknown);
    EXPECT_EQ(stalls_, 2);
    EXPECT_EQ(path_->counters().in_flight, 0u);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(device_->submitted, 1u);
    EXPECT_TRUE(path_->quiet());
}

TEST_F(PathTest, AReadHeldBackByALayerBeyondItsDeadlineSpoilsNoOtherMemory) {
    auto below = std::make_unique<ScriptedDevice>();
    device_ = below.get();
    block::DelayConfig delays;
    delays.read = 4 * timeout;
    path_ = std::make_unique<Path>(
        *loop_, *pool_, std::make_unique<block::DelayLayer>(*loop_, std::move(below), delays),
        Path::Options{.name = "p", .io_timeout = timeout, .tries_max = 4});
    Client read;
    use_buffer(read);
    const void* old = read.data.iov_base;
    read.submit(*path_);
    turn_until([&] { return read.ended == 1; });
    read.request.buffer->release();
    read.prepare(IoOp::read, 0, 4096);  // The owner uses its request for something else.
    turn_until([&] { return !device_->waiting.empty(); });
    EXPECT_EQ(device_->waiting[0]->data[0].iov_base, old);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(pool_->bytes_in_use(), 0u);
}

TEST_F(PathTest, ALayerIsPutOnTopUnderRunningIo) {
    make();
    Client before;
    before.submit(*path_);
    path_->add_layer([&](std::unique_ptr<block::BlockDevice> devices) {
        block::DelayConfig delays;
        delays.read = 1ms;
        return std::make_unique<block::DelayLayer>(*loop_, std::move(devices), delays);
    });
    Client after;
    after.submit(*path_);
    EXPECT_EQ(device_->waiting.size(), 1u);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(before.ended, 1);
    turn_until([&] { return device_->waiting.size() == 1; });
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(after.ended, 1);
}

}  // namespace
}  // namespace braidway::path
