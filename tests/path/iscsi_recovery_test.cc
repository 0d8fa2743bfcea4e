// SPDX-License-Identifier: Apache-2.0
// Targets that die, fall silent, come back or lie: what becomes of requests, memory and doubts.
#include <gmock/gmock.h>

#include "path/iscsi_fixture.h"

namespace braidway::path {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using IscsiRecoveryTest = HastyIscsiTest;

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
    EXPECT_THAT(losses_, ElementsAre(device.counters().sessions == 1 ? "the connection was lost"
                                                                     : "no session"));
    EXPECT_FALSE(device.connected());
    EXPECT_THAT(settled_, IsEmpty()) << "the target may have had the write under way";
    Client more;
    EXPECT_EQ(run(device, more), IoStatus::offline);
}

TEST_F(IscsiRecoveryTest, ANewSessionOfATargetThatGoesOnWithOldWritesSettlesNothing) {
    IscsiOptions hasty = impatient(10s);
    hasty.resend_quiesce = 600ms;
    IscsiDevice& device = connected(hasty);
    target_->hold_disks(true);
    Client write(IoOp::write, 0, 4096, 'o');
    write.submit(device);
    turn_for(50ms);
    device.disconnect();
    turn_until([&] { return write.ended > 0; });
    EXPECT_TRUE(write.request.outcome_unknown);
    const auto found = connect(device);
    ASSERT_TRUE(found) << found.error().message;
    device.admit();
    Client read;
    EXPECT_EQ(run(device, read), IoStatus::ok) << "the new session works";
    EXPECT_THAT(settled_, IsEmpty()) << "and the disk still has the write of the old one";
    turn_until([&] { return !settled_.empty(); });
    EXPECT_THAT(settled_, ElementsAre(true)) << "only the time says so";
    target_->hold_disks(false);
    EXPECT_EQ(device.doubts().writes, 1u);
    EXPECT_EQ(device.doubts().at_risk, 1u);
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

TEST_F(IscsiRecoveryTest, IsConnectedAnewFromWithinTheNewsOfItsLoss) {
    IscsiDevice& device = connected(impatient());
    std::optional<Result<FabricFinding>> again;
    on_loss_ = [&] {
        device.connect([&](Result<FabricFinding> found) { again = std::move(found); });
    };
    target_->end();
    turn_until([&] { return again.has_value(); });
    EXPECT_FALSE(*again);
    on_loss_ = nullptr;
    target_->restart();
    EXPECT_TRUE(connect(device));
}

}  // namespace
}  // namespace braidway::path
