// SPDX-License-Identifier: Apache-2.0
#include "multipath/multipath.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace braidway::multipath {

Multipath::~Multipath() = default;

std::unique_ptr<Multipath> Multipath::clone() const {
    return std::unique_ptr<Multipath>(new Multipath(*this));
}

Route Multipath::route(const IoShape& io, Instant now, uint32_t attempts) {
    for (;;) {
        // While the group in use is being activated its first choice stands.
        const PathId id =
            initialising_ && current_path_ != no_path ? current_path_ : choose(io, now);
        if (id == no_path) return without_path();
        if (initialising_ || init_required_) [[unlikely]] {
            start_activations(now);
            // The kernel's request mode stops its queue for a suspension and leaves them there.
            const bool defer = strict_ && !bio_ && suspension_ == Suspension::suspending;
            return {.kind = defer ? Route::Kind::defer : Route::Kind::hold, .ticket = {}};
        }
        const uint32_t entry = order_[id];
        Path& path = entries_[entry];
        if (path.vetoed) [[unlikely]] {
            fail_path(path, "handler", path.reason, now);
            continue;
        }
        ++path.in_flight;
        path.in_flight_bytes += io.length_bytes;
        groups_[path.group - 1].selector->started(path.place, io.length_bytes, now);
        return {.kind = Route::Kind::path,
                .ticket = {.path = id,
                           .entry = entry,
                           .generation = path.generation,
                           .attempts = attempts + 1,
                           .length_bytes = io.length_bytes,
                           .started_at = now}};
    }
}

/// A requested group stays requested until there is something to choose from.
Route Multipath::without_path() {
    initialising_ = false;
    leave_group();
    if (defers()) return {.kind = Route::Kind::defer, .ticket = {}};
    if (queueing()) return {.kind = Route::Kind::hold, .ticket = {}};
    return {.kind = Route::Kind::fail, .ticket = {}};
}

Verdict Multipath::completed(const Ticket& ticket, IoStatus status, Instant now,
                             bool may_still_happen) {
    Path& path = take_back(ticket, now);
    const Verdict verdict =
        is_failure(status) ? failed(path, ticket, status, now, may_still_happen) : Verdict::done;
    if (path.removed && path.in_flight == 0 && path.fenced == 0) [[unlikely]]
        free_entries_.push_back(ticket.entry);
    return verdict;
}

/// The path is to blame for how the request ended.
Verdict Multipath::failed(Path& path, const Ticket& ticket, IoStatus status, Instant now,
                          bool may_still_happen) {
    if (!path.removed && path.state == PathState::up)
        fail_path(path, "I/O error", std::string(io_status_name(status)), now);
    // The kernel would go on for ever: a request that every path refuses, while each of them passes
    // its checks, would fail and reinstate the whole map in turn.
    if (!strict_ && ticket.attempts >= attempts_max_) return Verdict::done;
    if (!strict_ && may_still_happen) return fence(path, now);
    if (valid_paths_ > 0) {
        const bool later =
            status == IoStatus::resource || (!strict_ && status == IoStatus::device_resource);
        return later && !(strict_ && bio_) ? Verdict::retry_later : Verdict::retry;
    }
    if (defers()) return Verdict::defer;
    if (queueing()) {
        // As if the request had been routed again, and found no path.
        without_path();
        return Verdict::hold;
    }
    return Verdict::done;
}

IoStatus Multipath::answer_for(IoStatus status) const {
    return strict_ && bio_ && is_failure(status) ? IoStatus::io : status;
}

bool Multipath::is_failure(IoStatus status) const {
    return is_path_error(status) || (strict_ && status == IoStatus::invalid);
}

void Multipath::held_ended(const Ticket& ticket, Instant now) {
    if (!strict_ || !bio_ || ticket.attempts == 0) return;
    const Path& path = entries_[ticket.entry];
    if (path.generation != ticket.generation || path.removed) return;
    groups_[path.group - 1].selector->ended(path.place, ticket.length_bytes, ticket.started_at,
                                            now);
}

Multipath::Path& Multipath::take_back(const Ticket& ticket, Instant now) {
    CHECK(ticket.entry < entries_.size(), "a ticket comes back to the map that gave it");
    Path& path = entries_[ticket.entry];
    CHECK(ticket.generation == path.generation && path.in_flight > 0,
          "a ticket comes back exactly once");
    --path.in_flight;
    path.in_flight_bytes -= ticket.length_bytes;
    if (!path.removed) [[likely]]
        groups_[path.group - 1].selector->ended(path.place, ticket.length_bytes, ticket.started_at,
                                                now);
    return path;
}

PathId Multipath::choose(const IoShape& io, Instant now) {
    if (valid_paths_ == 0) return no_path;
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
            if (id == no_path) continue;
            // Chosen only for want of another: its controller is not to be hammered.
            if (disabled) delay_init_ = true;
            return id;
        }
    }
    CHECK(false, "a path that is up is in a group whose selector offers it");
    return no_path;
}

