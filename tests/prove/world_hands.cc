// SPDX-License-Identifier: Apache-2.0
// What a map does with requests and actions. A request is put in its place first, and the actions
// are obeyed then, so that a run_held finds what was held.
#include "prove/world.h"

namespace braidway::prove {

using multipath::Action;
using multipath::Event;
using multipath::PathId;
using multipath::PathState;
using multipath::Route;
using multipath::Verdict;

namespace {

constexpr uint64_t length_bytes = 1;

}  // namespace

void World::begin() {
    ++hands_.begun;
    Request& request = hands_.requests[hands_.live++];
    request = {.place = Place::in_hand, .ticket = {}};
    if (hands_.state != Running::running)
        place(request, Place::deferred, Told::deferred);
    else
        dispatch(request);
    drain_actions();
}

void World::place(Request& request, Place where, Told told) {
    must(request.place == Place::in_hand, "a request is put down that nobody holds");
    request.place = where;
    if (where == Place::deferred) request.ticket = {};
    see(told);
}

void World::finish(Request& request) {
    must(request.place == Place::in_hand, "a request is answered that nobody holds");
    request.place = Place::done;
    ++hands_.ended;
}

void World::dispatch(Request& request) {
    const Route route =
        brain_->route({.length_bytes = length_bytes}, hands_.now, request.ticket.attempts);
    if (config_->fault == Fault::drains_before_placing) drain_actions();
    switch (route.kind) {
        case Route::Kind::path: {
            const PathId path = route.ticket.path;
            must(brain_->path_state(path) == PathState::up, "I/O goes to a path that is down");
            must(!hands_.vetoed[path], "I/O goes to a vetoed path");
            must(hands_.state != Running::suspended, "I/O goes out of a suspended map");
            request.ticket = route.ticket;
            return place(request, Place::on_path, Told::sent);
        }
        case Route::Kind::hold:
            return place(request, Place::held, Told::held);
        case Route::Kind::fail:
            end_unsent(request);
            finish(request);
            return see(Told::failed);
        case Route::Kind::defer:
            end_unsent(request);
            return place(request, Place::deferred, Told::deferred);
    }
}

/// As MapDevice::end_unsent: only the kernel counts the end of a held request twice.
void World::end_unsent(Request& request) {
    if (!config_->strict || !config_->bio || request.ticket.attempts == 0) return;
    brain_->held_ended(request.ticket, hands_.now);
    ++hands_.ended_twice[request.ticket.path];
}

/// Classes of answers: ok; medium stands for all that are not the path's fault (natively also
/// invalid); transport for all path errors, with kernel_strict also invalid and device_resource;
/// resource stands for device_resource, too, natively.
void World::answer(Request& request, MoveKind kind) {
    IoStatus status = IoStatus::transport;
    if (kind == MoveKind::answer_ok) status = IoStatus::ok;
    if (kind == MoveKind::answer_medium) status = IoStatus::medium;
    if (kind == MoveKind::answer_resource) status = IoStatus::resource;
    request.place = Place::in_hand;
    const Verdict verdict =
        brain_->completed(request.ticket, status, hands_.now, kind == MoveKind::answer_unknown);
    must(verdict == Verdict::done || is_path_error(status), "only a path's error is tried again");
    must(verdict == Verdict::done || verdict == Verdict::fence || kind != MoveKind::answer_unknown,
         "what may still happen is sent again");
    obey(request, verdict);
    drain_actions();
    check_traffic();
}

void World::obey(Request& request, Verdict verdict) {
    switch (verdict) {
        case Verdict::done:
            finish(request);
            if (config_->fault == Fault::answers_twice && request.ticket.attempts > 1)
                ++hands_.ended;
            return see(Told::answered);
        case Verdict::retry:
            // Whatever the brain wants done comes before the next question.
            drain_actions();
            return dispatch(request);
        case Verdict::retry_later:
            return place(request, Place::delayed, Told::delayed);
        case Verdict::hold:
            return place(request, Place::held, Told::held);
        case Verdict::fence: {
            if (config_->fault == Fault::ignores_the_fence) return dispatch(request);
            const multipath::FencePolicy fence = config_->spec().fence;
            hands_.fence_ends[request.ticket.path] =
                hands_.now + fence.quiesce_time.value_or(fence.patience);
            return place(request, Place::fenced, Told::fenced);
        }
        case Verdict::defer:
            return place(request, Place::deferred, Told::deferred);
    }
}

void World::go_on(Request& request) {
    if (hands_.state == Running::suspended)
        place(request, Place::deferred, Told::deferred);
    else
        dispatch(request);
}

// --- the brain's wishes -------------------------------------------------------------------------

void World::drain_actions() {
    // Requests that run again ask the brain again; what it wants then is done by the outer call.
    if (draining_) return;
    draining_ = true;
    for (Action action; brain_->next_action(action);) {
        told_ |= 1U << static_cast<unsigned>(action.kind);
        obey_action(action);
    }
    draining_ = false;
}

void World::obey_action(const Action& action) {
    switch (action.kind) {
        case Action::Kind::path_failed:
            hands_.up[action.path] = false;
            return;
        case Action::Kind::path_reinstated:
            hands_.up[action.path] = true;
            return;
        case Action::Kind::no_paths_left:
            return must(action.valid_paths == 0, "no_paths_left is told with a path up");
        case Action::Kind::paths_back:
            return must(action.valid_paths > 0, "paths_back is told without a path");
        case Action::Kind::group_switched:
        case Action::Kind::activation_failed:
            return;
        case Action::Kind::run_held:
            return run_held();
        case Action::Kind::fail_held:
            return fail_held();
        case Action::Kind::defer_held:
            return defer_held();
        case Action::Kind::activate_path:
            return activate(action.path);
        case Action::Kind::release_fenced:
            return release_fenced(action.entry, action.resend);
        case Action::Kind::suspended:
            hands_.state = Running::suspended;
            return;
        case Action::Kind::resumed:
            hands_.state = Running::running;
            hands_.noflush = false;
            return take_deferred();
        case Action::Kind::arm_no_path_timer:
            if (config_->fault == Fault::forgets_the_timer) return;
            hands_.no_path_timer = action.deadline;
            return;
        case Action::Kind::arm_activation_timer:
            hands_.activation_timer = action.deadline;
            return;
        case Action::Kind::arm_fence_timer:
            hands_.fence_timer = action.deadline;
            return;
        case Action::Kind::disarm_no_path_timer:
            hands_.no_path_timer.reset();
            return;
    }
}

void World::activate(PathId path) {
    ++hands_.activations[path];
    if (config_->fault != Fault::drains_before_placing) return;
    --hands_.activations[path];
    brain_->handle({.kind = Event::Kind::path_activated,
                    .path = path,
                    .result = multipath::HandlerResult::no_handler,
                    .reason = {}},
                   hands_.now);
}

void World::run_held() {
    if (config_->fault == Fault::ignores_run_held) return;
    count_orders(Place::held);
    std::array<bool, world_requests_max> waits{};
    uint32_t left = 0;
    for (uint32_t index = 0; index < hands_.live; ++index) {
        waits[index] = hands_.requests[index].place == Place::held;
        left += waits[index];
    }
    for (uint32_t index = 0; index < hands_.live; ++index) {
        Request& request = hands_.requests[index];
        if (!waits[index]) continue;
        request.place = Place::in_hand;
        if (--left == 0 && config_->fault == Fault::loses_held_requests) {
            request.place = Place::done;
            continue;
        }
        go_on(request);
    }
    check_traffic();
}

void World::fail_held() {
    if (count(Place::held) > 0) {
        const auto asked = brain_->clone();
        must(asked->route({.length_bytes = length_bytes}, hands_.now).kind == Route::Kind::fail,
             "fail_held is told while a new request would not fail");
    }
    for (uint32_t index = 0; index < hands_.live; ++index) {
        Request& request = hands_.requests[index];
        if (request.place != Place::held) continue;
        request.place = Place::in_hand;
        end_unsent(request);
        finish(request);
        see(Told::failed);
    }
    check_traffic();
}

void World::defer_held() {
    for (uint32_t index = 0; index < hands_.live; ++index) {
        Request& request = hands_.requests[index];
        if (request.place != Place::held && request.place != Place::delayed) continue;
        request.place = Place::in_hand;
        place(request, Place::deferred, Told::deferred);
    }
}

void World::release_fenced(uint32_t entry, bool resend) {
    count_orders(Place::fenced);
    for (uint32_t index = 0; index < hands_.live; ++index) {
        Request& request = hands_.requests[index];
        if (request.place != Place::fenced || request.ticket.entry != entry) continue;
        request.place = Place::in_hand;
        if (resend) {
            go_on(request);
            continue;
        }
        finish(request);
        see(Told::answered);
    }
    check_traffic();
}

void World::take_deferred() {
    for (uint32_t index = 0; index < hands_.live; ++index) {
        Request& request = hands_.requests[index];
        if (request.place != Place::deferred) continue;
        request.place = Place::in_hand;
        dispatch(request);
    }
}

/// As MapDevice::check_traffic.
void World::check_traffic() {
    if (hands_.state != Running::suspending || count(Place::on_path) > 0) return;
    const bool waiting = count(Place::held) + count(Place::delayed) + count(Place::fenced) > 0;
    if (waiting && !hands_.noflush) return;
    brain_->handle({.kind = Event::Kind::no_traffic, .reason = {}}, hands_.now);
    drain_actions();
}

}  // namespace braidway::prove
