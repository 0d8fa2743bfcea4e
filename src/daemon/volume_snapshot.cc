// SPDX-License-Identifier: Apache-2.0
// What a volume tells the control API of itself.
#include <fmt/format.h>

#include "base/units.h"
#include "daemon/volume.h"
#include "multipath/dm_table.h"

namespace braidway::daemon {
namespace {

std::string_view group_state_name(multipath::GroupState state) {
    switch (state) {
        case multipath::GroupState::enabled:
            return "enabled";
        case multipath::GroupState::active:
            return "active";
        case multipath::GroupState::disabled:
            return "disabled";
    }
    return "";
}

std::string no_path_text(const NoPathConfig& policy) {
    if (!policy.queue) return "fail";
    return policy.timeout ? format_duration(*policy.timeout) : "queue";
}

void add_check(PathSnapshot& snapshot, const monitor::CheckStatus& check, Instant now) {
    snapshot.check = check.under_way && check.state == monitor::CheckState::unchecked
                         ? "pending"
                         : monitor::check_state_name(check.state);
    snapshot.check_message = check.message;
    if (check.ended_at) snapshot.checked_ago = now - *check.ended_at;
    if (check.next_at != never) snapshot.next_check_in = check.next_at - now;
}

void add_counters(PathSnapshot& snapshot, const path::PathCounters& counters) {
    snapshot.in_flight = counters.in_flight;
    snapshot.in_flight_bytes = counters.in_flight_bytes;
    snapshot.reads = counters.reads;
    snapshot.writes = counters.writes;
    snapshot.others = counters.others;
    snapshot.read_bytes = counters.read_bytes;
    snapshot.written_bytes = counters.written_bytes;
    snapshot.outcomes = counters.outcomes;
}

void add_fabric(PathSnapshot& snapshot, const PathUnit& unit) {
    if (unit.fabric() == nullptr) return;
    const path::DoubtCounters doubts = unit.fabric()->doubts();
    snapshot.fabric = true;
    snapshot.fenced_off = unit.fenced_off();
    snapshot.identity = unit.finding().identity;
    snapshot.connection = unit.finding().description;
    snapshot.connects = unit.connects();
    snapshot.doubtful_writes = doubts.writes;
    snapshot.unsettled_writes = doubts.unsettled;
    snapshot.resend_risks = doubts.at_risk;
    snapshot.doubt_time = doubts.held;
}

std::string state_name(map::MapDevice::State state) {
    switch (state) {
        case map::MapDevice::State::running:
            return "running";
        case map::MapDevice::State::suspending:
            return "suspending";
        case map::MapDevice::State::suspended:
            return "suspended";
    }
    return "?";
}

}  // namespace

MapSnapshot Volume::map_snapshot(Instant now) const {
    const multipath::MultipathStatus status = map_->status();
    const map::MapCounters& counters = map_->counters();
    MapSnapshot snapshot;
    snapshot.name = name();
    snapshot.size_bytes = map_->geometry().size_bytes;
    snapshot.block_bytes = map_->geometry().block_bytes;
    snapshot.read_only = map_->geometry().read_only;
    snapshot.current_group = status.current_group;
    snapshot.valid_paths = status.valid_paths;
    snapshot.path_count = static_cast<uint32_t>(status.paths.size());
    snapshot.no_path_policy = no_path_text(config_.no_path);
    snapshot.queueing = status.queueing;
    const uint64_t sectors = snapshot.size_bytes / 512;
    snapshot.dm_table =
        fmt::format("0 {} multipath {}", sectors, multipath::dm_table_text(map_->brain().table()));
    snapshot.dm_status =
        fmt::format("0 {} multipath {}", sectors, multipath::dm_info_text(map_->brain().dm_info()));
    snapshot.no_path_expired = status.no_path_expired;
    snapshot.state = state_name(map_->state());
    snapshot.fenced = counters.fenced;
    snapshot.deferred = counters.deferred;
    snapshot.held_requests = map_->held_requests();
    snapshot.held_bytes = counters.held_bytes;
    if (map_->held_since() != never) snapshot.held_age = now - map_->held_since();
    snapshot.in_flight = counters.in_flight;
    snapshot.retries = counters.retries;
    snapshot.held_ever = counters.held_ever;
    snapshot.failed_to_client = counters.answered_errors;
    for (const multipath::GroupStatus& group : status.groups) {
        GroupSnapshot& to = snapshot.groups.emplace_back();
        to.number = group.number;
        to.name = config_.groups[group.number - 1].name;
        to.state = group_state_name(group.state);
        to.selector = group.selector;
        for (const multipath::PathId path : group.paths)
            to.paths.push_back(status.paths[path].name);
    }
    return snapshot;
}

void Volume::path_snapshots(Instant now, std::vector<PathSnapshot>& to) const {
    const multipath::MultipathStatus status = map_->status();
    for (size_t index = 0; index < units_.size(); ++index) {
        const PathUnit& unit = *units_[index];
        const multipath::PathStatus& path = status.paths[index];
        PathSnapshot& snapshot = to.emplace_back();
        snapshot.name = unit.name();
        snapshot.map = name();
        snapshot.group = path.group;
        snapshot.device = unit.config().device.text();
        snapshot.state = path.state == multipath::PathState::up ? "up" : "down";
        snapshot.held_down = path.sticky;
        snapshot.io_mode = unit.works() ? unit.io_mode() : "closed";
        if (unit.works()) {
            snapshot.size_bytes = unit.path().geometry().size_bytes;
            snapshot.block_bytes = unit.path().geometry().block_bytes;
        }
        snapshot.fail_count = path.fail_count;
        add_counters(snapshot, unit.path().counters());
        snapshot.failed_by = path.failed_by;
        snapshot.failure_reason = path.reason;
        if (!path.failed_by.empty()) snapshot.failed_ago = now - path.failed_at;
        if (!unit.works()) snapshot.failure_reason = unit.problem();
        if (const monitor::Checker* checker = monitor_.find(unit.path()))
            add_check(snapshot, checker->status(), now);
        snapshot.layers = unit.layers();
        add_fabric(snapshot, unit);
    }
}

}  // namespace braidway::daemon
