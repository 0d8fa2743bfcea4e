// SPDX-License-Identifier: Apache-2.0
#include "multipath/multipath.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/units.h"

namespace braidway::multipath {

Multipath::~Multipath() = default;

Route Multipath::route(const IoShape& io, Instant now, uint32_t attempts) {
    Route route;
    const PathId id = choose(io, now);
    if (id == no_path) {
        route.kind = queueing() ? Route::Kind::hold : Route::Kind::fail;
        return route;
    }
    const uint32_t entry = order_[id];
    Path& path = entries_[entry];
    ++path.in_flight;
    path.in_flight_bytes += io.length_bytes;
    groups_[path.group - 1].selector->started(path.place, io.length_bytes, now);
    route.kind = Route::Kind::path;
    route.ticket = {.path = id,
                    .entry = entry,
                    .generation = path.generation,
                    .attempts = attempts + 1,
                    .length_bytes = io.length_bytes,
                    .started_at = now};
    return route;
}

Verdict Multipath::completed(const Ticket& ticket, IoStatus status, Instant now) {
    Path& path = take_back(ticket, now);
    if (!is_path_error(status)) [[likely]]
        return Verdict::done;
    if (!path.removed && path.state == PathState::up)
        fail_path(path, "I/O error", std::string(io_status_name(status)), now);
    // The kernel would go on for ever: a request that every path refuses, while each of them passes
    // its checks, would fail and reinstate the whole map in turn.
    if (ticket.attempts >= attempts_max_) return Verdict::done;
    if (valid_paths_ > 0) return Verdict::retry;
    if (!queueing()) return Verdict::done;
    // As if the request had been routed again, and found no path.
    current_group_ = 0;
    return Verdict::hold;
}

Multipath::Path& Multipath::take_back(const Ticket& ticket, Instant now) {
    CHECK(ticket.entry < entries_.size(), "a ticket comes back to the map that gave it");
    Path& path = entries_[ticket.entry];
    CHECK(ticket.generation == path.generation && path.in_flight > 0,
          "a ticket comes back exactly once");
    --path.in_flight;
    path.in_flight_bytes -= ticket.length_bytes;
    if (!path.removed) [[likely]] {
        groups_[path.group - 1].selector->ended(path.place, ticket.length_bytes, ticket.started_at,
                                                now);
    } else if (path.in_flight == 0) {
        free_entries_.push_back(ticket.entry);
    }
    return path;
}

PathId Multipath::choose(const IoShape& io, Instant now) {
    if (valid_paths_ == 0) {
        // A requested group stays requested until there is something to choose from.
        current_group_ = 0;
        return no_path;
    }
    if (requested_group_ != 0) {
        // Asked once: a request for a group without a path is lost.
        const PathId id = choose_in(std::exchange(requested_group_, 0), io, now);
        if (id != no_path) return id;
    }
    // A group is left only when it has no path: nothing fails back by itself.
    if (current_group_ != 0) {
        const PathId id = choose_in(current_group_, io, now);
        if (id != no_path) return id;
    }
    return choose_new_group(io, now);
}

PathId Multipath::choose_new_group(const IoShape& io, Instant now) {
    for (const bool disabled : {false, true}) {
        for (GroupNumber number = 1; number <= groups_.size(); ++number) {
            if (groups_[number - 1].disabled != disabled) continue;
            const PathId id = choose_in(number, io, now);
            if (id != no_path) return id;
        }
    }
    CHECK(false, "a path that is up is in a group whose selector offers it");
    return no_path;
}

PathId Multipath::choose_in(GroupNumber number, const IoShape& io, Instant now) {
    const Group& group = groups_[number - 1];
    const std::optional<Selector::Index> place = group.selector->pick(io, now);
    if (!place) return no_path;
    if (number != current_group_) enter_group(number);
    return group.first_path + *place;
}

/// The one place where another group comes into use. A hardware handler's activation of the
/// group's paths starts here: until it has ended route() holds, and a disabled group, which is
/// chosen only for want of another, is activated after a delay so as not to hammer its controller.
void Multipath::enter_group(GroupNumber number) {
    current_group_ = number;
    const GroupNumber before = std::exchange(used_group_, number);
    if (before == number || before == 0) return;
    tell(Action::Kind::group_switched).group = number;
}

Result<void> Multipath::check(const Event& event) const {
    const auto known_path = [&]() -> Result<void> {
        if (event.path < path_count()) return {};
        return fail(
            fmt::format("no path number {}: the map has {} paths", event.path, path_count()),
            EINVAL);
    };
    const auto known_group = [&]() -> Result<void> {
        if (event.group >= 1 && event.group <= groups_.size()) return {};
        return fail(fmt::format("no priority group {}: the map has {}, numbered from 1",
                                event.group, groups_.size()),
                    EINVAL);
    };
    switch (event.kind) {
        case Event::Kind::checker_up:
        case Event::Kind::checker_down:
        case Event::Kind::path_stalled:
            return known_path();
        case Event::Kind::no_path_timer:
            return {};
        case Event::Kind::message:
            break;
    }
    switch (event.message) {
        case Message::fail_path:
        case Message::reinstate_path:
            return known_path();
        case Message::switch_group:
        case Message::disable_group:
        case Message::enable_group:
            return known_group();
        case Message::queue_if_no_path:
        case Message::fail_if_no_path:
            return {};
    }
    return fail("no such message", EINVAL);
}

void Multipath::handle(const Event& event, Instant now) {
    CHECK(check(event).has_value(), "events are checked before they are handled");
    switch (event.kind) {
        case Event::Kind::message:
            return handle_message(event, now);
        case Event::Kind::checker_up: {
            Path& path = path_of(event.path);
            // A sticky failure is an operator's word against the checker's.
            if (path.state == PathState::down && !path.sticky) reinstate_path(path);
            return;
        }
        case Event::Kind::checker_down:
            return fail_path(path_of(event.path), "check", event.reason, now);
        case Event::Kind::path_stalled:
            return fail_path(path_of(event.path), "stall", event.reason, now);
        case Event::Kind::no_path_timer:
            if (!no_path_deadline_) return;
            if (now >= *no_path_deadline_) return expire();
            // A timer from before the deadline moved; say again when it is wanted.
            tell(Action::Kind::arm_no_path_timer).deadline = *no_path_deadline_;
            return;
    }
}

void Multipath::handle_message(const Event& event, Instant now) {
    switch (event.message) {
        case Message::fail_path: {
            Path& path = path_of(event.path);
            fail_path(path, "operator", event.reason, now);
            path.sticky = path.sticky || event.sticky;
            return;
        }
        case Message::reinstate_path: {
            Path& path = path_of(event.path);
            if (path.state == PathState::down) reinstate_path(path);
            return;
        }
        case Message::switch_group:
            return switch_group(event.group);
        case Message::disable_group:
            return set_disabled(event.group, true);
        case Message::enable_group:
            return set_disabled(event.group, false);
        case Message::queue_if_no_path:
            return queue_if_no_path(now);
        case Message::fail_if_no_path:
            return fail_if_no_path();
    }
}

/// Only a request, obeyed by the next I/O that finds a path. Ends the disabling of every group.
void Multipath::switch_group(GroupNumber number) {
    for (Group& group : groups_) group.disabled = false;
    current_group_ = 0;
    requested_group_ = number;
}

/// Any such message, also one that changes nothing, makes the next I/O choose its group anew. It
/// does not take back a request for a group.
void Multipath::set_disabled(GroupNumber number, bool disabled) {
    groups_[number - 1].disabled = disabled;
    current_group_ = 0;
}

void Multipath::fail_path(Path& path, std::string_view failed_by, std::string reason, Instant now) {
    if (path.state == PathState::down) return;
    groups_[path.group - 1].selector->fail_path(path.place);
    path.state = PathState::down;
    ++path.fail_count;
    --valid_paths_;
    path.failed_by = failed_by;
    path.reason = std::move(reason);
    path.failed_at = now;
    Action& action = tell(Action::Kind::path_failed);
    action.path = path.id;
    action.group = path.group;
    action.reason = path.reason;
    if (valid_paths_ == 0) lose_last_path(now);
}

/// With a hardware handler a path that comes back into the group in use would be activated here.
void Multipath::reinstate_path(Path& path) {
    groups_[path.group - 1].selector->reinstate_path(path.place);
    path.state = PathState::up;
    path.sticky = false;
    ++valid_paths_;
    Action& action = tell(Action::Kind::path_reinstated);
    action.path = path.id;
    action.group = path.group;
    if (valid_paths_ == 1) find_first_path();
}

void Multipath::lose_last_path(Instant now) {
    tell(Action::Kind::no_paths_left);
    no_path_since_ = now;
    if (queue_) start_no_path_timer(now);
}

void Multipath::find_first_path() {
    expired_ = false;
    tell(Action::Kind::paths_back);
    disarm_no_path_timer();
    tell(Action::Kind::run_held);
}

/// I/O is held from now on, but no longer than no_path_timeout_ from no_path_since_.
void Multipath::start_no_path_timer(Instant now) {
    if (!no_path_timeout_) return;
    const Instant since = no_path_since_;
    const Instant deadline = *no_path_timeout_ < never - since ? since + *no_path_timeout_ : never;
    no_path_deadline_ = deadline;
    if (deadline <= now) return expire();
    tell(Action::Kind::arm_no_path_timer).deadline = deadline;
}

/// Queueing has run out. Unlike in the kernel it works again once a path has been back.
void Multipath::expire() {
    no_path_deadline_.reset();
    expired_ = true;
    tell(Action::Kind::fail_held).reason =
        fmt::format("no path for {}", format_duration(*no_path_timeout_));
}

void Multipath::disarm_no_path_timer() {
    if (!no_path_deadline_) return;
    no_path_deadline_.reset();
    tell(Action::Kind::disarm_no_path_timer);
}

void Multipath::queue_if_no_path(Instant now) {
    queue_ = true;
    expired_ = false;
    if (valid_paths_ > 0) return;
    no_path_since_ = now;
    start_no_path_timer(now);
}

void Multipath::fail_if_no_path() {
    const bool may_hold = valid_paths_ == 0 && queueing();
    queue_ = false;
    disarm_no_path_timer();
    if (may_hold) tell(Action::Kind::fail_held).reason = "fail_if_no_path";
}

Action& Multipath::tell(Action::Kind kind) {
    Action& action = actions_.emplace_back();
    action.kind = kind;
    action.valid_paths = valid_paths_;
    return action;
}

bool Multipath::take_action(Action& action) {
    action = std::move(actions_.front());
    actions_.pop_front();
    return true;
}

std::optional<PathId> Multipath::find_path(std::string_view name) const {
    for (PathId id = 0; id < order_.size(); ++id)
        if (entries_[order_[id]].name == name) return id;
    return std::nullopt;
}

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
                                .failed_by = std::string(path.failed_by),
                                .reason = path.reason,
                                .failed_at = path.failed_at});
    }
    for (GroupNumber number = 1; number <= groups_.size(); ++number) {
        const Group& group = groups_[number - 1];
        GroupStatus& shown = status.groups.emplace_back();
        shown.number = number;
        if (group.disabled)
            shown.state = GroupState::disabled;
        else if (number == current_group_)
            shown.state = GroupState::active;
        shown.selector = group.selector->name();
        for (uint32_t place = 0; place < group.path_count; ++place)
            shown.paths.push_back(group.first_path + place);
    }
    status.current_group = current_group_     ? current_group_
                           : requested_group_ ? requested_group_
                           : groups_.empty()  ? 0
                                              : 1;
    status.valid_paths = valid_paths_;
    status.queueing = queueing();
    status.no_path_expired = expired_;
    return status;
}

}  // namespace braidway::multipath
