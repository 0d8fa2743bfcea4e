// SPDX-License-Identifier: Apache-2.0
// Answers that a real target does not give on demand: refusals, busyness, halves, small windows.
// Long because: it is a table of small cases around one scripted target.
#include "path/iscsi_io.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <deque>

#include "path/iscsi_device.h"
#include "path/scripted_target.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

using namespace wire::scsi;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Answer = ScriptedTarget::Answer;

class IscsiIoTest : public LaneTest, protected FabricListener {
  protected:
    void SetUp() override { signal(SIGPIPE, SIG_IGN); }
    IscsiDevice& connected(ScriptedTarget::Script script, Duration io_timeout = 10s) {
        EXPECT_EQ(attempt(std::move(script), io_timeout), "none");
        device_->admit();
        return *device_;
    }
    std::string attempt(ScriptedTarget::Script script, Duration io_timeout = 10s) {
        target_ = std::make_unique<ScriptedTarget>(std::move(script));
        return attempt_at(target_->port(), io_timeout);
    }
    std::string attempt_at(uint16_t port, Duration io_timeout = 10s) {
        IscsiOptions options;
        options.uri = *IscsiUri::parse(fmt::format("iscsi://127.0.0.1:{}/iqn.a:b/1", port));
        options.initiator = "iqn.a:c";
        options.connect_timeout = 2s;
        options.io_timeout = io_timeout;
        options.task_management_timeout = 200ms;
        options.resend_quiesce = 800ms;
        device_ = std::make_unique<IscsiDevice>(*loop_, options);
        device_->set_listener(this);
        return attempt_again();
    }
    std::string attempt_again() {
        std::optional<Result<FabricFinding>> result;
        device_->connect([&](Result<FabricFinding> found) { result = std::move(found); });
        turn_until([&] { return result.has_value(); });
        return *result ? "none" : result->error().message;
    }
    void TearDown() override {
        if (!device_) return;
        device_->set_listener(nullptr);
        device_->disconnect();
        turn_until([&] { return device_->quiet(); });
    }
    IoStatus run(Client& client) {
        client.ended = 0;
        client.submit(*device_);
        turn_until([&] { return client.ended > 0; });
        return client.status;
    }
    /// A script that answers the first `times` commands of `opcode` so, and then as a disk.
    static auto at_first(int times, uint8_t opcode, Answer answer) {
        return [=, left = times](const wire::Cdb& cdb) mutable -> std::optional<Answer> {
            if (cdb.opcode() != opcode || left-- <= 0) return std::nullopt;
            return answer;
        };
    }
    static auto hold(uint8_t opcode) { return at_first(1000, opcode, {.held = true}); }

    void connection_lost(const std::string& reason) override { losses_.push_back(reason); }
    void writes_settled(bool at_risk) override { settled_.push_back(at_risk); }

    std::unique_ptr<ScriptedTarget> target_;
    std::unique_ptr<IscsiDevice> device_;
    std::vector<std::string> losses_;
    std::vector<bool> settled_;
};

TEST_F(IscsiIoTest, ABusyDeviceGetsTheCommandAgain) {
    IscsiDevice& device = connected({.command = at_first(3, op_read_10, {.status = status_busy})});
    Client read;
    EXPECT_EQ(run(read), IoStatus::ok);
    EXPECT_EQ(device.counters().io.retries, 3u);
}

TEST_F(IscsiIoTest, ADeviceThatStaysFullIsNotAskedForEver) {
    IscsiDevice& device =
        connected({.command = at_first(1000, op_read_10, {.status = status_task_set_full})});
    Client read;
    EXPECT_EQ(run(read), IoStatus::resource);
    EXPECT_EQ(device.counters().io.retries, IscsiIo::tries_max);
}

TEST_F(IscsiIoTest, NewsOfEarlierEventsCostNoRequest) {
    connected({.command = at_first(2, op_write_10,
                                   ScriptedTarget::check(key_unit_attention, 0x2a, 0x09))});
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::ok);
}

