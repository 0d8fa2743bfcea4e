// SPDX-License-Identifier: Apache-2.0
// Targets that die, fall silent, come back or lie: what becomes of requests, memory and doubts.
#include <gmock/gmock.h>

#include "path/iscsi_fixture.h"

namespace braidway::path {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class IscsiRecoveryTest : public IscsiTest {
  protected:
    IscsiOptions impatient(Duration io_timeout = 100ms) const {
        IscsiOptions hasty = options(uri());
        hasty.connect_timeout = 500ms;
        hasty.io_timeout = io_timeout;
        hasty.task_management_timeout = 300ms;
        hasty.keepalive = 10s;
        hasty.resend_quiesce = 20s;
        return hasty;
    }
    /// Waits until `client` has ended and says how long that took.
    Duration ended_after(Client& client, Instant since) {
        turn_until([&] { return client.ended > 0; });
        return monotonic_now() - since;
    }
};

TEST_F(IscsiRecoveryTest, AKilledTargetEndsRequestsAtOnce) {
    IscsiDevice& device = connected(impatient(10s));
    target_->pause();
    Client read;
    Client write(IoOp::write);
    Client flush(IoOp::flush);
    for (Client* client : {&read, &write, &flush}) client->submit(device);
    settle();
    const Instant killed = monotonic_now();
    target_->end();
    EXPECT_LT(ended_after(write, killed), 5s) << "long before its deadline";
    turn_until([&] { return read.ended + flush.ended == 2 && !losses_.empty(); });
    for (const Client* client : {&read, &write, &flush})
        EXPECT_EQ(client->status, IoStatus::transport);
    EXPECT_FALSE(read.request.outcome_unknown);
    EXPECT_FALSE(flush.request.outcome_unknown);
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_THAT(losses_,
                ElementsAre(device.counters().sessions == 1 ? uri() + ": the connection was lost"
                                                            : "no session"));
    EXPECT_FALSE(device.connected());
    EXPECT_THAT(settled_, IsEmpty()) << "the target may have had the write under way";
    Client more;
    EXPECT_EQ(run(device, more), IoStatus::offline);
}

TEST_F(IscsiRecoveryTest, ANewSessionWithTheSamePortSettlesTheDoubts) {
    IscsiDevice& device = connected(impatient(10s));
    target_->pause();
    Client write(IoOp::write);
    write.submit(device);
    settle();
    target_->end();
    turn_until([&] { return write.ended > 0 && !losses_.empty(); });
    EXPECT_THAT(connect(device).error().message, HasSubstr("Connection refused"));
    EXPECT_THAT(settled_, IsEmpty());
    target_->restart();
    const auto found = connect(device);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_THAT(settled_, ElementsAre(false));
    device.admit();
    EXPECT_EQ(run(device, write), IoStatus::ok);
    EXPECT_EQ(device.doubts().writes, 1u);
    EXPECT_EQ(device.doubts().at_risk, 0u);
    EXPECT_EQ(device.counters().sessions, 2u);
}

TEST_F(IscsiRecoveryTest, WhatWasNeverSentIsNotInDoubt) {
    IscsiOptions narrow = impatient(10s);
    narrow.commands_max = 1;
    IscsiDevice& device = connected(narrow);
    target_->pause();
    Client first(IoOp::write);
    Client second(IoOp::write, 65536);
    first.submit(device);
    second.submit(device);
    settle();
    target_->end();
    turn_until([&] { return first.ended + second.ended == 2; });
    EXPECT_TRUE(first.request.outcome_unknown);
    EXPECT_FALSE(second.request.outcome_unknown);
    EXPECT_EQ(second.status, IoStatus::transport);
}

TEST_F(IscsiRecoveryTest, ASilentTargetIsWaitedForUntilTheDeadline) {
    IscsiDevice& device = connected(impatient());
    target_->pause();
    Client read;
    Client write(IoOp::write, 8192);
    const Instant since = monotonic_now();
    read.submit(device);
    write.submit(device);
    const Duration waited = ended_after(read, since);
    EXPECT_GE(waited, 100ms);
    EXPECT_LT(waited, 2s);
    EXPECT_EQ(read.status, IoStatus::timeout);
    EXPECT_FALSE(read.request.outcome_unknown);
    turn_until([&] { return write.ended > 0; });
    EXPECT_EQ(write.status, IoStatus::timeout);
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_EQ(device.counters().io.late, 2u);
    EXPECT_EQ(device.counters().io.aborts, 2u);
}

TEST_F(IscsiRecoveryTest, LateAnswersDoNotTouchMemoryThatWasGivenBack) {
    IscsiDevice& device = connected(impatient());
    Client fill(IoOp::write, 0, 1u << 20, 'n');
    ASSERT_EQ(run(device, fill), IoStatus::ok);
    target_->pause();
    Client read(IoOp::read, 0, 1u << 20, 0);
    read.submit(device);
    turn_until([&] { return read.ended > 0; });
    EXPECT_EQ(read.status, IoStatus::timeout);
    memset(read.data.iov_base, 'k', read.data.iov_len);
    target_->resume();
    Client next(IoOp::read, 1u << 20, 4096, 'z');
    EXPECT_EQ(run(device, next), IoStatus::ok) << "the same session goes on";
    turn_for(20ms);
    EXPECT_TRUE(read.all('k'));
    EXPECT_THAT(losses_, IsEmpty());
    EXPECT_EQ(device.counters().sessions, 1u);
}

TEST_F(IscsiRecoveryTest, AConfirmedAbortSettlesTheDoubts) {
    IscsiDevice& device = connected(impatient());
    target_->pause();
    Client write(IoOp::write, 0, 300u << 10, 'w');
    write.submit(device);
    turn_until([&] { return write.ended > 0; });
    EXPECT_TRUE(write.request.outcome_unknown);
    turn_for(20ms);
    EXPECT_THAT(settled_, IsEmpty());
    target_->resume();
    turn_until([&] { return !settled_.empty(); });
    EXPECT_THAT(settled_, ElementsAre(false));
    EXPECT_THAT(losses_, IsEmpty());
    EXPECT_EQ(run(device, write), IoStatus::ok);
    EXPECT_EQ(stored(0, 300u << 10), std::string(300u << 10, 'w'));
}

TEST_F(IscsiRecoveryTest, AWriteThatTheDiskStillHasIsNotOvertaken) {
    IscsiDevice& device = connected(impatient());
    target_->hold_disks(true);
    Client older(IoOp::write, 0, 4096, 'o');
    older.submit(device);
    turn_until([&] { return older.ended > 0; });
    EXPECT_EQ(older.status, IoStatus::timeout);
    EXPECT_TRUE(older.request.outcome_unknown);
    turn_for(700ms);
    EXPECT_THAT(settled_, IsEmpty()) << "the target says nothing while its disk has the write";
    EXPECT_THAT(losses_, IsEmpty()) << "but it lives";
    target_->hold_disks(false);
    turn_until([&] { return !settled_.empty(); });
    EXPECT_THAT(settled_, ElementsAre(false));
    Client newer(IoOp::write, 0, 4096, 'n');
    EXPECT_EQ(run(device, newer), IoStatus::ok);
    turn_for(20ms);
    EXPECT_EQ(stored(0, 4096), std::string(4096, 'n'));
}

TEST_F(IscsiRecoveryTest, ATargetThatDoesNotAnswerAnAbortLosesItsSession) {
    IscsiOptions hasty = impatient();
    hasty.resend_quiesce = 600ms;
    IscsiDevice& device = connected(hasty);
    target_->pause();
    Client write(IoOp::write);
    write.submit(device);
    turn_until([&] { return !losses_.empty(); });
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("no answer to ABORT TASK within 300 ms")));
    EXPECT_FALSE(device.connected());
    EXPECT_THAT(settled_, IsEmpty());
    EXPECT_THAT(connect(device).error().message, HasSubstr("no answer from 127.0.0.1"));
    turn_until([&] { return !settled_.empty(); });
    EXPECT_THAT(settled_, ElementsAre(true)) << "only the time says so";
    EXPECT_EQ(device.doubts().at_risk, 1u);
    target_->resume();
    ASSERT_TRUE(connect(device));
    EXPECT_THAT(settled_, ElementsAre(true)) << "once";
}

