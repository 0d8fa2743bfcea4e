// SPDX-License-Identifier: Apache-2.0
// SCSI commands of our own to the device behind a path: what a hardware handler asks and tells it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/time.h"
#include "wire/scsi_answer.h"
#include "wire/scsi_cdb.h"

namespace braidway::path {

/// One command that is not a client's I/O. Owned by who sends it, until `done`.
struct ScsiTask {
    using Done = void (*)(ScsiTask& task);

    wire::Cdb cdb{};
    std::vector<std::byte> data_out{};
    uint32_t data_in_bytes = 0;  ///< Room for the answer's data.
    Duration timeout{};          ///< The channel gives up then.
    bool asks_who = false;       ///< It may go before it is known who the unit is.

    // --- the answer ---
    wire::ScsiTransport transport = wire::ScsiTransport::answered;
    uint8_t status = 0;
    std::vector<std::byte> sense{};
    std::vector<std::byte> data_in{};

    Done done = nullptr;
    void* owner = nullptr;  ///< For `done`.
};

/// A hardware handler's word on the sense data of an I/O, which goes before the general
/// classification; nothing where it has none.
using SenseReader = std::function<std::optional<wire::ScsiOutcome>(const wire::ScsiSense&)>;

/// The way of such commands to one path's device. Paths to SCSI devices have one.
///
/// Threads: one lane.
class ScsiChannel {
  public:
    /// Sends `task`. Its `done` runs exactly once, from the loop, never inside this call; at the
    /// latest some time after the timeout.
    virtual void execute(ScsiTask& task) = 0;

  protected:
    ~ScsiChannel() = default;
};

}  // namespace braidway::path
