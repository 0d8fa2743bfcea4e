// SPDX-License-Identifier: Apache-2.0
// A path to a scripted SCSI responder: block requests become READ and WRITE commands.
#pragma once

#include <functional>
#include <vector>

#include "block/block_device.h"
#include "loop/operation.h"
#include "multipath/hardware_handler.h"
#include "path/scsi_channel.h"
#include "sim/scsi_responder.h"

namespace braidway::sim {

/// One LUN of a responder through one of its ports. Answers in the loop's next turn.
///
/// Sense data go to the hardware handler first, then through the general classification; an I/O is
/// sent again on this path at most tries_max times, as far as either asks for that.
/// Threads: one lane.
class ScsiPath final : public block::BlockDevice, public path::ScsiChannel {
  public:
    /// What the hardware handler says of sense data; not_handled without one.
    using SenseReader = std::function<multipath::SenseVerdict(const wire::ScsiSense& sense)>;
    static constexpr unsigned tries_max = 5;

    ScsiPath(loop::Loop& loop, ScsiResponder& array, uint8_t port, uint8_t lun);

    const block::Geometry& geometry() const override { return geometry_; }
    void begin(block::Request& request) override;
    void execute(path::ScsiTask& task) override;

    void set_sense_reader(SenseReader reader) { read_sense_ = std::move(reader); }
    /// What the device says of itself.
    multipath::DeviceIdentity identity();
    /// Reads and writes that were asked of it.
    uint64_t ios() const { return ios_; }

  private:
    struct Answer {
        loop::Operation operation;
        path::ScsiTask* task = nullptr;
    };

    ScsiReply send(const block::Request& request);
    /// The outcome of one try, and whether the path is to be tried again.
    struct Outcome {
        IoStatus status = IoStatus::ok;
        bool again = false;
        bool unknown = false;
    };
    Outcome judge(const ScsiReply& reply);

    loop::Loop& loop_;
    ScsiResponder& array_;
    uint8_t port_;
    uint8_t lun_;
    block::Geometry geometry_;
    SenseReader read_sense_;
    std::vector<std::byte> data_;
    std::vector<std::unique_ptr<Answer>> answers_;
    uint64_t ios_ = 0;
};

}  // namespace braidway::sim
