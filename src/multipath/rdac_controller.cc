// SPDX-License-Identifier: Apache-2.0
// The part of RdacHandler that moves LUNs: one MODE SELECT for all that wait for one controller.
#include <algorithm>

#include "base/check.h"
#include "multipath/rdac_handler.h"

namespace braidway::multipath {
namespace {

namespace scsi = wire::scsi;

constexpr Duration command_timeout = std::chrono::seconds(60);
constexpr unsigned move_retries = 5;
/// How long LUNs whose ownership is still being read are waited for.
constexpr Duration gather_time = std::chrono::milliseconds(50);
/// The array's command lock is held for seconds; it is tried again at this pace, for this long.
constexpr Duration contention_pause = std::chrono::milliseconds(250);
constexpr Duration contention_time = std::chrono::minutes(2);

/// Whether the MODE SELECT may succeed when it is sent again: spec of the kernel's handler.
bool worth_another_try(const wire::ScsiSense& sense) {
    switch (sense.key) {
        case scsi::key_no_sense:
        case scsi::key_aborted_command:
        case scsi::key_unit_attention:
            return true;
        case scsi::key_not_ready:
            return sense.asc == 0x04 && sense.ascq == 0x01;
        default:
            return false;
    }
}

}  // namespace

void RdacHandler::join_controller(Device& device) {
    Controller& controller = controllers_[{device.volume->array_id, *device.slot}];
    controller.expanded = *device.expanded;
    device.controller = &controller;
}

/// Moves what waits, unless more LUNs will join soon.
void RdacHandler::gather(Controller& controller, Instant now) {
    if (controller.waiting.empty() || !controller.moving.empty()) return;
    if (controller.reading == 0) return move(controller, now);
    if (controller.gather_tag == 0)
        controller.gather_tag = desk_.alarm(controller.waiting.front(), now + gather_time);
}

void RdacHandler::move(Controller& controller, Instant now) {
    desk_.cancel(std::exchange(controller.gather_tag, 0));
    if (controller.waiting.empty() || !controller.moving.empty()) return;
    controller.moving = std::exchange(controller.waiting, {});
    controller.retries_left = move_retries;
    controller.contention_until = now + contention_time;
    send_move(controller, now, {});
}

void RdacHandler::send_move(Controller& controller, Instant now, Duration delay) {
    wire::RdacTransfer transfer;
    transfer.expanded = controller.expanded;
    for (const DeviceId id : controller.moving)
        transfer.luns.push_back(devices_.find(id)->volume->lun);
    // A LUN is named once, however many ports of the controller lead to it.
    std::ranges::sort(transfer.luns);
    const auto doubles = std::ranges::unique(transfer.luns);
    transfer.luns.erase(doubles.begin(), doubles.end());
    ScsiCommand command;
    command.device = controller.moving.front();
    command.data_out = wire::rdac_transfer_data(transfer);
    const size_t bytes = command.data_out.size();
    command.cdb = controller.expanded
                      ? wire::mode_select_10_cdb(static_cast<uint16_t>(bytes), false)
                      : wire::mode_select_6_cdb(static_cast<uint8_t>(bytes), false);
    command.timeout = command_timeout;
    controller.tag = desk_.send(std::move(command), now, delay);
}

void RdacHandler::moved(Controller& controller, const wire::ScsiAnswer& answer, Instant now) {
    controller.tag = 0;
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.status == IoStatus::ok) return end_move(controller, HandlerResult::ok, now);
    if (outcome.sense && outcome.sense->is(scsi::key_illegal_request, 0x91, 0x36)) {
        if (now >= controller.contention_until)
            return end_move(controller, HandlerResult::retry, now);
        return send_move(controller, now, contention_pause);
    }
    const bool again =
        outcome.sense ? worth_another_try(*outcome.sense) : outcome.retry != wire::ScsiRetry::no;
    if (try_again(controller, answer, now)) return;
    end_move(controller, again ? HandlerResult::retry : failure_of(answer), now);
}

bool RdacHandler::try_again(Controller& controller, const wire::ScsiAnswer& answer, Instant now) {
    if (controller.retries_left == 0) return false;
    const wire::ScsiOutcome outcome = wire::classify(answer);
    const bool lost = answer.transport == wire::ScsiTransport::no_connection ||
                      answer.transport == wire::ScsiTransport::connection_lost;
    if (lost && controller.moving.size() > 1) {
        // Another device of the batch carries the command; the one without a connection fails.
        Device& device = *devices_.find(controller.moving.front());
        controller.moving.erase(controller.moving.begin());
        finish(device, failure_of(answer));
    } else if (outcome.sense ? !worth_another_try(*outcome.sense)
                             : outcome.retry == wire::ScsiRetry::no) {
        return false;
    }
    --controller.retries_left;
    send_move(controller, now, pause_before_retry(outcome));
    return true;
}

void RdacHandler::end_move(Controller& controller, HandlerResult result, Instant now) {
    for (const DeviceId id : std::exchange(controller.moving, {})) {
        Device& device = *devices_.find(id);
        if (result == HandlerResult::ok) {
            device.access->owned = true;
            set_active(device, true);
        }
        finish(device, result);
    }
    gather(controller, now);
}

/// Takes a device that goes out of its controller's books.
void RdacHandler::leave_controller(Device& device, Instant now) {
    Controller& controller = *device.controller;
    count_reading(device, false);
    std::erase(controller.waiting, device.id);
    const bool carrier = !controller.moving.empty() && controller.moving.front() == device.id;
    std::erase(controller.moving, device.id);
    if (carrier) {
        desk_.cancel(std::exchange(controller.tag, 0));
        if (!controller.moving.empty()) send_move(controller, now, {});
    }
    gather(controller, now);
    device.controller = nullptr;
    const auto is_member = [&](DeviceId id) {
        const Device* other = devices_.find(id);
        return other != nullptr && other->controller == &controller;
    };
    for (DeviceId id = 0; id < devices_.size(); ++id)
        if (is_member(id)) return;
    desk_.cancel(controller.gather_tag);
    std::erase_if(controllers_, [&](const auto& entry) { return &entry.second == &controller; });
}

RdacHandler::Controller* RdacHandler::controller_of(uint64_t tag) {
    for (auto& [key, controller] : controllers_)
        if (tag != 0 && (controller.tag == tag || controller.gather_tag == tag)) return &controller;
    return nullptr;
}

}  // namespace braidway::multipath