TEST_F(IscsiIoTest, TheHandlersWordOnSenseDataGoesFirst) {
    IscsiDevice& device = connected(
        {.command = at_first(1000, op_read_10, ScriptedTarget::check(key_not_ready, 4, 3))});
    Client read;
    EXPECT_EQ(run(read), IoStatus::io);
    device.set_sense_reader([](const wire::ScsiSense& sense) -> std::optional<wire::ScsiOutcome> {
        EXPECT_TRUE(sense.is(key_not_ready, 4, 3));
        return wire::ScsiOutcome{.status = IoStatus::target};
    });
    EXPECT_EQ(run(read), IoStatus::target);
}

constexpr auto changed = [](uint8_t qualifier) {
    return ScriptedTarget::check(key_unit_attention, 0x3f, qualifier);
};

TEST_F(IscsiIoTest, AUnitThatMayBeAnotherIsAskedFirst) {
    for (const uint8_t qualifier : std::array<uint8_t, 3>{0x03, 0x05, 0x0e}) {
        connected({.command = at_first(1, op_write_10, changed(qualifier))});
        const size_t before = target_->seen().size();
        std::deque<Client> writes;
        while (writes.size() < 8) writes.emplace_back(IoOp::write).submit(*device_);
        turn_until([&] {
            return std::ranges::all_of(writes, [](const Client& each) { return each.ended > 0; });
        });
        for (const Client& write : writes) EXPECT_EQ(write.status, IoStatus::ok);
        EXPECT_EQ(device_->counters().sessions, 1u);
        // The first comes again behind all questions; the others were on their way with it.
        std::vector<uint8_t> seen = target_->seen();
        seen.erase(seen.begin(), seen.begin() + static_cast<ptrdiff_t>(before));
        const auto question = std::ranges::find(seen, op_inquiry);
        ASSERT_NE(question, seen.end());
        EXPECT_EQ(seen.back(), op_write_10);
        EXPECT_EQ(std::count(question, seen.end(), op_write_10), 1);
        TearDown();
    }
    EXPECT_THAT(losses_, IsEmpty());
}

/// From the first write on the target has another unit at this number, or none.
auto swapped_at_a_write(Answer word, Answer inquiry) {
    return [=, is_swapped = false](const wire::Cdb& cdb) mutable -> std::optional<Answer> {
        if (cdb.opcode() == op_write_10 && !std::exchange(is_swapped, true)) return word;
        const bool about_it = cdb.opcode() == op_inquiry && cdb.bytes[2] == inquiry.data.at(1);
        if (is_swapped && about_it) return inquiry;
        return std::nullopt;
    };
}

TEST_F(IscsiIoTest, AnotherUnitOfItsNumberGetsNothing) {
    const std::array designators = {wire::ScsiDesignator{
        .type = wire::ScsiDesignator::naa, .name = ScriptedTarget::Bytes(16, std::byte{0x61})}};
    connected({.command = swapped_at_a_write(changed(0x0e),
                                             {.data = wire::designator_data(designators)})});
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::transport);
    EXPECT_FALSE(write.request.outcome_unknown);
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("LUN 1 is 361616161616161616161616161616161 now, "
                                               "and was 360606060606060606060606060606060")));
    EXPECT_EQ(std::ranges::count(target_->seen(), op_write_10), 1);
}

TEST_F(IscsiIoTest, AnotherUnitThatACheckIsToldOfGetsNothingEither) {
    const std::array designators = {wire::ScsiDesignator{
        .type = wire::ScsiDesignator::naa, .name = ScriptedTarget::Bytes(16, std::byte{0x61})}};
    const Answer name{.data = wire::designator_data(designators)};
    std::atomic<bool> swapped = false;
    bool told = false;
    connected({.command = [&](const wire::Cdb& cdb) -> std::optional<Answer> {
        if (!swapped) return std::nullopt;
        // Once, to whatever comes first; then it is silent about it.
        if (cdb.opcode() == op_test_unit_ready && !std::exchange(told, true)) return changed(0x0e);
        if (cdb.opcode() == op_inquiry && cdb.bytes[2] == name.data.at(1)) return name;
        return std::nullopt;
    }});
    swapped = true;
    struct Task : ScsiTask {
        int ended = 0;
    } task;
    task.cdb = wire::test_unit_ready_cdb();
    task.timeout = 1s;
    task.done = [](ScsiTask& one) { ++static_cast<Task&>(one).ended; };
    device_->scsi()->execute(task);
    turn_until([&] { return task.ended == 1; });
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::transport);
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("LUN 1 is 361616161616161616161616161616161 now")));
    EXPECT_EQ(std::ranges::count(target_->seen(), op_write_10), 0);
}

