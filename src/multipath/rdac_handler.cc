// SPDX-License-Identifier: Apache-2.0
#include "multipath/rdac_handler.h"

#include <string_view>

#include <fmt/format.h>

#include "base/check.h"

namespace braidway::multipath {
namespace {

using wire::RdacAccess;
namespace scsi = wire::scsi;

constexpr Duration command_timeout = std::chrono::seconds(60);
constexpr unsigned page_retries = 3;

/// Whether this controller must take the LUN over before it serves it well.
bool must_move(const RdacAccess& access) {
    if (access.owned) return false;
    switch (access.mode) {
        case RdacAccess::Mode::rdac:
            return true;
        case RdacAccess::Mode::ioship:
            return access.preferred;
        case RdacAccess::Mode::avt:
            return false;
    }
    return false;
}

}  // namespace

Result<void> RdacHandler::set_parameters(std::span<const std::string> words, Instant) {
    if (!words.empty()) return fail("hardware handler 'rdac' takes no words");
    return {};
}

Result<void> RdacHandler::attach(DeviceId id, const DeviceIdentity&, Instant now) {
    CHECK(id < handler_devices_max && !attached(id), "a device has a small number of its own");
    Device& device = devices_.add(id);
    device.id = id;
    begin(device, now);
    return {};
}

void RdacHandler::detach(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device == nullptr) return;
    desk_.cancel(device->tag);
    if (device->controller != nullptr) leave_controller(*device, now);
    finish(*device, HandlerResult::device_offlined);
    devices_.remove(id);
}

void RdacHandler::activate(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device == nullptr) return desk_.activated(id, HandlerResult::no_handler);
    ++device->activations;
    if (device->step == Step::idle)
        begin(*device, now);
    else if (device->step == Step::access)
        count_reading(*device, true);
}

void RdacHandler::rescan(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device != nullptr && device->step == Step::idle) begin(*device, now);
}

bool RdacHandler::admits(DeviceId id, const IoShape&) const {
    const Device* device = devices_.find(id);
    return device == nullptr || device->active;
}

SenseVerdict RdacHandler::check_sense(DeviceId id, const wire::ScsiSense& sense, Instant) {
    using Kind = SenseVerdict::Kind;
    Device* device = devices_.find(id);
    if (device == nullptr) return {};
    // Becoming ready; quiescence in progress or reached; first word after a reset.
    const bool passing = sense.is(scsi::key_not_ready, 0x04, 0x01) ||
                         sense.is(scsi::key_not_ready, 0x04, 0xa1) ||
                         sense.is(scsi::key_not_ready, 0xa1, 0x02) ||
                         sense.is(scsi::key_unit_attention, 0x29, 0x00) ||
                         sense.is(scsi::key_unit_attention, 0x8b, 0x02);
    if (passing) return {Kind::requeue, IoStatus::io};
    // The controllers' firmware does not fit together: nothing to be done on this path.
    if (sense.is(scsi::key_not_ready, 0x04, 0x81)) return {Kind::fail_path, IoStatus::io};
    // The other controller owns the LUN.
    if (sense.is(scsi::key_illegal_request, 0x94, 0x01)) {
        set_active(*device, false);
        return {Kind::fail_path, IoStatus::io};
    }
    return {};
}

void RdacHandler::answered(DeviceId id, uint64_t tag, const wire::ScsiAnswer& answer, Instant now) {
    if (!desk_.end(id, tag)) return;
    if (Controller* controller = controller_of(tag); controller != nullptr)
        return moved(*controller, answer, now);
    page_answered(*devices_.find(id), answer, now);
}

void RdacHandler::timer(Instant now) {
    while (const auto due = desk_.take_due(now)) {
        Controller* controller = controller_of(due->tag);
        if (due->alarm) {
            CHECK(controller != nullptr, "only controllers set alarms");
            controller->gather_tag = 0;
            move(*controller, now);
        } else if (controller != nullptr) {
            moved(*controller, {.transport = wire::ScsiTransport::timed_out}, now);
        } else {
            page_answered(*devices_.find(due->device),
                          {.transport = wire::ScsiTransport::timed_out}, now);
        }
    }
}

/// Asks for the first page that is not known yet.
void RdacHandler::begin(Device& device, Instant now) {
    if (!device.volume)
        ask(device, Step::volume, now);
    else if (!device.slot)
        ask(device, Step::subsystem, now);
    else if (!device.expanded)
        ask(device, Step::software, now);
    else
        ask(device, Step::access, now);
}

void RdacHandler::ask(Device& device, Step step, Instant now) {
    device.step = step;
    device.retries_left = page_retries;
    if (step == Step::access && device.activations > 0) count_reading(device, true);
    send_inquiry(device, now, {});
}