TEST_F(IscsiRecoveryTest, ATargetThatTakesNoDataLosesItsSessionAtTheDeadline) {
    IscsiOptions greedy = impatient();
    greedy.commands_max = 300;
    IscsiDevice& device = connected(greedy);
    target_->pause();
    std::vector<std::unique_ptr<Client>> clients;
    for (int index = 0; index < 400; ++index) {
        clients.push_back(std::make_unique<Client>(IoOp::write, uint64_t(index) << 16, 64u << 10));
        clients.back()->submit(device);
    }
    const Instant since = monotonic_now();
    for (const auto& client : clients) EXPECT_LT(ended_after(*client, since), 3s);
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("takes no more data")));
    int in_doubt = 0;
    for (const auto& client : clients) in_doubt += client->request.outcome_unknown;
    EXPECT_GT(in_doubt, 0);
    EXPECT_LT(in_doubt, 400) << "what never left our queue can go elsewhere at once";
}

TEST_F(IscsiRecoveryTest, AnIdlePathNoticesASilentTarget) {
    IscsiOptions hasty = impatient();
    hasty.keepalive = 50ms;
    IscsiDevice& device = connected(hasty);
    turn_for(300ms);
    EXPECT_TRUE(device.connected()) << "a target that answers pings is alive";
    EXPECT_THAT(losses_, IsEmpty());
    target_->pause();
    turn_until([&] { return !losses_.empty(); });
    EXPECT_THAT(losses_, ElementsAre(HasSubstr("no sign of life for 100 ms")));
}

