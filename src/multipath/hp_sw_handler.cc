// SPDX-License-Identifier: Apache-2.0
#include "multipath/hp_sw_handler.h"

#include <utility>

#include "base/check.h"

namespace braidway::multipath {
namespace {

namespace scsi = wire::scsi;

constexpr Duration command_timeout = std::chrono::seconds(60);
constexpr unsigned test_retries = 5;
constexpr unsigned start_retries = 3;

}  // namespace

Result<void> HpSwHandler::set_parameters(std::span<const std::string> words, Instant) {
    if (!words.empty()) return fail("hardware handler 'hp_sw' takes no words");
    return {};
}

Result<void> HpSwHandler::attach(DeviceId id, const DeviceIdentity&, Instant now) {
    CHECK(id < handler_devices_max && !attached(id), "a device has a small number of its own");
    Device& device = devices_.add(id);
    device.id = id;
    begin(device, Step::testing, now);
    return {};
}

void HpSwHandler::detach(DeviceId id, Instant) {
    Device* device = devices_.find(id);
    if (device == nullptr) return;
    desk_.cancel(device->tag);
    for (uint32_t n = 0; n < device->activations; ++n)
        desk_.activated(id, HandlerResult::device_offlined);
    devices_.remove(id);
}

void HpSwHandler::activate(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device == nullptr) return desk_.activated(id, HandlerResult::no_handler);
    ++device->activations;
    if (device->step == Step::idle) begin(*device, Step::testing, now);
}

void HpSwHandler::rescan(DeviceId id, Instant now) {
    Device* device = devices_.find(id);
    if (device != nullptr && device->step == Step::idle) begin(*device, Step::testing, now);
}

bool HpSwHandler::admits(DeviceId id, const IoShape&) const {
    const Device* device = devices_.find(id);
    return device == nullptr || device->state == State::active;
}

SenseVerdict HpSwHandler::check_sense(DeviceId, const wire::ScsiSense&, Instant) {
    return {};
}

void HpSwHandler::answered(DeviceId id, uint64_t tag, const wire::ScsiAnswer& answer, Instant now) {
    if (!desk_.end(id, tag)) return;
    take_answer(*devices_.find(id), answer, now);
}

void HpSwHandler::timer(Instant now) {
    while (const auto due = desk_.take_due(now))
        take_answer(*devices_.find(due->device), {.transport = wire::ScsiTransport::timed_out},
                    now);
}

void HpSwHandler::take_answer(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    CHECK(device.step != Step::idle, "an idle device has no command under way");
    if (device.step == Step::testing)
        tested(device, answer, now);
    else
        started(device, answer, now);
}

void HpSwHandler::begin(Device& device, Step step, Instant now) {
    device.step = step;
    device.retries_left = step == Step::testing ? test_retries : start_retries;
    send(device, now, {});
}

void HpSwHandler::send(Device& device, Instant now, Duration delay) {
    ScsiCommand command;
    command.device = device.id;
    command.cdb =
        device.step == Step::testing ? wire::test_unit_ready_cdb() : wire::start_stop_cdb(true);
    command.timeout = command_timeout;
    device.tag = desk_.send(std::move(command), now, delay);
}

bool HpSwHandler::try_again(Device& device, Duration pause, Instant now) {
    if (device.retries_left == 0) return false;
    --device.retries_left;
    send(device, now, pause);
    return true;
}

void HpSwHandler::tested(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.status == IoStatus::ok) {
        set_state(device, State::active);
        return finish(device, HandlerResult::ok);
    }
    const bool passive = outcome.sense && outcome.sense->is(scsi::key_not_ready, 0x04, 0x02);
    if (passive) {
        set_state(device, State::passive);
        if (device.activations == 0) return finish(device, HandlerResult::ok);
        return begin(device, Step::starting, now);
    }
    if (outcome.retry == wire::ScsiRetry::no) return finish(device, failure_of(answer));
    if (try_again(device, pause_before_retry(outcome), now)) return;
    const bool attention = outcome.sense && outcome.sense->key == scsi::key_unit_attention;
    finish(device, attention ? HandlerResult::retry_now : failure_of(answer));
}

void HpSwHandler::started(Device& device, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.status == IoStatus::ok) {
        set_state(device, State::active);
        return finish(device, HandlerResult::ok);
    }
    const bool switching = outcome.sense && outcome.sense->is(scsi::key_not_ready, 0x04, 0x03);
    if (!switching && outcome.retry == wire::ScsiRetry::no)
        return finish(device, failure_of(answer));
    // A switch-over takes its time; the pause lets it.
    const Duration pause = switching ? handler_busy_pause : pause_before_retry(outcome);
    if (!try_again(device, pause, now)) finish(device, HandlerResult::retry);
}

void HpSwHandler::finish(Device& device, HandlerResult result) {
    device.step = Step::idle;
    device.tag = 0;
    const uint32_t activations = std::exchange(device.activations, 0);
    for (uint32_t n = 0; n < activations; ++n) desk_.activated(device.id, result);
}

void HpSwHandler::set_state(Device& device, State state) {
    const bool admitted = device.state == State::active;
    device.state = state;
    const bool admits_now = state == State::active;
    if (admitted != admits_now) desk_.admission_changed(device.id, admits_now);
}

std::string HpSwHandler::status_text(DeviceId id) const {
    const Device* device = devices_.find(id);
    if (device == nullptr) return "not attached";
    switch (device->state) {
        case State::unknown:
            return "not yet known";
        case State::active:
            return "active";
        case State::passive:
            return "passive";
    }
    return {};
}

}  // namespace braidway::multipath