void RdacHandler::send_inquiry(Device& device, Instant now, Duration delay) {
    uint8_t page = scsi::page_rdac_access;
    if (device.step == Step::volume) page = scsi::page_rdac_volume;
    if (device.step == Step::subsystem) page = scsi::page_rdac_subsystem;
    if (device.step == Step::software) page = scsi::page_rdac_software;
    ScsiCommand command;
    command.device = device.id;
    command.cdb = wire::vpd_cdb(page, scsi::inquiry_bytes_max);
    command.data_in_bytes = scsi::inquiry_bytes_max;
    command.timeout = command_timeout;
    device.tag = desk_.send(std::move(command), now, delay);
}

void RdacHandler::page_answered(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    CHECK(device.step != Step::idle && device.step != Step::moving,
          "only a device that asks for a page gets one");
    const wire::ScsiOutcome outcome = wire::classify(answer);
    HandlerResult result = HandlerResult::ok;
    if (outcome.status != IoStatus::ok) {
        if (outcome.retry != wire::ScsiRetry::no && device.retries_left > 0) {
            --device.retries_left;
            return send_inquiry(device, now, pause_before_retry(outcome));
        }
        result = failure_of(answer);
    } else if (!take_page(device, answer.data_in)) {
        // The pages that name LUN and controller tell whether this is such an array at all.
        const bool access = device.step == Step::access;
        result = access ? HandlerResult::io : HandlerResult::no_handler;
    }
    if (result == HandlerResult::ok && device.step != Step::access) return begin(device, now);
    Controller* controller = device.controller;
    count_reading(device, false);
    if (result == HandlerResult::ok)
        access_known(device, now);
    else
        finish(device, result);
    if (controller != nullptr) gather(*controller, now);
}

/// Reads the page that was asked for. False when it is not that page.
bool RdacHandler::take_page(Device& device, std::span<const std::byte> data) {
    switch (device.step) {
        case Step::volume:
            device.volume = wire::parse_rdac_volume(data);
            return device.volume.has_value();
        case Step::subsystem: {
            const auto subsystem = wire::parse_rdac_subsystem(data);
            if (subsystem) device.slot = subsystem->controller();
            return subsystem.has_value();
        }
        case Step::software: {
            const auto software = wire::parse_rdac_software(data);
            if (!software) return false;
            device.expanded = software->luns_max >= wire::RdacTransfer::normal_luns;
            join_controller(device);
            return true;
        }
        case Step::access:
            device.access = wire::parse_rdac_access(data);
            return device.access.has_value();
        case Step::idle:
        case Step::moving:
            break;
    }
    return false;
}

void RdacHandler::access_known(Device& device, Instant now) {
    const RdacAccess& access = *device.access;
    set_active(device, access.mode != RdacAccess::Mode::rdac || access.owned);
    if (device.activations == 0 || !must_move(access)) return finish(device, HandlerResult::ok);
    // A LUN that the page to be sent has no place for.
    if (!device.controller->expanded && device.volume->lun >= wire::RdacTransfer::normal_luns)
        return finish(device, HandlerResult::invalid_io);
    device.step = Step::moving;
    device.tag = 0;
    device.controller->waiting.push_back(device.id);
    gather(*device.controller, now);
}

void RdacHandler::count_reading(Device& device, bool counted) {
    if (device.controller == nullptr || device.counted == counted) return;
    device.counted = counted;
    if (counted)
        ++device.controller->reading;
    else
        --device.controller->reading;
}

void RdacHandler::finish(Device& device, HandlerResult result) {
    device.step = Step::idle;
    device.tag = 0;
    const uint32_t activations = std::exchange(device.activations, 0);
    for (uint32_t n = 0; n < activations; ++n) desk_.activated(device.id, result);
}

void RdacHandler::set_active(Device& device, bool active) {
    if (std::exchange(device.active, active) != active) desk_.admission_changed(device.id, active);
}

std::string RdacHandler::status_text(DeviceId id) const {
    const Device* device = devices_.find(id);
    if (device == nullptr) return "not attached";
    if (!device->access || !device->slot) return "not yet known";
    static constexpr std::string_view modes[] = {"RDAC", "AVT", "IOSHIP"};
    const RdacAccess& access = *device->access;
    return fmt::format("{} controller {} lun {}: {}{}{}", modes[static_cast<size_t>(access.mode)],
                       *device->slot, device->volume->lun, access.owned ? "owned" : "not owned",
                       access.preferred ? ", preferred" : "", device->active ? "" : ", passive");
}

}  // namespace braidway::multipath