TEST_F(IscsiRecoveryTest, ASessionWithTheSamePortEndsTheOlder) {
    // tgtd looks for the older session only when the login has a security phase.
    target_->add_user("joe", "secret-of-joe");
    target_->bind_user(1, "joe");
    IscsiOptions same = impatient();
    same.uri.user = "joe";
    same.secret = "secret-of-joe";
    IscsiDevice& older = connected(same);
    ASSERT_TRUE(older.connected());
    connected(same);
    turn_until([&] { return !losses_.empty(); });
    EXPECT_FALSE(older.connected());
    IscsiOptions other = same;
    iscsi_port_id(other, "host", "map", "another path");
    EXPECT_NE(other.isid, same.isid);
    connected(other);
    turn_for(50ms);
    EXPECT_EQ(losses_.size(), 1u);
}

TEST_F(IscsiRecoveryTest, AUnitThatGoesAwayFailsItsRequests) {
    target_->add_unit(1, 2, target_->disk("other", disk_bytes));
    IscsiOptions second = options(uri(2));
    IscsiDevice& device = connected(second);
    target_->admin({"--op", "delete", "--mode", "logicalunit", "--tid", "1", "--lun", "2"});
    Client write(IoOp::write);
    const IoStatus status = run(device, write);
    EXPECT_TRUE(is_path_error(status)) << io_status_name(status);
    EXPECT_FALSE(write.request.outcome_unknown);
}

TEST_F(IscsiRecoveryTest, AnotherUnitBehindTheSameNumberHasAnotherName) {
    IscsiDevice& device = connected(impatient());
    const std::string before = device.finding().unit.wwid.text;
    target_->admin({"--op", "delete", "--mode", "logicalunit", "--tid", "1", "--lun", "1"});
    target_->add_unit(1, 1, target_->disk("other", disk_bytes), "scsi_id=another");
    device.disconnect();
    const auto found = connect(device);
    ASSERT_TRUE(found);
    EXPECT_NE(found->identity, before);
}

TEST_F(IscsiRecoveryTest, DisconnectEndsEverythingAndCanBeConnectedAnew) {
    IscsiDevice& device = connected(impatient(10s));
    target_->pause();
    Client write(IoOp::write);
    write.submit(device);
    settle();
    device.disconnect();
    turn_until([&] { return device.quiet(); });
    EXPECT_EQ(write.ended, 1);
    EXPECT_TRUE(is_path_error(write.status));
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_THAT(losses_, IsEmpty()) << "that was asked for";
    target_->resume();
    ASSERT_TRUE(connect(device));
    EXPECT_THAT(settled_, ElementsAre(false));
    // An attempt that is taken away answers, too.
    device.disconnect();
    std::optional<Result<FabricFinding>> result;
    device.connect([&](Result<FabricFinding> found) { result = std::move(found); });
    device.disconnect();
    EXPECT_FALSE(result);
    turn_until([&] { return result.has_value() && device.quiet(); });
    EXPECT_EQ(result->error().code, ECANCELED);
}

TEST_F(IscsiRecoveryTest, CommandsBesideTheDataTimeOutAndAreAborted) {
    IscsiDevice& device = connected(impatient());
    struct Task : ScsiTask {
        int ended = 0;
    } task;
    task.cdb = wire::inquiry_cdb(96);
    task.data_in_bytes = 96;
    task.timeout = 50ms;
    task.done = [](ScsiTask& one) { ++static_cast<Task&>(one).ended; };
    device.scsi()->execute(task);
    EXPECT_EQ(task.ended, 0) << "never inside";
    turn_until([&] { return task.ended == 1; });
    EXPECT_EQ(task.transport, wire::ScsiTransport::answered);
    EXPECT_EQ(task.data_in.size(), 66u);
    target_->pause();
    device.scsi()->execute(task);
    turn_until([&] { return task.ended == 2; });
    EXPECT_EQ(task.transport, wire::ScsiTransport::timed_out);
    target_->resume();
    device.scsi()->execute(task);
    task.timeout = 5s;
    turn_until([&] { return task.ended == 3; });
    EXPECT_EQ(task.transport, wire::ScsiTransport::answered);
    device.disconnect();
    device.scsi()->execute(task);
    turn_until([&] { return task.ended == 4; });
    EXPECT_EQ(task.transport, wire::ScsiTransport::no_connection);
}

