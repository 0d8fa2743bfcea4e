// SPDX-License-Identifier: Apache-2.0
#include "multipath/handler_desk.h"

#include <algorithm>

#include "base/check.h"

namespace braidway::multipath {

uint64_t HandlerDesk::send(ScsiCommand command, Instant now, Duration delay) {
    command.tag = ++last_tag_;
    pending_.push_back({Pending::Kind::waiting, now + delay, std::move(command)});
    if (delay <= Duration::zero()) hand_over(pending_.back(), now);
    return last_tag_;
}

uint64_t HandlerDesk::alarm(DeviceId device, Instant at) {
    pending_.push_back({Pending::Kind::alarm, at, {}});
    pending_.back().command.tag = ++last_tag_;
    pending_.back().command.device = device;
    return last_tag_;
}

void HandlerDesk::hand_over(Pending& pending, Instant now) {
    pending.kind = Pending::Kind::sent;
    pending.at = now + (pending.command.timeout + answer_grace);
    HandlerAction& action = actions_.emplace_back();
    action.kind = HandlerAction::Kind::send_command;
    action.device = pending.command.device;
    action.command = std::move(pending.command);
    // What is left of it is asked for again.
    pending.command.tag = action.command.tag;
    pending.command.device = action.command.device;
}

void HandlerDesk::cancel(uint64_t tag) {
    std::erase_if(pending_, [&](const Pending& pending) { return pending.command.tag == tag; });
    // Not handed over yet: nobody shall send what nobody waits for.
    std::erase_if(actions_, [&](const HandlerAction& action) {
        return action.kind == HandlerAction::Kind::send_command && action.command.tag == tag;
    });
}

bool HandlerDesk::end(DeviceId device, uint64_t tag) {
    return std::erase_if(pending_, [&](const Pending& pending) {
               return pending.kind == Pending::Kind::sent && pending.command.tag == tag &&
                      pending.command.device == device;
           }) > 0;
}

std::optional<HandlerDesk::Due> HandlerDesk::take_due(Instant now) {
    for (Pending& pending : pending_)
        if (pending.kind == Pending::Kind::waiting && pending.at <= now) hand_over(pending, now);
    const auto due = std::ranges::find_if(pending_, [&](const Pending& pending) {
        return pending.kind != Pending::Kind::waiting && pending.at <= now;
    });
    if (due == pending_.end()) return std::nullopt;
    const Due taken{due->command.tag, due->command.device, due->kind == Pending::Kind::alarm};
    pending_.erase(due);
    return taken;
}

void HandlerDesk::activated(DeviceId device, HandlerResult result) {
    HandlerAction& action = actions_.emplace_back();
    action.kind = HandlerAction::Kind::activated;
    action.device = device;
    action.result = result;
}

void HandlerDesk::admission_changed(DeviceId device, bool admits) {
    HandlerAction& action = actions_.emplace_back();
    action.kind = HandlerAction::Kind::admission_changed;
    action.device = device;
    action.admits = admits;
}

bool HandlerDesk::next_action(HandlerAction& action) {
    if (!actions_.empty()) {
        action = std::move(actions_.front());
        actions_.pop_front();
        return true;
    }
    Instant earliest = never;
    for (const Pending& pending : pending_) earliest = std::min(earliest, pending.at);
    if (earliest == armed_) return false;
    armed_ = earliest;
    action = {};
    action.kind = HandlerAction::Kind::arm_timer;
    action.deadline = earliest;
    return true;
}

HandlerResult failure_of(const wire::ScsiAnswer& answer) {
    switch (answer.transport) {
        case wire::ScsiTransport::answered:
            break;
        case wire::ScsiTransport::no_connection:
            return HandlerResult::not_connected;
        case wire::ScsiTransport::no_resources:
            return HandlerResult::resources_unavailable;
        case wire::ScsiTransport::connection_lost:
            return HandlerResult::connection_failure;
        case wire::ScsiTransport::timed_out:
        case wire::ScsiTransport::aborted:
            return HandlerResult::timed_out;
    }
    // The LUN is not there any more.
    if (wire::classify(answer).status == IoStatus::offline) return HandlerResult::device_offlined;
    return HandlerResult::io;
}

Duration pause_before_retry(const wire::ScsiOutcome& outcome) {
    return outcome.retry == wire::ScsiRetry::later ? handler_busy_pause : Duration::zero();
}

}  // namespace braidway::multipath
