// SPDX-License-Identifier: Apache-2.0
// What a hardware handler is: it makes the paths of one kind of array usable, and reads the array's
// answers. Pure: answers and time go in, commands and verdicts come out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/io.h"
#include "base/time.h"
#include "multipath/handler_result.h"
#include "wire/scsi_answer.h"
#include "wire/scsi_cdb.h"

namespace braidway::multipath {

/// A device of a handler: one LUN seen through one path. The owner of the handler gives the
/// numbers, small ones: below handler_devices_max.
using DeviceId = uint32_t;
inline constexpr DeviceId handler_devices_max = 65536;

/// What a device says of itself. identify_device() (multipath/handler_table.h) reads it from the
/// inquiry pages.
struct DeviceIdentity {
    std::string vendor = {};
    std::string product = {};
    uint8_t tpgs = 0;  ///< wire::scsi::tpgs_implicit, tpgs_explicit, both or none.
    /// Equal for two devices exactly when they are the same LUN. Empty = not told.
    std::vector<std::byte> unit_id = {};
    std::optional<uint16_t> port_group = {};
    std::optional<uint16_t> relative_port = {};
    /// CLARiiON: the service processor's model; empty = an old FC array. Nothing = not told.
    std::optional<std::string> clariion_model = {};
};

/// A command that a handler wants to have sent to a device.
struct ScsiCommand {
    uint64_t tag = 0;  ///< Comes back with the answer; never used twice by one handler.
    DeviceId device = 0;
    wire::Cdb cdb = {};
    std::vector<std::byte> data_out = {};
    uint32_t data_in_bytes = 0;
    Duration timeout = {};  ///< The transport gives up then.
};

/// Something for the owner of a handler to do.
struct HandlerAction {
    enum class Kind : uint8_t {
        send_command,       ///< Send `command`; answered() follows.
        arm_timer,          ///< Call timer() at `deadline`; replaces the one before. never = none.
        activated,          ///< An activate() of `device` ended with `result`.
        admission_changed,  ///< admits(device) has become `admits`.
    };
    Kind kind = Kind::send_command;
    DeviceId device = 0;
    ScsiCommand command = {};
    Instant deadline = never;
    HandlerResult result = HandlerResult::ok;
    bool admits = false;
};

/// What a handler says of the sense data of an I/O.
struct SenseVerdict {
    enum class Kind : uint8_t {
        not_handled,  ///< The general classification counts (wire::classify).
        retry_now,    ///< Send it again on the same path; counts as a try.
        requeue,      ///< Send it again on the same path after a pause; the path is not to blame.
        fail_path,    ///< The path is of no use: `status` is a path error.
        fail_io,      ///< Answer the I/O with `status`, leave the path alone.
    };
    Kind kind = Kind::not_handled;
    IoStatus status = IoStatus::io;
    friend bool operator==(const SenseVerdict&, const SenseVerdict&) = default;
};

/// A hardware handler with all its devices. The owner is a map, or a lane: then LUNs of one array
/// that belong to different maps are activated together, and their port groups are asked for once.
///
/// Calls: after each call that is not const, next_action() is drained.
/// Order: attach() first; activate() as often as wanted, also while one runs: each is answered with
///        exactly one `activated`, never inside the call. A device that is detached answers its
///        activations with device_offlined first.
/// Time:  a command that is not answered some seconds after its timeout is given up; its answer may
///        still come, and is ignored. So every activation ends whether or not the owner's transport
///        does its duty, as long as timer() is called.
/// Cost:  admits() and check_sense() are on the I/O path: no search that grows with the devices, no
///        allocation unless an array's state has changed.
/// Threads: one lane. Reads no clock, does no I/O.
class HardwareHandler {
  public:
    virtual ~HardwareHandler() = default;
    /// The word of the table line: "alua", "emc", "rdac", "hp_sw".
    virtual std::string_view name() const = 0;

    /// Takes the words behind the handler's name in the table line, for all devices.
    /// Errors: words that this handler does not know; nothing is changed then.
    virtual Result<void> set_parameters(std::span<const std::string> words, Instant now) = 0;

    /// Takes a device and starts to learn its state. Until that is known, admits() says what the
    /// kernel's handler of the name says: alua and rdac yes, emc and hp_sw no.
    /// Errors: the device is not of the handler's kind. It is not attached then: activations answer
    /// no_handler, everything is admitted.
    virtual Result<void> attach(DeviceId device, const DeviceIdentity& identity, Instant now) = 0;
    virtual void detach(DeviceId device, Instant now) = 0;
    virtual bool attached(DeviceId device) const = 0;

    /// Makes the device usable, if need be by moving the LUN or its port group.
    virtual void activate(DeviceId device, Instant now) = 0;
    /// Learns the device's state anew: it was reported to have changed, or the path is back.
    virtual void rescan(DeviceId device, Instant now) = 0;

    /// Whether `io` may be sent to the device. false = fail it with a path error without sending.
    virtual bool admits(DeviceId device, const IoShape& io) const = 0;
    /// Reads the sense data of an I/O on the device before anybody else does.
    virtual SenseVerdict check_sense(DeviceId device, const wire::ScsiSense& sense,
                                     Instant now) = 0;

    /// A command ended. One that is not under way (any more) is ignored.
    virtual void answered(DeviceId device, uint64_t tag, const wire::ScsiAnswer& answer,
                          Instant now) = 0;
    /// The timer of arm_timer went off. A call that comes early or late does no harm.
    virtual void timer(Instant now) = 0;
    /// Takes the oldest action not yet taken. False when there is none.
    virtual bool next_action(HandlerAction& action) = 0;

    /// The device's state in words, for people: "group 2 standby, preferred, explicit".
    virtual std::string status_text(DeviceId device) const = 0;
};

}  // namespace braidway::multipath