/// One place on the disk with one writer, which follows the rules of a map: what failed is written
/// again, what is in doubt only after the doubt is over.
struct Writer {
    Client client{IoOp::write};
    int attempts = 0;   ///< Each writes another value.
    bool sure = false;  ///< The last attempt has succeeded.
    bool busy = false;
    bool in_doubt = false;
};

class IscsiWritersTest : public IscsiRecoveryTest {
  protected:
    static constexpr uint64_t bytes = 65536;

    void start_writers(int count) {
        for (int index = 0; index < count; ++index) {
            writers_.push_back(std::make_unique<Writer>());
            Writer& writer = *writers_.back();
            writer.client.on_end = [&writer](const Client& client) {
                writer.busy = false;
                writer.in_doubt = client.request.outcome_unknown;
                writer.sure = client.status == IoStatus::ok;
            };
        }
    }
    static char value_of(int attempt) { return static_cast<char>(1 + attempt % 250); }

    void step(IscsiDevice& device, bool write) {
        if (!settled_.empty()) {
            settled_.clear();
            for (const auto& writer : writers_) writer->in_doubt = false;
        }
        if (!device.connected() && !connecting_) {
            connecting_ = true;
            device.connect([&](const Result<FabricFinding>& found) {
                connecting_ = false;
                if (found) device.admit();
            });
        }
        for (size_t index = 0; write && index < writers_.size(); ++index) {
            Writer& writer = *writers_[index];
            if (writer.busy || writer.in_doubt || !device.connected()) continue;
            writer.busy = true;
            writer.client.prepare(IoOp::write, index * bytes, bytes, value_of(++writer.attempts));
            writer.client.submit(device);
        }
        loop_->turn(monotonic_now() + 1ms);
    }
    void write_for(IscsiDevice& device, Duration length) {
        for (const Instant end = monotonic_now() + length; monotonic_now() < end;)
            step(device, true);
    }
    /// Lets everything end, and looks whether what was written last is what the disk holds.
    void compare(IscsiDevice& device) {
        const auto calm = [&] {
            return device.connected() && std::ranges::none_of(writers_, [](const auto& writer) {
                       return writer->busy || writer->in_doubt;
                   });
        };
        const Instant give_up = monotonic_now() + 20s;
        while (!calm() && monotonic_now() < give_up) step(device, false);
        ASSERT_TRUE(calm());
        turn_for(10ms);
        for (size_t index = 0; index < writers_.size(); ++index) {
            const Writer& writer = *writers_[index];
            if (!writer.sure) continue;
            ASSERT_EQ(stored(index * bytes, bytes), std::string(bytes, value_of(writer.attempts)))
                << "place " << index;
        }
    }

    std::vector<std::unique_ptr<Writer>> writers_;
    bool connecting_ = false;
};

TEST_F(IscsiWritersTest, TheLastWriteWinsThroughKillsSilenceAndSlowDisks) {
    IscsiOptions hasty = impatient(40ms);
    hasty.task_management_timeout = 60ms;
    hasty.connect_timeout = 200ms;
    IscsiDevice& device = connected(hasty);
    // Few enough that tgtd has a thread for an older and a newer write of each.
    start_writers(6);
    for (int round = 0; round < 12 && !HasFatalFailure(); ++round) {
        write_for(device, 20ms);
        switch (round % 4) {
            case 0:
                target_->pause();
                write_for(device, 30ms);
                target_->resume();
                break;
            case 1:
                target_->pause();
                write_for(device, 150ms);
                target_->resume();
                break;
            case 2:
                target_->hold_disks(true);
                write_for(device, 90ms);
                target_->hold_disks(false);
                break;
            default:
                target_->end();
                write_for(device, 20ms);
                target_->restart();
                break;
        }
        compare(device);
    }
    EXPECT_GT(device.doubts().writes, 0u);
}

}  // namespace
}  // namespace braidway::path
