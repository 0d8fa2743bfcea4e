// SPDX-License-Identifier: Apache-2.0
// SCSI commands of our own to a disk of the kernel: /dev/sdX, /dev/sgN.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "loop/blocking_threads.h"
#include "loop/loop.h"
#include "path/scsi_channel.h"
#include "path/sg_header.h"

namespace braidway::path {

/// An open device that takes SG_IO. Owns its descriptor.
class SgDevice {
  public:
    /// Takes `fd` over.
    SgDevice(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    SgDevice(SgDevice&& other) noexcept;
    SgDevice& operator=(SgDevice&&) = delete;
    ~SgDevice();

    int fd() const { return fd_; }
    const std::string& name() const { return name_; }

  private:
    int fd_;
    std::string name_;
};

/// Opens a device for SCSI commands, for reading and writing where that is allowed: the kernel lets
/// through less on a device that was opened for reading. May sleep: not for a lane.
/// Errors: one line with the name: the system's reason; no device, or one that takes no SG_IO.
Result<SgDevice> open_sg_device(const std::string& name);

/// Runs one command: ioctl(2) with SG_IO. Returns 0, or an errno value.
using SgCall = std::function<int(int fd, sg_io_hdr& header)>;

/// The system's own. Sleeps until the device answers.
int sg_system_call(int fd, sg_io_hdr& header);

/// A ScsiChannel by SG_IO.
///
/// The call sleeps until the device answers, and much longer when the kernel recovers a device that
/// does not; so it runs on threads of this channel, limits::sg_workers_max at most, started with
/// the first commands. A command that has no answer limits::sg_answer_grace after its timeout is
/// answered timed_out; its memory and its thread stay with the kernel until that gives them back.
/// One that no thread had taken by then, because all are stuck, is answered no_resources: it surely
/// never left.
///
/// Errors:  no_resources for what is more than limits::sg_commands_max, has data in both directions
///          or is refused by the system; no_connection after shut_down().
/// Threads: one lane.
class SgIo final : public ScsiChannel {
  public:
    /// `call` is for tests; empty = the system's.
    SgIo(loop::Loop& loop, SgDevice device, SgCall call = {});
    /// Only when quiet().
    ~SgIo();
    SgIo(const SgIo&) = delete;
    SgIo& operator=(const SgIo&) = delete;

    void execute(ScsiTask& task) override;

    /// Answers everything that is under way, soon: what was with the kernel as connection_lost, the
    /// rest as no_connection; and all that comes later.
    void shut_down();
    /// No command is under way, not even one that was given up: the channel may go.
    bool quiet() const { return commands_ == 0; }
    /// Commands that were given up, and that the kernel still has.
    uint32_t stuck() const { return stuck_; }
    const std::string& name() const { return device_.name(); }
    /// What the system last refused a command with; 0 = nothing. For logs.
    int refusal() const { return refusal_; }

  private:
    struct Job;

    Job& free_job();
    void refuse(ScsiTask& task, wire::ScsiTransport transport);
    void deadline_passed(Job& job);
    void ended(Job& job);
    void answer(Job& job, const wire::ScsiAnswer& answer);
    void release(Job& job);

    loop::Loop& loop_;
    const SgDevice device_;
    const SgCall call_;
    std::vector<std::unique_ptr<Job>> jobs_;
    uint32_t commands_ = 0;
    uint32_t stuck_ = 0;
    int refusal_ = 0;
    bool down_ = false;
    loop::BlockingThreads threads_;
};

}  // namespace braidway::path