TEST_F(IscsiIoTest, ALossWhileItIsAskedAgainIsToldOnce) {
    std::atomic<bool> doubted = false;
    connected({.command = [&](const wire::Cdb& cdb) -> std::optional<Answer> {
        if (cdb.opcode() == op_write_10 && !doubted.exchange(true)) return changed(0x0e);
        // The second look at who it is gets no answer, until the connection is cut.
        if (doubted && cdb.opcode() == op_inquiry) return Answer{.held = true};
        return std::nullopt;
    }});
    Client write(IoOp::write);
    write.submit(*device_);
    turn_until([&] { return std::ranges::count(target_->seen(), op_inquiry) > 2; });
    target_.reset();
    turn_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::transport);
    EXPECT_EQ(losses_.size(), 1u);
    EXPECT_FALSE(device_->connected());
    // And it can be connected again at once, without a remnant of the one before.
    EXPECT_NE(attempt_again(), "none");
    EXPECT_NE(attempt_again(), "none");
}

TEST_F(IscsiIoTest, CommandsOfHandlersWaitUntilItIsKnownWhoTheUnitIs) {
    ASSERT_EQ(attempt({}), "none");
    struct Task : ScsiTask {
        int ended = 0;
    } task;
    task.cdb = wire::test_unit_ready_cdb();
    task.timeout = 1s;
    task.done = [](ScsiTask& one) { ++static_cast<Task&>(one).ended; };
    const auto before = std::ranges::count(target_->seen(), op_test_unit_ready);
    device_->scsi()->execute(task);
    turn_until([&] { return task.ended == 1; });
    EXPECT_EQ(task.transport, wire::ScsiTransport::no_connection);
    EXPECT_EQ(std::ranges::count(target_->seen(), op_test_unit_ready), before);
    device_->admit();
    device_->scsi()->execute(task);
    turn_until([&] { return task.ended == 2; });
    EXPECT_EQ(task.transport, wire::ScsiTransport::answered);
}

TEST_F(IscsiIoTest, AUnitThatIsGoneIsLost) {
    const auto no_unit = ScriptedTarget::check(key_illegal_request, 0x25, 0);
    Answer inquiry{.data = wire::inquiry_data({.vendor = "SCRIPTED", .product = "DISK"})};
    inquiry.data.at(0) = std::byte{0x7f};
    inquiry.data.at(1) = std::byte{0};
    connected({.command = swapped_at_a_write(no_unit, inquiry)});
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::transport);
    EXPECT_FALSE(write.request.outcome_unknown);
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("LUN 1: the target has no such LUN")));
}

TEST_F(IscsiIoTest, ANumberThatIsRefusedForEverIsNotAskedForEver) {
    connected({.command = at_first(1000, op_write_10,
                                   ScriptedTarget::check(key_illegal_request, 0x25, 0))});
    Client write(IoOp::write);
    EXPECT_NE(run(write), IoStatus::ok);
    EXPECT_EQ(std::ranges::count(target_->seen(), op_write_10), 1 + IscsiIo::tries_max);
}

TEST_F(IscsiIoTest, AMediumErrorIsTheDevicesAnswer) {
    connected(
        {.command = at_first(1000, op_read_10, ScriptedTarget::check(key_medium_error, 0x11, 0))});
    Client read;
    EXPECT_EQ(run(read), IoStatus::medium);
    EXPECT_THAT(losses_, IsEmpty());
}

