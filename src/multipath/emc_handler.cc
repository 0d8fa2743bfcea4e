// SPDX-License-Identifier: Apache-2.0
#include "multipath/emc_handler.h"

#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace braidway::multipath {
namespace {

using wire::ClariionUnit;
namespace scsi = wire::scsi;

constexpr Duration command_timeout = std::chrono::seconds(60);
constexpr unsigned retries = 3;

/// What page 0xC0 says against using the LUN, or ok.
HandlerResult judge(const ClariionUnit& unit) {
    if (unit.upgrading) return HandlerResult::device_busy;
    if (unit.unit_state > ClariionUnit::owned) return HandlerResult::no_handler;
    // In other modes the array does not let a host decide where the LUN is.
    if (unit.failover_mode != ClariionUnit::linux_failover &&
        unit.failover_mode != ClariionUnit::alua_failover)
        return HandlerResult::no_handler;
    return HandlerResult::ok;
}

}  // namespace

Result<void> EmcHandler::set_parameters(std::span<const std::string> words, Instant now) {
    if (words.empty()) return {};
    const auto is_bit = [](const std::string& word) { return word == "0" || word == "1"; };
    if (words.size() != 2 || !is_bit(words[0]) || !is_bit(words[1]))
        return fail(
            "hardware handler 'emc' takes no words, or two: short trespass (0 or 1) and "
            "honor reservations (0 or 1)");
    short_parameter_ = words[0] == "1";
    honor_reservations_ = words[1] == "1";
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        Device* device = devices_.find(id);
        if (device == nullptr || !device->owned) continue;
        if (device->step == Step::idle)
            trespass(*device, now);
        else
            device->trespass_next = true;
    }
    return {};
}

Result<void> EmcHandler::attach(DeviceId id, const DeviceIdentity& identity, Instant now) {
    CHECK(id < handler_devices_max && !attached(id), "a device has a small number of its own");
    if (!identity.clariion_model)
        return fail(
            "hardware handler 'emc' needs a CLARiiON array, whose inquiry data name the "
            "service processor's model");
    Device& device = devices_.add(id);
    device.id = id;
    device.old_array =
        identity.clariion_model->empty() || identity.clariion_model->starts_with("FC");
    ask(device, Step::asking, now);
    return {};
}

void EmcHandler::detach(DeviceId id, Instant) {
    Device* device = devices_.find(id);
    if (device == nullptr) return;
    desk_.cancel(device->tag);
    for (uint32_t n = 0; n < device->activations; ++n)
        desk_.activated(id, HandlerResult::device_offlined);
    devices_.remove(id);
}

void EmcHandler::activate(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device == nullptr) return desk_.activated(id, HandlerResult::no_handler);
    ++device->activations;
    if (device->step == Step::idle) ask(*device, Step::asking, now);
}

void EmcHandler::rescan(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device != nullptr && device->step == Step::idle) ask(*device, Step::asking, now);
}

bool EmcHandler::admits(DeviceId id, const IoShape&) const {
    const Device* device = devices_.find(id);
    return device == nullptr || device->owned;
}

SenseVerdict EmcHandler::check_sense(DeviceId id, const wire::ScsiSense& sense, Instant now) {
    using Kind = SenseVerdict::Kind;
    if (!attached(id)) return {};
    if (sense.is(scsi::key_not_ready, 0x04, 0x03)) {
        // The other service processor has the LUN, or an upgrade runs; the page tells which.
        rescan(id, now);
        return {Kind::fail_path, IoStatus::io};
    }
    // An array copy into an inactive snapshot: every path would say so.
    if (sense.is(scsi::key_illegal_request, 0x25, 0x01)) return {Kind::fail_io, IoStatus::target};
    // What a path says to its first I/O.
    if (sense.is(scsi::key_unit_attention, 0x29, 0x00)) return {Kind::requeue, IoStatus::io};
    return {};
}

void EmcHandler::answered(DeviceId id, uint64_t tag, const wire::ScsiAnswer& answer, Instant now) {
    if (!desk_.end(id, tag)) return;
    take_answer(*devices_.find(id), answer, now);
}

void EmcHandler::timer(Instant now) {
    while (const auto due = desk_.take_due(now))
        take_answer(*devices_.find(due->device), {.transport = wire::ScsiTransport::timed_out},
                    now);
}

void EmcHandler::take_answer(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    switch (device.step) {
        case Step::idle:
            CHECK(false, "an idle device has no command under way");
            return;
        case Step::asking:
        case Step::asking_again:
            return inquiry_answered(device, answer, now);
        case Step::trespassing:
            return trespass_answered(device, answer, now);
    }
}

