// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_channel.h"

#include <gmock/gmock.h>

#include "path/iscsi_fixture.h"

namespace braidway::path {
namespace {

using IscsiChannelTest = HastyIscsiTest;

TEST_F(IscsiChannelTest, CommandsBesideTheDataTimeOutAndAreAborted) {
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

}  // namespace
}  // namespace braidway::path