TEST_F(IscsiIoTest, AShortReadIsAnError) {
    connected({.command = at_first(1, op_read_10, {.data = ScriptedTarget::Bytes(512)})});
    Client read;
    EXPECT_EQ(run(read), IoStatus::io);
    EXPECT_EQ(run(read), IoStatus::ok);
}

TEST_F(IscsiIoTest, ZeroesAreWrittenWhereWriteSameIsUnknown) {
    connected({.command = at_first(1000, op_write_same_16,
                                   ScriptedTarget::check(key_illegal_request, 0x20, 0))});
    Client zeroes(IoOp::write_zeroes, 0, 1u << 20);
    EXPECT_EQ(run(zeroes), IoStatus::ok);
    EXPECT_EQ(run(zeroes), IoStatus::ok);
    const auto seen = target_->seen();
    EXPECT_EQ(std::ranges::count(seen, op_write_same_16), 1);
    EXPECT_EQ(std::ranges::count(seen, op_write_10), 8);
}

TEST_F(IscsiIoTest, ADiskWithoutACacheNeedsNoFlush) {
    connected({.command = at_first(1000, op_synchronize_cache_10,
                                   ScriptedTarget::check(key_illegal_request, 0x20, 0))});
    Client flush(IoOp::flush);
    EXPECT_EQ(run(flush), IoStatus::ok);
}

TEST_F(IscsiIoTest, FuaWithoutItsBitIsAFlushAfterwards) {
    connected({});
    Client write(IoOp::write);
    write.request.fua = true;
    EXPECT_EQ(run(write), IoStatus::ok);
    const auto seen = target_->seen();
    EXPECT_EQ(seen.back(), op_synchronize_cache_10);
    EXPECT_EQ(seen.at(seen.size() - 2), op_write_10);
}

TEST_F(IscsiIoTest, ASmallWindowCostsNoRequest) {
    IscsiDevice& device = connected({.window = 8});
    std::vector<std::unique_ptr<Client>> clients;
    int ended = 0;
    for (int index = 0; index < 200; ++index) {
        clients.push_back(std::make_unique<Client>(IoOp::read, uint64_t(index) * 4096));
        clients.back()->on_end = [&](const Client& client) {
            EXPECT_EQ(client.status, IoStatus::ok);
            ++ended;
        };
        clients.back()->submit(device);
    }
    turn_until([&] { return ended == 200; });
    EXPECT_THAT(losses_, IsEmpty());
}

TEST_F(IscsiIoTest, ATaskThatDoesNotExistAnyMoreHasEnded) {
    connected({.command = hold(op_write_10), .management = [](unsigned) { return 1; }}, 50ms);
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::timeout);
    EXPECT_TRUE(write.request.outcome_unknown);
    turn_until([&] { return !settled_.empty(); });
    EXPECT_THAT(settled_, ElementsAre(false));
    EXPECT_THAT(losses_, IsEmpty());
}

TEST_F(IscsiIoTest, ARefusedAbortIsFollowedByAReset) {
    IscsiDevice& device = connected(
        {.command = [](const wire::Cdb& cdb) -> std::optional<Answer> {
             const bool io = cdb.opcode() == op_write_10 || cdb.opcode() == op_read_10;
             if (!io) return std::nullopt;
             return Answer{.held = true};
         },
         .management = [](unsigned function) -> uint8_t { return function == 1 ? 5 : 0; }},
        100ms);
    Client write(IoOp::write);
    write.submit(device);
    turn_for(60ms);
    Client later_write(IoOp::write, 8192);
    Client later_read(IoOp::read, 16384);
    later_write.submit(device);
    later_read.submit(device);
    turn_until([&] { return later_write.ended + later_read.ended == 2; });
    EXPECT_EQ(write.status, IoStatus::timeout);
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_EQ(later_write.status, IoStatus::transport);
    EXPECT_FALSE(later_write.request.outcome_unknown) << "the reset has ended it";
    EXPECT_EQ(later_read.status, IoStatus::transport);
    EXPECT_THAT(settled_, ElementsAre(false));
    EXPECT_THAT(losses_, IsEmpty());
    EXPECT_EQ(device.counters().io.resets, 1u);
    EXPECT_EQ(device.counters().io.aborts, 1u);
}