PathId Multipath::choose_in(GroupNumber number, const IoShape& io, Instant now) {
    const Group& group = groups_[number - 1];
    const std::optional<Selector::Index> place = group.selector->pick(io, now);
    if (!place) return no_path;
    const PathId id = group.first_path + *place;
    if (number != current_group_) enter_group(number, id);
    return id;
}

/// The one place where another group comes into use. With a hardware handler its paths are to be
/// activated first; until that has ended route() holds.
void Multipath::enter_group(GroupNumber number, PathId path) {
    current_group_ = number;
    current_path_ = path;
    init_required_ = initialising_ = !handler_.empty();
    init_count_ = 0;
    // The kernel lets a delay that was meant for another group stand.
    if (!strict_) delay_init_ = false;
    const GroupNumber before = std::exchange(used_group_, number);
    if (before == number || before == 0) return;
    tell(Action::Kind::group_switched).group = number;
}

void Multipath::leave_group() {
    current_group_ = 0;
    current_path_ = no_path;
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
        case Event::Kind::path_activated:
        case Event::Kind::path_admitted:
        case Event::Kind::path_vetoed:
        case Event::Kind::path_quiesced:
            return known_path();
        case Event::Kind::no_path_timer:
        case Event::Kind::activation_timer:
        case Event::Kind::fence_timer:
        case Event::Kind::no_traffic:
            return {};
        case Event::Kind::suspend:
            if (suspended()) return fail("the map is suspended already", EBUSY);
            return {};
        case Event::Kind::resume:
            if (suspension_ == Suspension::suspending)
                return fail("the map is still being suspended", EBUSY);
            return {};
        case Event::Kind::message:
            if (suspended()) return fail("the map is suspended", EBUSY);
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
        case Event::Kind::message: {
            // However many paths and groups a message changes, it raises one event.
            const uint32_t before = events_;
            handle_message(event, now);
            if (events_ != before) events_ = before + 1;
            return;
        }
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
        case Event::Kind::path_activated:
            return path_activated(path_of(event.path), event.result, event.reason, now);
        case Event::Kind::path_admitted:
            path_of(event.path).vetoed = false;
            return;
        case Event::Kind::path_vetoed:
            path_of(event.path).vetoed = true;
            path_of(event.path).reason = event.reason;
            return;
        case Event::Kind::activation_timer:
            return run_waiting_activations(now);
        case Event::Kind::path_quiesced: {
            const uint32_t entry = order_[event.path];
            return release_fenced(entries_[entry], entry, true);
        }
        case Event::Kind::fence_timer:
            return fence_timer(now);
        case Event::Kind::suspend:
            return suspend(event.noflush);
        case Event::Kind::no_traffic:
            if (suspension_ == Suspension::suspending) end_suspending();
            return;
        case Event::Kind::resume:
            return resume(now);
    }
}

void Multipath::handle_message(const Event& event, Instant now) {
    const auto each_entry_of_path = [&](auto&& act) {
        const std::string& name = path_of(event.path).name;
        for (const uint32_t entry : order_)
            if (entries_[entry].name == name) act(entries_[entry]);
    };
    switch (event.message) {
        case Message::fail_path:
            return each_entry_of_path([&](Path& path) {
                fail_path(path, "operator", event.reason, now);
                path.sticky = path.sticky || event.sticky;
            });
        case Message::reinstate_path:
            return each_entry_of_path([&](Path& path) {
                if (path.state == PathState::down) reinstate_path(path);
            });
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
    leave_group();
    requested_group_ = number;
    ++events_;
}

/// Any such message, also one that changes nothing, makes the next I/O choose its group anew. It
/// does not take back a request for a group.
void Multipath::set_disabled(GroupNumber number, bool disabled) {
    groups_[number - 1].disabled = disabled;
    leave_group();
    ++events_;
}

void Multipath::fail_path(Path& path, std::string_view failed_by, std::string reason, Instant now) {
    if (path.state == PathState::down) return;
    groups_[path.group - 1].selector->fail_path(path.place);
    path.state = PathState::down;
    ++path.fail_count;
    --valid_paths_;
    if (path.id == current_path_) current_path_ = no_path;
    ++events_;
    path.failed_by = failed_by;
    path.reason = std::move(reason);
    path.failed_at = now;
    Action& action = tell(Action::Kind::path_failed);
    action.path = path.id;
    action.group = path.group;
    action.reason = path.reason;
    if (valid_paths_ == 0) lose_last_path(now);
}

void Multipath::reinstate_path(Path& path) {
    groups_[path.group - 1].selector->reinstate_path(path.place);
    path.state = PathState::up;
    path.sticky = false;
    ++valid_paths_;
    ++events_;
    Action& action = tell(Action::Kind::path_reinstated);
    action.path = path.id;
    action.group = path.group;
    if (valid_paths_ == 1) {
        current_path_ = no_path;
        find_first_path();
    } else if (!handler_.empty() && path.group == current_group_) {
        activate_alone(path);
    }
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

}  // namespace braidway::multipath
