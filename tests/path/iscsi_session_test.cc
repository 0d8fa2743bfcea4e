// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_session.h"

#include <gmock/gmock.h>

#include "path/iscsi_fixture.h"

namespace braidway::path {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using IscsiSessionTest = HastyIscsiTest;

TEST_F(IscsiSessionTest, LateAnswersDoNotTouchMemoryThatWasGivenBack) {
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

TEST_F(IscsiSessionTest, AnIdlePathNoticesASilentTarget) {
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

TEST_F(IscsiSessionTest, ASessionWithTheSamePortEndsTheOlder) {
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

TEST_F(IscsiSessionTest, DisconnectEndsEverythingAndCanBeConnectedAnew) {
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
    // An attempt that is taken away answers, too.
    device.disconnect();
    std::optional<Result<FabricFinding>> result;
    device.connect([&](Result<FabricFinding> found) { result = std::move(found); });
    device.disconnect();
    EXPECT_FALSE(result);
    turn_until([&] { return result.has_value() && device.quiet(); });
    EXPECT_EQ(result->error().code, ECANCELED);
}

TEST_F(IscsiSessionTest, RunsOnEpollToo) {
    loop_ = *loop::Loop::create(loop::Backend::epoll);
    IscsiDevice& device = connected(impatient(10s));
    Client write(IoOp::write, 0, 3u << 20, 'e');
    ASSERT_EQ(run(device, write), IoStatus::ok);
    Client read(IoOp::read, 0, 3u << 20, 0);
    ASSERT_EQ(run(device, read), IoStatus::ok);
    EXPECT_TRUE(read.all('e'));
    target_->end();
    turn_until([&] { return !losses_.empty(); });
    target_->restart();
    EXPECT_TRUE(connect(device));
    drop(device);
}

}  // namespace
}  // namespace braidway::path
