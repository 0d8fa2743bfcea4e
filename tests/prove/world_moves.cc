// SPDX-License-Identifier: Apache-2.0
// What can happen to a world, and how it is put to the brain.
#include "base/check.h"
#include "prove/world.h"

namespace braidway::prove {

using multipath::Event;
using multipath::GroupNumber;
using multipath::HandlerResult;
using multipath::Message;
using multipath::PathId;

namespace {

/// The message that `kind` is, if it is one.
std::optional<Message> message_of(MoveKind kind) {
    switch (kind) {
        case MoveKind::fail_path:
        case MoveKind::fail_path_sticky:
            return Message::fail_path;
        case MoveKind::reinstate_path:
            return Message::reinstate_path;
        case MoveKind::switch_group:
            return Message::switch_group;
        case MoveKind::disable_group:
            return Message::disable_group;
        case MoveKind::enable_group:
            return Message::enable_group;
        case MoveKind::queue_if_no_path:
            return Message::queue_if_no_path;
        case MoveKind::fail_if_no_path:
            return Message::fail_if_no_path;
        default:
            return std::nullopt;
    }
}

/// Classes of answers of a handler: ok; device_busy; retry; retry_now stands for
/// resources_unavailable; io stands for no_handler, device_failed, device_unsupported,
/// not_connected, connection_failure, invalid_io, timed_out, device_offlined and no_memory.
std::optional<HandlerResult> result_of(MoveKind kind) {
    switch (kind) {
        case MoveKind::activated_ok:
            return HandlerResult::ok;
        case MoveKind::activated_busy:
            return HandlerResult::device_busy;
        case MoveKind::activated_retry:
            return HandlerResult::retry;
        case MoveKind::activated_retry_now:
            return HandlerResult::retry_now;
        case MoveKind::activated_failed:
            return HandlerResult::io;
        default:
            return std::nullopt;
    }
}

/// What is neither a message nor an answer of the handler.
Event::Kind event_kind_of(MoveKind kind) {
    switch (kind) {
        case MoveKind::checker_up:
            return Event::Kind::checker_up;
        case MoveKind::checker_down:
            return Event::Kind::checker_down;
        case MoveKind::path_stalled:
            return Event::Kind::path_stalled;
        case MoveKind::path_admitted:
            return Event::Kind::path_admitted;
        case MoveKind::path_vetoed:
            return Event::Kind::path_vetoed;
        case MoveKind::path_quiesced:
            return Event::Kind::path_quiesced;
        case MoveKind::no_path_timer:
        case MoveKind::no_path_timer_early:
            return Event::Kind::no_path_timer;
        case MoveKind::activation_timer:
        case MoveKind::activation_timer_early:
            return Event::Kind::activation_timer;
        case MoveKind::fence_timer:
        case MoveKind::fence_timer_early:
            return Event::Kind::fence_timer;
        case MoveKind::suspend_flush:
        case MoveKind::suspend_noflush:
            return Event::Kind::suspend;
        case MoveKind::no_traffic:
            return Event::Kind::no_traffic;
        case MoveKind::resume:
            return Event::Kind::resume;
        default:
            CHECK(false, "what happens to requests is no event");
    }
    return Event::Kind::resume;
}

}  // namespace

void World::append_moves(std::vector<Move>& moves) const {
    append_request_moves(moves);
    append_path_moves(moves);
    const auto add = [&](MoveKind kind, uint32_t target = 0) {
        const Move move{kind, static_cast<uint8_t>(target), 0};
        if (allowed(kind) && brain_->check(event_of(move))) moves.push_back(move);
    };
    for (GroupNumber group = 1; group <= config_->groups; ++group) {
        add(MoveKind::switch_group, group);
        add(MoveKind::disable_group, group);
        add(MoveKind::enable_group, group);
    }
    add(MoveKind::queue_if_no_path);
    add(MoveKind::fail_if_no_path);
    append_timer_moves(moves);
    add(MoveKind::suspend_flush);
    add(MoveKind::suspend_noflush);
    add(MoveKind::resume);
    if (allowed(MoveKind::no_traffic) && hands_.state == Running::suspending &&
        count(Place::on_path) == 0 && (hands_.noflush || hands_.live == count(Place::deferred)))
        moves.push_back({MoveKind::no_traffic});
}

void World::append_request_moves(std::vector<Move>& moves) const {
    if (hands_.live < config_->requests) moves.push_back({MoveKind::begin});
    const auto add = [&](MoveKind kind, uint32_t request) {
        if (allowed(kind)) moves.push_back({kind, static_cast<uint8_t>(request), 0});
    };
    for (uint32_t index = 0; index < hands_.live; ++index) {
        const Request& request = hands_.requests[index];
        // They stand by class: of those that are alike the first will do.
        if (index > 0 && class_of(request) == class_of(hands_.requests[index - 1])) continue;
        if (request.place == Place::delayed) add(MoveKind::send_delayed, index);
        if (request.place != Place::on_path) continue;
        add(MoveKind::answer_ok, index);
        add(MoveKind::answer_medium, index);
        add(MoveKind::answer_path, index);
        add(MoveKind::answer_resource, index);
        if (!config_->strict) add(MoveKind::answer_unknown, index);
    }
}

void World::append_path_moves(std::vector<Move>& moves) const {
    for (PathId path = 0; path < config_->path_count(); ++path) {
        const auto add = [&](MoveKind kind) {
            const Move move{kind, static_cast<uint8_t>(path), 0};
            if (allowed(kind) && brain_->check(event_of(move))) moves.push_back(move);
        };
        add(MoveKind::fail_path);
        add(MoveKind::fail_path_sticky);
        add(MoveKind::reinstate_path);
        add(MoveKind::checker_up);
        add(MoveKind::checker_down);
        add(MoveKind::path_stalled);
        add(MoveKind::path_quiesced);
        if (!config_->handler) continue;
        add(MoveKind::path_admitted);
        add(MoveKind::path_vetoed);
        // An answer that nobody waits for does nothing.
        add(MoveKind::activated_ok);
        if (hands_.activations[path] == 0) continue;
        add(MoveKind::activated_busy);
        add(MoveKind::activated_retry);
        add(MoveKind::activated_retry_now);
        add(MoveKind::activated_failed);
    }
}

/// A timer that nobody armed goes off, too: it may have been on its way when it was disarmed.
void World::append_timer_moves(std::vector<Move>& moves) const {
    const auto add = [&](MoveKind kind) {
        if (allowed(kind)) moves.push_back({kind});
    };
    add(MoveKind::no_path_timer);
    if (hands_.no_path_timer) add(MoveKind::no_path_timer_early);
    if (config_->handler) add(MoveKind::activation_timer);
    if (hands_.activation_timer) add(MoveKind::activation_timer_early);
    add(MoveKind::fence_timer);
    if (hands_.fence_timer) add(MoveKind::fence_timer_early);
}

Instant World::time_of(MoveKind kind) const {
    // Nothing ever armed is as late as this, and it is not "never".
    constexpr Instant long_after{INT64_MAX / 2};
    switch (kind) {
        case MoveKind::no_path_timer:
            return hands_.no_path_timer.value_or(long_after);
        case MoveKind::activation_timer:
            return hands_.activation_timer.value_or(long_after);
        case MoveKind::fence_timer:
            return hands_.fence_timer.value_or(long_after);
        case MoveKind::no_path_timer_early:
            return *hands_.no_path_timer - Duration(1);
        case MoveKind::activation_timer_early:
            return *hands_.activation_timer - Duration(1);
        case MoveKind::fence_timer_early:
            return *hands_.fence_timer - Duration(1);
        default:
            return hands_.now;
    }
}

Event World::event_of(Move move) const {
    Event event;
    event.path = event.group = move.target;
    event.sticky = move.kind == MoveKind::fail_path_sticky;
    event.noflush = move.kind == MoveKind::suspend_noflush;
    if (const auto message = message_of(move.kind)) {
        event.message = *message;
    } else if (const auto result = result_of(move.kind)) {
        event.kind = Event::Kind::path_activated;
        event.result = *result;
    } else {
        event.kind = event_kind_of(move.kind);
    }
    return event;
}

Happening World::happening(Move move) const {
    Happening seen{.kind = move.kind};
    switch (target_of(move.kind)) {
        case Target::none:
            return seen;
        case Target::group:
            seen.group = move.target;
            return seen;
        case Target::path:
            seen.path = move.target;
            break;
        case Target::request:
            seen.path = hands_.requests[move.target].ticket.path;
            break;
    }
    seen.group = seen.path / config_->paths + 1;
    return seen;
}

void World::happen(Move move) {
    Request& target = hands_.requests[move.target % world_requests_max];
    switch (move.kind) {
        case MoveKind::begin:
            return begin();
        case MoveKind::answer_ok:
        case MoveKind::answer_medium:
        case MoveKind::answer_path:
        case MoveKind::answer_resource:
        case MoveKind::answer_unknown:
            put_in_order(move.order);
            return answer(target, move.kind);
        case MoveKind::send_delayed: {
            target.place = Place::in_hand;
            put_in_order(move.order);
            go_on(target);
            drain_actions();
            return check_traffic();
        }
        default:
            put_in_order(move.order);
            return tell_brain(move);
    }
}

void World::tell_brain(Move move) {
    const Instant now = time_of(move.kind);
    const multipath::Event event = event_of(move);
    const PathId path = move.target;
    switch (event.kind) {
        case Event::Kind::no_path_timer:
            hands_.no_path_timer.reset();
            break;
        case Event::Kind::activation_timer:
            hands_.activation_timer.reset();
            break;
        case Event::Kind::fence_timer:
            hands_.fence_timer.reset();
            break;
        case Event::Kind::path_activated:
            if (hands_.activations[path] > 0) --hands_.activations[path];
            break;
        case Event::Kind::path_admitted:
            hands_.vetoed[path] = false;
            break;
        case Event::Kind::path_vetoed:
            hands_.vetoed[path] = true;
            break;
        case Event::Kind::suspend:
            hands_.state = Running::suspending;
            hands_.noflush = event.noflush;
            break;
        default:
            break;
    }
    brain_->handle(event, now);
    drain_actions();
    if (event.kind == Event::Kind::suspend) check_traffic();
}

}  // namespace braidway::prove
