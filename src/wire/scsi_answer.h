// SPDX-License-Identifier: Apache-2.0
// How a SCSI command ended, and what that means for the I/O and the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/io.h"
#include "wire/scsi_sense.h"

namespace braidway::wire {

/// What the transport says of one command. Closed: switch over it without `default`.
enum class ScsiTransport : uint8_t {
    answered,         ///< The device answered: status, sense and data count.
    no_connection,    ///< There was no connection to send it on: it never left.
    no_resources,     ///< The host had no memory or slot for it: it never left.
    connection_lost,  ///< It was sent, and the connection ended before an answer came.
    timed_out,        ///< It was sent, and no answer came in time.
    aborted,          ///< It was taken back, and the device confirmed that it has ended.
};
inline constexpr unsigned scsi_transports = 6;

/// One command's answer. Owns nothing.
struct ScsiAnswer {
    ScsiTransport transport = ScsiTransport::answered;
    uint8_t status = scsi::status_good;  ///< scsi::Status.
    std::span<const std::byte> sense = {};
    std::span<const std::byte> data_in = {};
};

/// What is known of a command's execution. A write that is `unknown` must not be sent again
/// elsewhere before its path is fenced or quiet: the first copy may still be executed.
enum class ScsiFate : uint8_t {
    not_executed,  ///< It surely did nothing, and never will.
    ended,         ///< It was executed, wholly or in part; nothing of it comes later.
    unknown,       ///< It may be executed now, later, or never.
};

/// Whether the same path is worth another try before the outcome counts.
enum class ScsiRetry : uint8_t {
    no,
    now,    ///< The condition is gone by having been reported.
    later,  ///< The device asks for time.
};

/// A classified answer.
struct ScsiOutcome {
    IoStatus status = IoStatus::ok;  ///< What the I/O gets when it is not tried again.
    ScsiRetry retry = ScsiRetry::no;
    ScsiFate fate = ScsiFate::ended;
    std::optional<ScsiSense> sense = {};  ///< Of a CHECK CONDITION with readable sense data.
};

/// Classifies an answer as the Linux SCSI layer does where it knows a class, in finer ones where it
/// says only "I/O error": a lost connection is `transport`, a time-out is `timeout`.
///
/// A hardware handler's word on sense data goes before this one.
ScsiOutcome classify(const ScsiAnswer& answer);

/// "good", "busy", "sense 05/20/00", "timed out"...: for logs.
std::string scsi_answer_text(const ScsiAnswer& answer);

}  // namespace braidway::wire
