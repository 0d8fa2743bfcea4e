// SPDX-License-Identifier: Apache-2.0
// A map as it is shown.
#include <algorithm>

#include "multipath/multipath.h"

namespace braidway::multipath {

MultipathStatus Multipath::status() const {
    MultipathStatus status;
    for (const uint32_t entry : order_) {
        const Path& path = entries_[entry];
        status.paths.push_back({.name = path.name,
                                .group = path.group,
                                .state = path.state,
                                .sticky = path.sticky,
                                .fail_count = path.fail_count,
                                .in_flight = path.in_flight,
                                .in_flight_bytes = path.in_flight_bytes,
                                .vetoed = path.vetoed,
                                .fenced = path.fenced,
                                .failed_by = std::string(path.failed_by),
                                .reason = path.reason,
                                .failed_at = path.failed_at});
    }
    for (GroupNumber number = 1; number <= groups_.size(); ++number) {
        const Group& group = groups_[number - 1];
        GroupStatus& shown = status.groups.emplace_back();
        shown.number = number;
        shown.state = state_of(number);
        shown.selector = group.selector->name();
        shown.selector_words = group.selector->group_words();
        for (uint32_t place = 0; place < group.path_count; ++place)
            shown.paths.push_back(group.first_path + place);
    }
    status.current_group = shown_group();
    status.valid_paths = valid_paths_;
    status.queueing = queueing();
    status.no_path_expired = expired_;
    status.handler = handler_;
    status.initialising = initialising_;
    status.activations = init_count_;
    status.suspended = suspended();
    return status;
}

GroupState Multipath::state_of(GroupNumber number) const {
    if (groups_[number - 1].disabled) return GroupState::disabled;
    return number == current_group_ ? GroupState::active : GroupState::enabled;
}

/// The current group, else the one asked for, else the first.
GroupNumber Multipath::shown_group() const {
    if (current_group_ != 0) return current_group_;
    if (requested_group_ != 0) return requested_group_;
    return groups_.empty() ? 0 : 1;
}

DmInfo Multipath::dm_info() const {
    DmInfo info;
    info.queue_io = initialising_;
    info.pg_init_count = init_count_;
    info.group = shown_group();
    for (GroupNumber number = 1; number <= groups_.size(); ++number) {
        const Group& group = groups_[number - 1];
        DmInfoGroup& shown = info.groups.emplace_back();
        shown.state = state_of(number);
        shown.words = group.selector->group_words();
        for (uint32_t place = 0; place < group.path_count; ++place) {
            const Path& path = entries_[order_[group.first_path + place]];
            shown.paths.push_back({.name = path.name,
                                   .state = path.state,
                                   .fail_count = path.fail_count,
                                   .words = group.selector->info_words(place)});
        }
    }
    return info;
}

MultipathSpec Multipath::table() const {
    MultipathSpec table = table_;
    table.no_path.queue = queue_;
    table.initial_group = shown_group();
    for (const Group& group : groups_) {
        GroupSpec& shown = table.groups.emplace_back();
        shown.selector = group.selector->name();
        shown.selector_arguments = group.selector->group_words();
        for (uint32_t place = 0; place < group.path_count; ++place)
            shown.paths.push_back({.name = entries_[order_[group.first_path + place]].name,
                                   .arguments = group.selector->table_words(place)});
    }
    return table;
}

void Multipath::append_state(std::vector<uint64_t>& state) const {
    for (const uint32_t entry : order_) {
        const Path& path = entries_[entry];
        state.push_back(uint64_t{path.state == PathState::up} | uint64_t{path.vetoed} << 1 |
                        uint64_t{path.sticky} << 2 | uint64_t{path.activation_waits} << 3 |
                        uint64_t{path.activations} << 16 | uint64_t{path.fenced} << 32);
        state.push_back(path.in_flight);
        state.push_back(path.in_flight_bytes);
    }
    for (const Group& group : groups_) {
        state.push_back(group.disabled);
        group.selector->append_state(state);
    }
    state.push_back(uint64_t{initialising_} | uint64_t{init_required_} << 1 |
                    uint64_t{init_forbidden_} << 2 | uint64_t{delay_init_} << 3 |
                    uint64_t{noflush_} << 4 | uint64_t{traffic_ended_} << 5 |
                    uint64_t{queue_} << 6 | uint64_t{saved_queue_} << 7 | uint64_t{expired_} << 8 |
                    uint64_t{no_path_deadline_.has_value()} << 9);
    state.push_back(current_group_ | uint64_t{requested_group_} << 32);
    state.push_back(current_path_ | uint64_t{std::min(init_count_, init_retries_ + 1)} << 32);
    state.push_back(activations_ | uint64_t{static_cast<uint8_t>(suspension_)} << 32);
}

}  // namespace braidway::multipath
