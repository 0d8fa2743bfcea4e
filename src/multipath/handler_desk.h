// SPDX-License-Identifier: Apache-2.0
// What all hardware handlers do alike: commands under way, commands that wait for their time, one
// timer, actions that wait to be taken.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "multipath/hardware_handler.h"

namespace braidway::multipath {

/// Keeps a handler's commands and actions. Part of a handler, which forwards answered(), timer()
/// and next_action() to it.
///
/// Shapes:  a handler has a few commands per device at most; they are searched one by one.
/// Threads: one lane.
class HandlerDesk {
  public:
    /// Beyond a command's own timeout: then its answer is not waited for any more.
    static constexpr Duration answer_grace = std::chrono::seconds(5);

    /// Sends a command when `delay` has passed. Returns its tag; `command.tag` is not read.
    uint64_t send(ScsiCommand command, Instant now, Duration delay = {});
    /// Asks to be told at `at`: take_due() gives the tag back.
    uint64_t alarm(DeviceId device, Instant at);
    /// Forgets a command or alarm. An answer that comes later is ignored. 0 is no tag.
    void cancel(uint64_t tag);
    /// A command was answered. False when it is not under way: then there is nothing to do.
    bool end(DeviceId device, uint64_t tag);

    /// What came due.
    struct Due {
        uint64_t tag = 0;
        DeviceId device = 0;
        bool alarm = false;  ///< Else a command that was not answered in time.
    };
    /// Hands over the commands whose time has come. Then takes one alarm or overdue command that
    /// has come due, if there is one: to be called until there is none.
    std::optional<Due> take_due(Instant now);

    void activated(DeviceId device, HandlerResult result);
    void admission_changed(DeviceId device, bool admits);
    bool next_action(HandlerAction& action);

  private:
    /// One command or alarm.
    struct Pending {
        enum class Kind : uint8_t { waiting, sent, alarm } kind = Kind::waiting;
        Instant at;  ///< When it goes, is overdue, or rings.
        ScsiCommand command = {};
    };
    void hand_over(Pending& pending, Instant now);

    std::vector<Pending> pending_;
    std::deque<HandlerAction> actions_;
    Instant armed_ = never;
    uint64_t last_tag_ = 0;
};

/// The devices of a handler by their numbers: T is the handler's own record of one.
template <typename T>
class DeviceTable {
  public:
    T* find(DeviceId device) const {
        return device < devices_.size() ? devices_[device].get() : nullptr;
    }
    /// Makes a record for `device`, which has none.
    T& add(DeviceId device) {
        if (device >= devices_.size()) devices_.resize(size_t{device} + 1);
        devices_[device] = std::make_unique<T>();
        return *devices_[device];
    }
    void remove(DeviceId device) { devices_[device].reset(); }
    /// One more than the largest number in use.
    DeviceId size() const { return static_cast<DeviceId>(devices_.size()); }

  private:
    std::vector<std::unique_ptr<T>> devices_;
};

/// How an activation ends when a command of it failed for good.
HandlerResult failure_of(const wire::ScsiAnswer& answer);

/// How long to wait before a command that a device answered with "busy" or the like goes again.
inline constexpr Duration handler_busy_pause = std::chrono::seconds(1);
/// `handler_busy_pause` or nothing, by what the answer asks for.
Duration pause_before_retry(const wire::ScsiOutcome& outcome);

}  // namespace braidway::multipath