void EmcHandler::ask(Device& device, Step step, Instant now) {
    device.step = step;
    device.retries_left = retries;
    send_inquiry(device, now, {});
}

void EmcHandler::trespass(Device& device, Instant now) {
    device.step = Step::trespassing;
    device.retries_left = retries;
    send_trespass(device, now, {});
}

void EmcHandler::send_inquiry(Device& device, Instant now, Duration delay) {
    ScsiCommand command;
    command.device = device.id;
    command.cdb = wire::vpd_cdb(scsi::page_clariion, scsi::inquiry_bytes_max);
    command.data_in_bytes = scsi::inquiry_bytes_max;
    command.timeout = command_timeout;
    device.tag = desk_.send(std::move(command), now, delay);
}

void EmcHandler::send_trespass(Device& device, Instant now, Duration delay) {
    const wire::ClariionTrespass page{short_page(device), honor_reservations_};
    ScsiCommand command;
    command.device = device.id;
    command.data_out = wire::trespass_data(page);
    const auto bytes = static_cast<uint8_t>(command.data_out.size());
    command.cdb = page.short_page ? wire::mode_select_6_cdb(bytes, true)
                                  : wire::mode_select_10_cdb(bytes, true);
    command.timeout = command_timeout;
    device.tag = desk_.send(std::move(command), now, delay);
}

/// Sends the command of this step again when the answer says so and it had not too many tries.
bool EmcHandler::try_again(Device& device, const wire::ScsiOutcome& outcome, Instant now) {
    if (outcome.retry == wire::ScsiRetry::no || device.retries_left == 0) return false;
    --device.retries_left;
    const Duration pause = pause_before_retry(outcome);
    if (device.step == Step::trespassing)
        send_trespass(device, now, pause);
    else
        send_inquiry(device, now, pause);
    return true;
}

void EmcHandler::inquiry_answered(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.status != IoStatus::ok) {
        if (!try_again(device, outcome, now)) finish(device, failure_of(answer), now);
        return;
    }
    const auto unit = wire::parse_clariion_unit(answer.data_in);
    if (!unit) return finish(device, HandlerResult::io, now);
    device.unit = unit;
    const HandlerResult judged = judge(*unit);
    set_owned(device,
              judged != HandlerResult::no_handler && unit->unit_state == ClariionUnit::owned);
    if (judged != HandlerResult::ok || device.owned) return finish(device, judged, now);
    if (device.step == Step::asking_again) return finish(device, HandlerResult::retry, now);
    // Only to know its state, when nobody waits.
    if (device.activations == 0) return finish(device, HandlerResult::ok, now);
    trespass(device, now);
}

void EmcHandler::trespass_answered(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.status == IoStatus::ok) return ask(device, Step::asking_again, now);
    if (try_again(device, outcome, now)) return;
    if (!outcome.sense) return finish(device, failure_of(answer), now);
    const bool copying = outcome.sense->is(scsi::key_illegal_request, 0x04, 0x00);
    const bool upgrading = outcome.sense->is(scsi::key_not_ready, 0x04, 0x03);
    finish(device, copying || upgrading ? HandlerResult::device_busy : HandlerResult::device_failed,
           now);
}

void EmcHandler::finish(Device& device, HandlerResult result, Instant now) {
    device.step = Step::idle;
    device.tag = 0;
    const uint32_t activations = std::exchange(device.activations, 0);
    for (uint32_t n = 0; n < activations; ++n) desk_.activated(device.id, result);
    if (std::exchange(device.trespass_next, false) && device.owned) trespass(device, now);
}

void EmcHandler::set_owned(Device& device, bool owned) {
    if (std::exchange(device.owned, owned) != owned) desk_.admission_changed(device.id, owned);
}

bool EmcHandler::short_page(const Device& device) const {
    return short_parameter_.value_or(device.old_array);
}

std::string EmcHandler::status_text(DeviceId id) const {
    const Device* device = devices_.find(id);
    if (device == nullptr) return "not attached";
    if (!device->unit) return "not yet known";
    const ClariionUnit& unit = *device->unit;
    static constexpr std::string_view states[] = {"unbound", "bound", "owned"};
    const auto sp = [](uint8_t number) { return number == 0 ? 'A' : 'B'; };
    return fmt::format("SP {} port {}: {}, default SP {}{}", sp(unit.current_sp), unit.port,
                       unit.unit_state <= ClariionUnit::owned ? states[unit.unit_state]
                                                              : "in a state that is not known",
                       sp(unit.default_sp), unit.upgrading ? ", firmware upgrade" : "");
}

}  // namespace braidway::multipath
