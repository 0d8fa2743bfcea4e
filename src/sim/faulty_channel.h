// SPDX-License-Identifier: Apache-2.0
// A way for SCSI commands that is slow, loses answers, or breaks.
#pragma once

#include <memory>
#include <vector>

#include "base/time.h"
#include "loop/operation.h"
#include "loop/timer.h"
#include "path/scsi_channel.h"

namespace braidway::loop {
class Loop;
}

namespace braidway::sim {

/// Stands in front of a channel and does to it what networks do. The device runs each command when
/// it is sent; what is disturbed is the answer.
///
/// Threads: one lane. Goes when under_way() is 0.
class FaultyChannel final : public path::ScsiChannel {
  public:
    FaultyChannel(loop::Loop& loop, path::ScsiChannel& below) : loop_(loop), below_(below) {}
    ~FaultyChannel();
    FaultyChannel(const FaultyChannel&) = delete;
    FaultyChannel& operator=(const FaultyChannel&) = delete;

    void execute(path::ScsiTask& task) override;

    /// Answers take so much longer; where that is beyond the timeout, timed_out comes at the
    /// timeout.
    void set_delay(Duration delay) { delay_ = delay; }
    /// Of the next `count` commands with this first byte the answer is lost: timed_out.
    void lose(uint8_t opcode, unsigned count) {
        lost_opcode_ = opcode;
        lost_ = count;
    }
    /// A channel that does not do its duty: the answer comes this long after the timeout. Zero =
    /// it does.
    void set_late(Duration late) { late_ = late; }
    /// The connection ends: what is under way is answered connection_lost, soon, and all that comes
    /// no_connection, until restore().
    void tear_down();
    void restore() { down_ = false; }

    /// Commands without an answer.
    uint32_t under_way() const { return under_way_; }

  private:
    /// One command, and the answer that it will get.
    struct Passing : path::ScsiTask {
        FaultyChannel* channel = nullptr;
        path::ScsiTask* task = nullptr;  ///< Null once it was answered.
        bool below = false;              ///< The device has not answered yet.
        loop::Timer timer;
        bool busy() const { return task != nullptr || below; }
    };

    Passing& free_passing();
    void answer(Passing& passing, wire::ScsiTransport transport);

    loop::Loop& loop_;
    path::ScsiChannel& below_;
    std::vector<std::unique_ptr<Passing>> passing_;
    Duration delay_{};
    Duration late_{};
    uint8_t lost_opcode_ = 0;
    unsigned lost_ = 0;
    bool down_ = false;
    uint32_t under_way_ = 0;
};

}  // namespace braidway::sim