TEST_F(IscsiIoTest, ATargetThatEndsNothingLosesItsSession) {
    connected({.command = hold(op_write_10), .management = [](unsigned) { return 255; }}, 50ms);
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::timeout);
    turn_until([&] { return !losses_.empty(); });
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("refuses to abort commands and to reset")));
    EXPECT_THAT(settled_, IsEmpty());
    EXPECT_EQ(attempt_again(), "none");
    EXPECT_THAT(settled_, ElementsAre(false)) << "the new session has ended it";
}

TEST_F(IscsiIoTest, ATargetThatLivesIsWaitedForWhileItAborts) {
    connected({.command = hold(op_write_10),
               .management = [](unsigned) { return std::optional<uint8_t>(); }},
              50ms);
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::timeout);
    turn_for(450ms);
    EXPECT_THAT(losses_, IsEmpty()) << "it answers pings";
    Client read;
    EXPECT_EQ(run(read), IoStatus::ok) << "and other I/O";
    turn_until([&] { return !losses_.empty(); });
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("no answer to ABORT TASK within 800 ms")));
}

TEST_F(IscsiIoTest, ASilentTargetIsNotWaitedForSoLong) {
    connected({.command = hold(op_write_10),
               .management = [](unsigned) { return std::optional<uint8_t>(); },
               .answers_pings = false},
              50ms);
    Client write(IoOp::write);
    EXPECT_EQ(run(write), IoStatus::timeout);
    turn_until([&] { return !losses_.empty(); });
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("no answer to ABORT TASK within 200 ms")));
}

TEST_F(IscsiIoTest, HalfAnAnswerLeavesItsMemoryAloneAfterTheDeadline) {
    const ScriptedTarget::Bytes data(4096, std::byte{'d'});
    connected({.command = at_first(1, op_read_10, {.data = data, .cut_after = 48 + 1000})}, 50ms);
    Client read(IoOp::read, 0, 4096, 0);
    EXPECT_EQ(run(read), IoStatus::timeout);
    memset(read.data.iov_base, 'k', read.data.iov_len);
    target_->release();
    Client next(IoOp::read, 4096, 4096, 1);
    EXPECT_EQ(run(next), IoStatus::ok) << "the stream goes on behind it";
    EXPECT_TRUE(next.all(0));
    EXPECT_TRUE(read.all('k'));
}

TEST_F(IscsiIoTest, GarbageEndsTheSession) {
    connected({.command = hold(op_read_10)});
    Client read;
    read.submit(*device_);
    turn_for(10ms);
    target_->send_soon(ScriptedTarget::Bytes(64, std::byte{0xff}));
    turn_until([&] { return read.ended > 0 && !losses_.empty(); });
    EXPECT_EQ(read.status, IoStatus::transport);
    EXPECT_EQ(losses_.size(), 1u);
}

TEST_F(IscsiIoTest, FollowsAPortalThatSendsItOn) {
    ScriptedTarget real({});
    EXPECT_EQ(attempt({.redirect_to = fmt::format("127.0.0.1:{},1", real.port())}), "none");
    device_->admit();
    Client read;
    EXPECT_EQ(run(read), IoStatus::ok);
    EXPECT_FALSE(real.seen().empty());
    TearDown();
}

TEST_F(IscsiIoTest, IsNotSentInCircles) {
    const uint16_t port = [] {
        ScriptedTarget short_lived({});
        return short_lived.port();
    }();
    EXPECT_THAT(attempt({.redirect_to = "nonsense address"}),
                HasSubstr("sends us on to 'nonsense address'"));
    TearDown();
    EXPECT_THAT(attempt({.redirect_to = fmt::format("127.0.0.1:{}", port)}),
                HasSubstr("Connection refused"));
}

TEST_F(IscsiIoTest, ALoginThatIsCutSaysSo) {
    EXPECT_THAT(attempt({.hangs_up = true}), HasSubstr("closed the connection during the login"));
}

}  // namespace
}  // namespace braidway::path
