// SPDX-License-Identifier: Apache-2.0
// How a map gets its table: the first one, and new ones under running I/O.
#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "multipath/multipath.h"

namespace braidway::multipath {
namespace {

/// `used_group_` when the group that I/O went to last is not in the table any more.
constexpr GroupNumber gone_group = UINT32_MAX;
constexpr uint32_t no_entry = UINT32_MAX;

Result<void> check_paths(const MultipathSpec& spec) {
    std::unordered_set<std::string_view> names;
    for (size_t at = 0; at < spec.groups.size(); ++at) {
        const GroupSpec& group = spec.groups[at];
        if (spec.kernel_strict && !group.paths.empty()) continue;
        if (group.paths.empty()) return fail(fmt::format("group {}: a group needs a path", at + 1));
        for (const PathSpec& path : group.paths) {
            if (path.name.empty())
                return fail(fmt::format("group {}: a path without a name", at + 1));
            if (!names.insert(path.name).second)
                return fail(
                    fmt::format("group {}: path {} is there twice: a path belongs to one "
                                "group of a map, once",
                                at + 1, path.name));
        }
    }
    if (names.size() > limits::paths_max)
        return fail(fmt::format("{} paths; a map has at most {}", names.size(), limits::paths_max));
    return {};
}

Result<void> check_spec(const MultipathSpec& spec) {
    if (spec.groups.size() > limits::groups_max)
        return fail(
            fmt::format("{} groups; a map has at most {}", spec.groups.size(), limits::groups_max));
    if (!spec.groups.empty() && spec.initial_group == 0)
        return fail("invalid initial priority group 0: groups are numbered from 1");
    if (spec.no_path.timeout && *spec.no_path.timeout < Duration::zero())
        return fail("the time without a path cannot be negative");
    if (spec.pg_init_retries > limits::pg_init_retries_max)
        return fail(fmt::format("pg_init_retries {}: at most {}", spec.pg_init_retries,
                                limits::pg_init_retries_max));
    if (spec.pg_init_delay.value_or(Duration::zero()) < Duration::zero() ||
        spec.pg_init_delay.value_or(Duration::zero()) > limits::pg_init_delay_max)
        return fail("pg_init_delay_msecs must be between 0 and 60000");
    if (spec.attempts_max == 0) return fail("a request needs at least one try");
    return check_paths(spec);
}

}  // namespace

/// What of the old table lives on in the new one.
struct Multipath::Survivors {
    std::vector<uint32_t> entries;         ///< By new PathId; no_entry = a new path.
    std::vector<GroupNumber> new_numbers;  ///< By old GroupNumber; 0 = changed or gone.
};

Result<std::unique_ptr<Multipath>> Multipath::create(MultipathSpec spec, Instant now) {
    auto groups = make_groups(spec);
    if (!groups) return std::unexpected(std::move(groups.error()));
    std::unique_ptr<Multipath> made(new Multipath());
    made->install(spec, std::move(*groups), now);
    made->queue_ = spec.no_path.queue;
    made->no_path_timeout_ = spec.no_path.timeout;
    if (made->valid_paths_ == 0 && !made->strict_) made->lose_last_path(now);
    return made;
}

Result<void> Multipath::replace(MultipathSpec spec, Instant now) {
    auto groups = make_groups(spec);
    if (!groups) return std::unexpected(std::move(groups.error()));
    if (spec.kernel_strict) {
        start_from_nothing();
        install(spec, std::move(*groups), now);
        queue_ = spec.no_path.queue;
        no_path_timeout_ = spec.no_path.timeout;
        // Held by the table before, which cannot run them any more.
        tell(Action::Kind::run_held);
        return {};
    }
    const bool had_path = valid_paths_ > 0;
    install(spec, std::move(*groups), now);
    if (suspended()) {
        // A flushing suspension has taken queueing away, and gives the new table's back.
        (noflush_ ? queue_ : saved_queue_) = spec.no_path.queue;
        no_path_timeout_ = spec.no_path.timeout;
        if (!had_path && valid_paths_ > 0) find_first_path();
        if (had_path && valid_paths_ == 0) lose_last_path(now);
        if (!had_path && valid_paths_ == 0) {
            // The resume starts the clock again, by the new policy.
            expired_ = false;
            disarm_no_path_timer();
        }
        return {};
    }
    if (!had_path && valid_paths_ == 0) {
        change_policy_without_path(spec.no_path, now);
        return {};
    }
    queue_ = spec.no_path.queue;
    no_path_timeout_ = spec.no_path.timeout;
    if (!had_path) find_first_path();
    if (valid_paths_ == 0) lose_last_path(now);
    return {};
}

/// The table changed while there is no path and I/O may be held. The clock goes on from when it
/// started; a longer time gives a map that had run out its queueing back.
void Multipath::change_policy_without_path(const NoPathPolicy& policy, Instant now) {
    const bool may_hold = queueing();
    queue_ = policy.queue;
    no_path_timeout_ = policy.timeout;
    expired_ = false;
    if (queue_ && no_path_timeout_) return start_no_path_timer(now);
    disarm_no_path_timer();
    if (may_hold && !queue_) tell(Action::Kind::fail_held).reason = "fail_if_no_path";
}

Result<std::vector<Multipath::Group>> Multipath::make_groups(const MultipathSpec& spec) {
    if (auto good = check_spec(spec); !good) return std::unexpected(std::move(good.error()));
    std::vector<Group> groups;
    PathId first_path = 0;
    for (const GroupSpec& group : spec.groups) {
        std::vector<PathArguments> arguments;
        for (const PathSpec& path : group.paths) arguments.push_back(path.arguments);
        auto selector = make_selector(group.selector, group.selector_arguments, arguments,
                                      {spec.kernel_strict, spec.node_of_cpu});
        if (!selector)
            return fail(fmt::format("group {}: {}", groups.size() + 1, selector.error().message),
                        selector.error().code);
        const auto path_count = static_cast<uint32_t>(group.paths.size());
        groups.push_back({std::move(*selector), first_path, path_count});
        first_path += path_count;
    }
    return groups;
}

Multipath::Survivors Multipath::find_survivors(const MultipathSpec& spec) const {
    std::unordered_map<std::string_view, uint32_t> by_name;
    for (const uint32_t entry : order_) by_name.emplace(entries_[entry].name, entry);

    Survivors survivors;
    survivors.new_numbers.resize(groups_.size() + 1);
    for (size_t at = 0; at < spec.groups.size(); ++at) {
        const std::vector<PathSpec>& paths = spec.groups[at].paths;
        // The old group that every path of the new one was in; 0 = there is none.
        std::optional<GroupNumber> common;
        for (const PathSpec& path : paths) {
            const auto found = by_name.find(path.name);
            const uint32_t entry = found == by_name.end() ? no_entry : found->second;
            survivors.entries.push_back(entry);
            const GroupNumber group = entry == no_entry ? 0 : entries_[entry].group;
            common = !common || *common == group ? group : 0;
        }
        if (*common != 0 && groups_[*common - 1].path_count == paths.size())
            survivors.new_numbers[*common] = static_cast<GroupNumber>(at + 1);
    }
    return survivors;
}

void Multipath::install(MultipathSpec& spec, std::vector<Group> groups, Instant now) {
    const Survivors survivors = find_survivors(spec);
    carry_over_groups(survivors.new_numbers, groups);
    const std::vector<uint32_t> old_order = std::exchange(order_, {});
    groups_ = std::move(groups);
    for (const uint32_t entry : old_order) entries_[entry].removed = true;
    valid_paths_ = 0;
    for (GroupNumber number = 1; number <= groups_.size(); ++number) {
        for (uint32_t place = 0; place < groups_[number - 1].path_count; ++place) {
            const auto id = static_cast<PathId>(order_.size());
            const uint32_t kept = survivors.entries[id];
            const uint32_t entry =
                kept != no_entry ? kept : new_entry(spec.groups[number - 1].paths[place], now);
            order_.push_back(entry);
            place_path(entries_[entry], id, number, place);
        }
    }
    free_entries_.reserve(entries_.size());
    for (const uint32_t entry : old_order) {
        const Path& path = entries_[entry];
        if (path.removed && path.in_flight == 0 && path.fenced == 0) free_entries_.push_back(entry);
    }
    if (current_group_ == 0 && requested_group_ == 0) request_initial_group(spec.initial_group);
    take_settings(spec);
    attempts_max_ = std::max(spec.attempts_max, static_cast<uint32_t>(path_count()));
}

void Multipath::take_settings(const MultipathSpec& spec) {
    strict_ = spec.kernel_strict;
    bio_ = spec.queue_mode == QueueMode::bio;
    const bool other_handler = handler_ != spec.handler.name;
    handler_ = spec.handler.name;
    init_retries_ = spec.pg_init_retries;
    init_delay_ = spec.pg_init_delay.value_or(limits::pg_init_delay_default);
    fence_ = spec.fence;
    // What was asked of the handler for the table before is forgotten; the group in use is
    // activated for this one.
    // What waited for the answers waits for nothing now.
    if (std::exchange(activations_, 0) > 0) tell(Action::Kind::run_held);
    init_forbidden_ = delay_init_ = false;
    for (Path& path : entries_) {
        path.vetoed = path.vetoed && !other_handler;
        path.activation_waits = false;
        path.activations = 0;
    }
    current_path_ = no_path;
    if (current_group_ != 0) init_required_ = initialising_ = !handler_.empty();
    table_ = spec;
    table_.groups.clear();
}

/// As the kernel, for which each table is a new target; the suspension is the map's.
void Multipath::start_from_nothing() {
    for (const uint32_t entry : order_) {
        Path& path = entries_[entry];
        path.removed = true;
        if (path.in_flight == 0 && path.fenced == 0) free_entries_.push_back(entry);
    }
    order_.clear();
    groups_.clear();
    leave_group();
    requested_group_ = used_group_ = 0;
    initialising_ = true;
    init_required_ = saved_queue_ = expired_ = false;
    init_count_ = 0;
    disarm_no_path_timer();
}

/// Unlike an operator's request that of a table does not end the disabling of a group that was
/// carried over.
void Multipath::request_initial_group(GroupNumber number) {
    if (groups_.empty() || number > groups_.size() || groups_[number - 1].disabled) return;
    requested_group_ = number;
}

/// Groups that are the same but for their numbers stay what they were to the map.
void Multipath::carry_over_groups(const std::vector<GroupNumber>& new_numbers,
                                  std::vector<Group>& groups) {
    for (GroupNumber old = 1; old <= groups_.size(); ++old)
        if (new_numbers[old] != 0)
            groups[new_numbers[old] - 1].disabled = groups_[old - 1].disabled;
    current_group_ = new_numbers[current_group_];
    requested_group_ = new_numbers[requested_group_];
    if (used_group_ == 0 || used_group_ == gone_group) return;
    used_group_ = new_numbers[used_group_] != 0 ? new_numbers[used_group_] : gone_group;
}

/// An entry for a path that the table did not have before.
uint32_t Multipath::new_entry(PathSpec& spec, Instant now) {
    auto entry = static_cast<uint32_t>(entries_.size());
    if (free_entries_.empty()) {
        entries_.emplace_back();
    } else {
        entry = free_entries_.back();
        free_entries_.pop_back();
    }
    const uint32_t generation = entries_[entry].generation + 1;
    Path& path = entries_[entry] = Path();
    path.generation = generation;
    path.name = std::move(spec.name);
    if (!spec.up) {
        path.state = PathState::down;
        path.failed_by = "start";
        path.reason = "did not work when the map got it";
        path.failed_at = now;
    }
    return entry;
}

/// Gives `path` its place in the new table and tells the group's new selector what it must know.
void Multipath::place_path(Path& path, PathId id, GroupNumber group, uint32_t place) {
    path.id = id;
    path.group = group;
    path.place = place;
    path.removed = false;
    Selector& selector = *groups_[group - 1].selector;
    if (path.in_flight > 0) selector.carry_over(place, path.in_flight, path.in_flight_bytes);
    if (path.state == PathState::up)
        ++valid_paths_;
    else
        selector.fail_path(place);
}

}  // namespace braidway::multipath
