// SPDX-License-Identifier: Apache-2.0
// Asking a SCSI device who it is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "path/scsi_channel.h"
#include "wire/scsi_identity.h"

namespace braidway::path {

/// What a device says of itself. Pages that it does not have are empty.
struct ScsiSelfPortrait {
    std::vector<std::byte> inquiry = {};         ///< Standard inquiry data, with vendors' parts.
    std::vector<std::byte> identification = {};  ///< Page 0x83.
    std::vector<std::byte> serial_number = {};   ///< Page 0x80.
    wire::ScsiUnit unit = {};                    ///< Read from them.
};

/// Asks for inquiry data and the pages 0x83 and 0x80, one after the other: what a map compares
/// (compare_identity) and what a hardware handler attaches to (multipath::identify_device).
///
/// A page 0x83 that is longer than the room for it is asked for again with more. A command that the
/// device would take when sent again (unit attention) is, tries_max times.
/// Errors:  one line: no answer; no LUN there, or no disk; neither page names it.
/// Threads: the channel's lane. Stays until `done`.
class ScsiIdentify {
  public:
    using Done = std::function<void(Result<ScsiSelfPortrait>)>;
    static constexpr unsigned tries_max = limits::scsi_identify_tries_max;
    static constexpr Duration timeout_default = limits::scsi_identify_timeout;

    ScsiIdentify() = default;
    ~ScsiIdentify();
    ScsiIdentify(const ScsiIdentify&) = delete;
    ScsiIdentify& operator=(const ScsiIdentify&) = delete;

    /// `done` comes once, from the loop; not while one is under way.
    void start(ScsiChannel& channel, Done done, Duration timeout = timeout_default);
    bool busy() const { return step_ != Step::idle; }

  private:
    enum class Step : uint8_t { idle, inquiry, identification, serial_number };

    void ask(Step step, uint16_t room);
    void send();
    void answered();
    void take(std::vector<std::byte> page);
    void end(Result<ScsiSelfPortrait> result);

    ScsiChannel* channel_ = nullptr;
    Done done_;
    Duration timeout_{};
    Step step_ = Step::idle;
    unsigned tries_ = 0;
    ScsiTask task_;
    wire::Cdb cdb_;
    uint16_t room_ = 0;
    ScsiSelfPortrait found_;
};

}  // namespace braidway::path
