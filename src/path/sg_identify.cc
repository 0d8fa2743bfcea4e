// SPDX-License-Identifier: Apache-2.0
#include "path/sg_identify.h"

#include <optional>
#include <utility>

#include "path/sg_header.h"

namespace braidway::path {
namespace {

/// Runs commands one after the other, when run() is called.
class SleepingChannel final : public ScsiChannel {
  public:
    SleepingChannel(int fd, const SgCall& call) : fd_(fd), call_(call) {}

    void execute(ScsiTask& task) override {
        CHECK(task_ == nullptr, "who asks waits for the answer");
        task_ = &task;
    }
    /// Answers what is asked until nothing is.
    void run() {
        while (task_ != nullptr) {
            ScsiTask& task = *std::exchange(task_, nullptr);
            command_ = {};
            command_.cdb = task.cdb;
            command_.data_in.assign(task.data_in_bytes, std::byte{0});
            prepare_sg(command_, task.timeout);
            const wire::ScsiAnswer answer = read_sg(command_, call_(fd_, command_.header));
            task.transport = answer.transport;
            task.status = answer.status;
            task.sense.assign(answer.sense.begin(), answer.sense.end());
            task.data_in.assign(answer.data_in.begin(), answer.data_in.end());
            task.done(task);
        }
    }

  private:
    int fd_;
    const SgCall& call_;
    ScsiTask* task_ = nullptr;
    SgCommand command_;
};

}  // namespace

Result<ScsiSelfPortrait> identify_sg_device(const SgDevice& device, const SgCall& call) {
    const SgCall used = call ? call : SgCall(sg_system_call);
    SleepingChannel channel(device.fd(), used);
    std::optional<Result<ScsiSelfPortrait>> found;
    ScsiIdentify identify;
    identify.start(channel, [&](Result<ScsiSelfPortrait> result) { found = std::move(result); });
    channel.run();
    return std::move(*found);
}

}  // namespace braidway::path
