// SPDX-License-Identifier: Apache-2.0
// Activation of the group in use by the hardware handler: what dm-multipath calls pg_init.
#include <utility>

#include "base/check.h"
#include "multipath/multipath.h"

namespace braidway::multipath {

/// Has every path of the group in use activated that is up, now or after the delay; nothing while a
/// round is running.
void Multipath::start_activations(Instant now) {
    if (activations_ > 0 || init_forbidden_) return;
    ++init_count_;
    init_required_ = false;
    if (current_group_ == 0) return;
    const Group& group = groups_[current_group_ - 1];
    for (uint32_t place = 0; place < group.path_count; ++place) {
        Path& path = path_of(group.first_path + place);
        if (path.state == PathState::down) continue;
        if (delay_init_) {
            path.activation_waits = true;
            ++activations_;
        } else {
            activate(path);
        }
    }
    if (!delay_init_ || activations_ == 0) return;
    activation_deadline_ = now + init_delay_;
    tell(Action::Kind::arm_activation_timer).deadline = activation_deadline_;
}

void Multipath::activate(Path& path) {
    ++activations_;
    ++path.activations;
    Action& action = tell(Action::Kind::activate_path);
    action.path = path.id;
    action.group = path.group;
}

/// The delay is over, or the timer came early.
void Multipath::run_waiting_activations(Instant now) {
    if (activations_ == 0) return;
    if (now < activation_deadline_) {
        tell(Action::Kind::arm_activation_timer).deadline = activation_deadline_;
        return;
    }
    for (PathId id = 0; id < order_.size(); ++id) {
        Path& path = path_of(id);
        if (!std::exchange(path.activation_waits, false)) continue;
        --activations_;
        if (path.state == PathState::up) {
            activate(path);
            continue;
        }
        // One that has failed meanwhile does not trouble the handler.
        ++activations_;
        ++path.activations;
        path_activated(path, HandlerResult::device_offlined, "the path is down", now);
    }
}

/// A path that comes back into the group in use: only itself is activated, and I/O goes on.
void Multipath::activate_alone(Path& path) {
    if (path.activation_waits) return;
    if (!strict_ && suspended()) {
        // Nothing starts now; the first I/O after the resume has the whole group activated.
        init_required_ = initialising_ = true;
        return;
    }
    if (!strict_ && path.activations > 0) return;
    activate(path);
}

void Multipath::path_activated(Path& path, HandlerResult result, const std::string& reason,
                               Instant now) {
    // Of a table that is no more.
    if (path.activations == 0) return;
    --path.activations;
    if (result != HandlerResult::ok) {
        Action& action = tell(Action::Kind::activation_failed);
        action.path = path.id;
        action.group = path.group;
        action.result = result;
        action.reason = reason;
    }
    const uint32_t before = events_;
    const bool failed = take_activation_result(path, result, now);
    if (events_ != before) {
        // Answers that come at once are told together, as in the kernel.
        if (activation_event_at_ == now) events_ = before;
        activation_event_at_ = now;
    }
    if (failed && path.id == current_path_) leave_group();
    // Also in a disabled group: the handler takes the disabling back.
    if (!failed && !init_required_) groups_[path.group - 1].disabled = false;
    if (--activations_ == 0) end_activation_round(result == HandlerResult::retry, now);
}

/// Draws the consequences for the path and its group; whether the activation failed for good.
bool Multipath::take_activation_result(Path& path, HandlerResult result, Instant now) {
    switch (result) {
        case HandlerResult::ok:
            return false;
        case HandlerResult::device_busy:
            // Firmware is being loaded, perhaps: another controller may do.
            set_disabled(path.group, true);
            return true;
        case HandlerResult::retry:
        case HandlerResult::retry_now:
        case HandlerResult::resources_unavailable:
            if (init_count_ <= init_retries_ && !init_forbidden_)
                init_required_ = true;
            else
                fail_path(path, "handler", std::string(handler_result_name(result)), now);
            return false;
        case HandlerResult::no_handler:
        case HandlerResult::device_failed:
        case HandlerResult::device_unsupported:
        case HandlerResult::not_connected:
        case HandlerResult::connection_failure:
        case HandlerResult::io:
        case HandlerResult::invalid_io:
        case HandlerResult::timed_out:
        case HandlerResult::device_offlined:
        case HandlerResult::no_memory:
            fail_path(path, "handler", std::string(handler_result_name(result)), now);
            return true;
    }
    return true;
}

/// Every path asked has answered: once more, or I/O may come.
void Multipath::end_activation_round(bool retry_delayed, Instant now) {
    if (init_required_) {
        delay_init_ = retry_delayed;
        start_activations(now);
        if (activations_ > 0) return;
    }
    initialising_ = false;
    // What runs now is traffic again: the suspension ends when that has ended.
    init_forbidden_ = traffic_ended_ = false;
    tell(Action::Kind::run_held);
}

}  // namespace braidway::multipath
