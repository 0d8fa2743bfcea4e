// SPDX-License-Identifier: Apache-2.0
#include "multipath/alua_handler.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"
#include "multipath/alua_limits.h"

namespace braidway::multipath {
namespace {

namespace scsi = wire::scsi;

/// Whether a group in this state takes I/O, or will without our doing.
bool takes_io(uint8_t state) {
    switch (state) {
        case scsi::group_optimized:
        case scsi::group_non_optimized:
        case scsi::group_lba_dependent:
        case scsi::group_transitioning:
            return true;
        default:
            return false;
    }
}

/// A device that does not say which LUN it is shares its group with nobody.
std::vector<std::byte> unit_of_its_own(DeviceId id) {
    std::vector<std::byte> unit(1 + sizeof id, std::byte{0xff});
    store_big(unit.data() + 1, id);
    return unit;
}

}  // namespace

Result<void> AluaHandler::set_parameters(std::span<const std::string> words, Instant) {
    if (words.empty()) return {};
    if (words.size() != 1 || (words[0] != "0" && words[0] != "1"))
        return fail("hardware handler 'alua' takes no words, or one: optimize_stpg (0 or 1)");
    optimize_ = words[0] == "1";
    return {};
}

Result<void> AluaHandler::attach(DeviceId id, const DeviceIdentity& identity, Instant now) {
    CHECK(id < handler_devices_max && !attached(id), "a device has a small number of its own");
    if (identity.tpgs == 0)
        return fail(
            "hardware handler 'alua' needs a device with target port groups (TPGS in its "
            "inquiry data)");
    if (!identity.port_group)
        return fail(
            "hardware handler 'alua' needs a device that names its target port group "
            "(inquiry page 0x83)");
    UnitId unit = identity.unit_id.empty() ? unit_of_its_own(id) : identity.unit_id;
    const auto [at, is_new] = groups_.try_emplace({unit, *identity.port_group});
    Group& group = at->second;
    if (is_new) {
        group.unit_id = std::move(unit);
        group.id = *identity.port_group;
        group.transition_time = alua::transition_time_default;
        group.buffer_bytes = alua::report_bytes_first;
    }
    group.tpgs = identity.tpgs;
    group.members.push_back(id);
    devices_.add(id) = {&group, identity.relative_port};
    if (!group.known && group.step == Step::idle) want_read(group, id, now);
    return {};
}

void AluaHandler::detach(DeviceId id, Instant now) {
    Group* group = group_of(id);
    if (group == nullptr) return;
    const auto waits = static_cast<size_t>(std::ranges::count(group->waiting, id));
    for (size_t n = 0; n < waits; ++n) desk_.activated(id, HandlerResult::device_offlined);
    std::erase(group->waiting, id);
    std::erase(group->members, id);
    devices_.remove(id);
    const bool carries = group->step != Step::idle && group->carrier == id;
    if (carries) desk_.cancel(std::exchange(group->tag, 0));
    if (group->members.empty()) {
        groups_.erase({group->unit_id, group->id});
    } else if (carries) {
        // Where the run was does not matter: a report tells where things are.
        group->carrier = group->members.front();
        group->set_wanted |= group->step == Step::setting;
        begin_command(*group, Step::reading, now, {});
    }
}

void AluaHandler::activate(DeviceId id, Instant now) {
    Group* group = group_of(id);
    if (group == nullptr) return desk_.activated(id, HandlerResult::no_handler);
    group->waiting.push_back(id);
    group->set_wanted = true;
    want_read(*group, id, now);
}

void AluaHandler::rescan(DeviceId id, Instant now) {
    if (Group* group = group_of(id); group != nullptr) want_read(*group, id, now);
}

bool AluaHandler::admits(DeviceId id, const IoShape&) const {
    const Group* group = group_of(id);
    return group == nullptr || takes_io(group->state);
}

SenseVerdict AluaHandler::check_sense(DeviceId id, const wire::ScsiSense& sense, Instant now) {
    using Kind = SenseVerdict::Kind;
    Group* group = group_of(id);
    if (group == nullptr) return {};
    const bool attention = sense.key == scsi::key_unit_attention;
    const auto attention_is = [&](uint8_t asc, uint8_t ascq) {
        return attention && sense.asc == asc && sense.ascq == ascq;
    };
    if ((attention || sense.key == scsi::key_not_ready) && sense.asc == 0x04 &&
        sense.ascq == 0x0a) {
        set_state(*group, scsi::group_transitioning);
        if (group->step == Step::idle) want_read(*group, id, now);
        return {Kind::retry_now, IoStatus::io};
    }
    // A reset may have hidden a change of states; states changed; a change failed.
    if (attention_is(0x29, 0x00) || attention_is(0x2a, 0x06) || attention_is(0x2a, 0x07)) {
        want_read(*group, id, now);
        return {Kind::requeue, IoStatus::io};
    }
    // Internal reset; mode parameters, inquiry data, list of LUNs changed.
    if (attention_is(0x29, 0x04) || attention_is(0x2a, 0x01) || attention_is(0x3f, 0x03) ||
        attention_is(0x3f, 0x0e))
        return {Kind::requeue, IoStatus::io};
    return {};
}

void AluaHandler::answered(DeviceId id, uint64_t tag, const wire::ScsiAnswer& answer, Instant now) {
    if (!desk_.end(id, tag)) return;
    take_answer(*group_of(id), answer, now);
}

void AluaHandler::timer(Instant now) {
    while (const auto due = desk_.take_due(now))
        take_answer(*group_of(due->device), {.transport = wire::ScsiTransport::timed_out}, now);
}

void AluaHandler::take_answer(Group& group, const wire::ScsiAnswer& answer, Instant now) {
    switch (group.step) {
        case Step::idle:
            CHECK(false, "an idle group has no command under way");
            return;
        case Step::testing:
            return tested(group, answer, now);
        case Step::reading:
            return report_answered(group, answer, now);
        case Step::setting:
            return setting_answered(group, answer, now);
    }
}

/// A report is wanted; a run that is under way makes one more at its end.
void AluaHandler::want_read(Group& group, DeviceId carrier, Instant now) {
    group.read_wanted = true;
    if (group.step != Step::idle) return;
    group.carrier = carrier;
    // Sense data that come together lead to one report.
    next_step(group, now, alua::start_delay);
}

void AluaHandler::next_step(Group& group, Instant now, Duration delay) {
    group.carriers_left = static_cast<unsigned>(group.members.size() - 1);
    group.run_began = now;
    group.transition_end = now + group.transition_time;
    // In a transition some devices cannot even report; the test tells without waking errors.
    const bool moving = group.state == scsi::group_transitioning;
    begin_command(group, moving ? Step::testing : Step::reading, now, delay);
}

void AluaHandler::begin_command(Group& group, Step step, Instant now, Duration delay) {
    group.step = step;
    group.retries_left = alua::retries;
    if (step == Step::reading) group.read_wanted = false;
    send(group, now, delay);
}

void AluaHandler::send(Group& group, Instant now, Duration delay) {
    ScsiCommand command;
    command.device = group.carrier;
    command.timeout = alua::command_timeout;
    switch (group.step) {
        case Step::idle:
        case Step::testing:
            command.cdb = wire::test_unit_ready_cdb();
            break;
        case Step::reading:
            command.cdb = wire::report_port_groups_cdb(group.buffer_bytes, group.extended_header);
            command.data_in_bytes = group.buffer_bytes;
            break;
        case Step::setting:
            command.data_out = settings_data(group);
            command.cdb = wire::set_port_groups_cdb(static_cast<uint32_t>(command.data_out.size()));
            break;
    }
    group.tag = desk_.send(std::move(command), now, delay);
}

/// Goes on to the next device of the group. False when all had their turn.
bool AluaHandler::next_carrier(Group& group) {
    if (group.carriers_left == 0) return false;
    --group.carriers_left;
    const auto at = std::ranges::find(group.members, group.carrier);
    const bool last = at == group.members.end() || at + 1 == group.members.end();
    group.carrier = last ? group.members.front() : *(at + 1);
    return true;
}

void AluaHandler::tested(Group& group, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    const bool moving = outcome.sense && outcome.sense->asc == 0x04 &&
                        outcome.sense->ascq == 0x0a &&
                        (outcome.sense->key == scsi::key_not_ready ||
                         outcome.sense->key == scsi::key_unit_attention);
    if (moving) return transition_seen(group, now);
    // Whatever else it said: the report tells.
    begin_command(group, Step::reading, now, {});
}

/// The group is in transition: asks again later, or gives up when that took too long.
void AluaHandler::transition_seen(Group& group, Instant now) {
    if (now >= group.transition_end) {
        set_state(group, scsi::group_standby);
        return finish(group, HandlerResult::io, now);
    }
    set_state(group, scsi::group_transitioning);
    begin_command(group, Step::testing, now, alua::poll_interval);
}

/// Ends a run: everybody who waits is told. Another run follows when a report was wanted meanwhile.
void AluaHandler::finish(Group& group, HandlerResult result, Instant now) {
    group.step = Step::idle;
    group.tag = 0;
    group.set_wanted = false;
    for (const DeviceId id : std::exchange(group.waiting, {})) desk_.activated(id, result);
    if (group.read_wanted) next_step(group, now, alua::start_delay);
}

AluaHandler::Group* AluaHandler::group_of(DeviceId id) const {
    const Device* device = devices_.find(id);
    return device == nullptr ? nullptr : device->group;
}

void AluaHandler::set_state(Group& group, uint8_t state) {
    const bool admitted = takes_io(group.state);
    group.state = state;
    if (takes_io(state) == admitted) return;
    for (const DeviceId id : group.members) desk_.admission_changed(id, takes_io(state));
}

std::string AluaHandler::status_text(DeviceId id) const {
    const Group* group = group_of(id);
    if (group == nullptr) return "not attached";
    static constexpr std::string_view changes[] = {"none", "implicit", "explicit",
                                                   "implicit and explicit"};
    return fmt::format("group {} {}{}, {}", group->id,
                       group->known ? wire::port_group_state_text(group->state) : "not yet known",
                       group->preferred ? ", preferred" : "", changes[group->tpgs & 3]);
}

}  // namespace braidway::multipath
