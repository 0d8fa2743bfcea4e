// SPDX-License-Identifier: Apache-2.0
// The part of AluaHandler that reads reports of port groups and asks for changes.
#include <algorithm>
#include <bit>
#include <utility>

#include "multipath/alua_handler.h"
#include "multipath/alua_limits.h"

namespace braidway::multipath {

namespace scsi = wire::scsi;

void AluaHandler::report_answered(Group& group, const wire::ScsiAnswer& answer, Instant now) {
    if (wire::classify(answer).status != IoStatus::ok) return report_failed(group, answer, now);
    const auto report = wire::parse_port_groups(answer.data_in);
    if (!report) return finish(group, HandlerResult::io, now);
    if (report->bytes_wanted > group.buffer_bytes && group.buffer_bytes < alua::report_bytes_max) {
        // A power of two, so that a device that changes its mind is asked a few times at most.
        const size_t room = std::min<size_t>(report->bytes_wanted, alua::report_bytes_max);
        group.buffer_bytes = static_cast<uint32_t>(std::bit_ceil(room));
        return send(group, now, {});
    }
    take_report(group, *report);
    judge_state(group, now);
}

void AluaHandler::report_failed(Group& group, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    // Some devices fail this command during firmware updates. Where nothing but "optimized" is
    // possible there is nothing to learn.
    if ((group.support & ~scsi::supports_optimized) == 0) return after_report(group, now);
    if (answer.transport == wire::ScsiTransport::no_connection ||
        answer.transport == wire::ScsiTransport::connection_lost) {
        if (next_carrier(group)) return begin_command(group, Step::reading, now, {});
        return finish(group, HandlerResult::resources_unavailable, now);
    }
    if (!outcome.sense && outcome.retry == wire::ScsiRetry::no)
        return finish(group, failure_of(answer), now);
    if (outcome.sense && outcome.sense->key == scsi::key_illegal_request && group.extended_header) {
        group.extended_header = false;
        return send(group, now, {});
    }
    if (outcome.sense && outcome.sense->is(scsi::key_not_ready, 0x04, 0x0a))
        return transition_seen(group, now);
    if (outcome.retry != wire::ScsiRetry::no && group.retries_left > 0) {
        --group.retries_left;
        return send(group, now, pause_before_retry(outcome));
    }
    const bool attention = outcome.sense && outcome.sense->key == scsi::key_unit_attention;
    if (attention && now < group.transition_end) return send(group, now, alua::poll_interval);
    finish(group, failure_of(answer), now);
}

/// Takes over what a report says of all groups of the LUN.
void AluaHandler::take_report(Group& group, const wire::PortGroupReport& report) {
    const Duration told = std::chrono::seconds(report.transition_seconds);
    const Duration time = told > Duration::zero() ? told : alua::transition_time_default;
    if (time != group.transition_time) {
        group.transition_time = time;
        // From the beginning of the run: a device that changes its mind gains nothing.
        group.transition_end = group.run_began + time;
    }
    for (const wire::PortGroup& told_group : report.groups) {
        const auto at = groups_.find({group.unit_id, told_group.id});
        if (at == groups_.end()) continue;
        Group& ours = at->second;
        ours.known = true;
        ours.preferred = told_group.preferred;
        ours.support = told_group.support;
        // A group that is being polled notices the end of its transition itself.
        if (&ours == &group || ours.step != Step::testing) set_state(ours, told_group.state);
    }
}

/// Goes on by the state of the group after a report.
void AluaHandler::judge_state(Group& group, Instant now) {
    switch (group.state) {
        case scsi::group_transitioning:
            return transition_seen(group, now);
        case scsi::group_offline:
            return finish(group, HandlerResult::device_offlined, now);
        default:
            return after_report(group, now);
    }
}

/// A report was good: ends the run, or asks for a change first.
void AluaHandler::after_report(Group& group, Instant now) {
    if (std::exchange(group.set_wanted, false)) {
        switch (change_of(group)) {
            case Change::none:
                break;
            case Change::send:
                return begin_command(group, Step::setting, now, {});
            case Change::device_decides:
                // It may have decided just now.
                return begin_command(group, Step::reading, now, {});
            case Change::offline:
                return finish(group, HandlerResult::io, now);
            case Change::not_understood:
                return finish(group, HandlerResult::no_handler, now);
        }
    }
    // Something happened while the report was under way; but nobody waits for ever.
    if (group.read_wanted && now < group.transition_end)
        return begin_command(group, Step::reading, now, {});
    finish(group, HandlerResult::ok, now);
}

AluaHandler::Change AluaHandler::change_of(const Group& group) const {
    if ((group.tpgs & scsi::tpgs_explicit) == 0) return Change::device_decides;
    switch (group.state) {
        case scsi::group_optimized:
            return Change::none;
        case scsi::group_non_optimized: {
            const bool device_moves_it = (group.tpgs & scsi::tpgs_implicit) != 0;
            return optimize_ && !group.preferred && device_moves_it ? Change::none : Change::send;
        }
        case scsi::group_standby:
        case scsi::group_unavailable:
        case scsi::group_transitioning:
            return Change::send;
        case scsi::group_offline:
            return Change::offline;
        default:
            return Change::not_understood;
    }
}

/// This group and all others of the LUN that wait for the same shall become optimized.
std::vector<std::byte> AluaHandler::settings_data(Group& group) {
    std::vector<wire::PortGroupSetting> settings{{group.id, scsi::group_optimized}};
    for (auto& [key, other] : groups_) {
        if (&other == &group || key.first != group.unit_id || !other.set_wanted || !other.known)
            continue;
        if (change_of(other) != Change::send) continue;
        settings.push_back({other.id, scsi::group_optimized});
        other.set_wanted = false;
        other.read_wanted = true;
    }
    return wire::set_port_groups_data(settings);
}

void AluaHandler::setting_answered(Group& group, const wire::ScsiAnswer& answer, Instant now) {
    const wire::ScsiOutcome outcome = wire::classify(answer);
    const bool lost = answer.transport == wire::ScsiTransport::no_connection ||
                      answer.transport == wire::ScsiTransport::connection_lost;
    // Whether it worked or was refused, the report tells.
    if (outcome.status == IoStatus::ok || outcome.sense)
        return begin_command(group, Step::reading, now, {});
    if (lost && next_carrier(group)) {
        group.set_wanted = true;
        return begin_command(group, Step::reading, now, {});
    }
    if (outcome.retry != wire::ScsiRetry::no && group.retries_left > 0) {
        --group.retries_left;
        return send(group, now, pause_before_retry(outcome));
    }
    finish(group, failure_of(answer), now);
}

}  // namespace braidway::multipath
