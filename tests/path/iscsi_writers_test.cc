// SPDX-License-Identifier: Apache-2.0
// Safe re-send from end to end, on one path: the last write wins.
#include <gmock/gmock.h>

#include "path/iscsi_fixture.h"

namespace braidway::path {
namespace {

/// One place on the disk with one writer, which follows the rules of a map: what failed is written
/// again, what is in doubt only after the doubt is over.
struct Writer {
    Client client{IoOp::write};
    int attempts = 0;   ///< Each writes another value.
    bool sure = false;  ///< The last attempt has succeeded.
    bool busy = false;
    bool in_doubt = false;
};

class IscsiWritersTest : public HastyIscsiTest {
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
    // Longer than any of the pauses below; a new session is not believed to end older writes.
    hasty.resend_quiesce = 600ms;
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
