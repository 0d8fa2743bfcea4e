// SPDX-License-Identifier: Apache-2.0
#include "map/map_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "loop/loop.h"
#include "map/frame_words.h"

namespace braidway::map {

using multipath::Action;
using multipath::Route;
using multipath::Ticket;
using multipath::Verdict;

namespace {

/// Sends the brain an event when a timer goes off.
template <multipath::Event::Kind kind>
void fire(loop::Timer& timer, Instant) {
    static_cast<MapDevice*>(timer.owner)->timer_went_off(kind);
}

}  // namespace

Result<std::unique_ptr<MapDevice>> MapDevice::create(loop::Loop& loop, MapConfig config,
                                                     std::vector<Member> members,
                                                     MapObserver& observer) {
    auto brain = multipath::Multipath::create(config.table, loop.now());
    if (!brain) return fail(fmt::format("map {}: {}", config.name, brain.error().message));
    return std::unique_ptr<MapDevice>(
        new MapDevice(loop, std::move(config), std::move(members), observer, std::move(*brain)));
}

MapDevice::MapDevice(loop::Loop& loop, MapConfig config, std::vector<Member> members,
                     MapObserver& observer, std::unique_ptr<multipath::Multipath> brain)
    : loop_(loop),
      config_(std::move(config)),
      members_(std::move(members)),
      observer_(observer),
      brain_(std::move(brain)),
      writes_(members_.size()) {
    no_path_timer_.fire = fire<multipath::Event::Kind::no_path_timer>;
    activation_timer_.fire = fire<multipath::Event::Kind::activation_timer>;
    fence_timer_.fire = fire<multipath::Event::Kind::fence_timer>;
    delay_timer_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<MapDevice*>(timer.owner)->send_delayed(now);
    };
    no_path_timer_.owner = activation_timer_.owner = fence_timer_.owner = delay_timer_.owner = this;
    run_operation_.owner = this;
    run_operation_.done = [](loop::Operation& operation, int32_t) {
        static_cast<MapDevice*>(operation.owner)->run_next_held();
    };
    attach_members();
    take_actions();
}

MapDevice::~MapDevice() {
    CHECK(counters_.in_flight == 0, "a map goes only when no request is on it");
    for (loop::Timer* timer : {&no_path_timer_, &activation_timer_, &fence_timer_, &delay_timer_})
        loop_.disarm(*timer);
    for (const Member& member : members_) member.path->set_stall_listener(nullptr, 0);
}

void MapDevice::attach_members() {
    CHECK(members_.size() == brain_->path_count(), "one member for each path of the table");
    one_store_ = true;
    for (size_t index = 0; index < members_.size(); ++index) {
        members_[index].path->set_stall_listener(this, index);
        one_store_ = one_store_ && members_[index].store == members_[0].store;
    }
}

void MapDevice::begin(block::Request& request) {
    ++counters_.in_flight;
    block::Frame& frame = request.push(*this);
    frame.words[sequence_and_mode] = next_sequence_++ << sequence_shift;
    frame.words[generation_and_attempts] = 0;
    if (shutting_down_) {
        answer_soon(request, IoStatus::shutdown);
    } else if (state_ != State::running) {
        defer(request);
    } else {
        start(request);
    }
}

void MapDevice::start(block::Request& request) {
    block::Frame& frame = request.top();
    if (request.op == IoOp::flush && (!one_store_ || unflushed_lost_)) {
        frame.words[sequence_and_mode] |= flush_walk;
        frame.words[flush_at] = 0;
        flush_step(request);
    } else {
        dispatch(request, 0);
    }
}

void MapDevice::dispatch(block::Request& request, uint32_t attempts) {
    IoShape shape = request.shape();
    shape.cpu = loop_.cpu();
    const Route route = brain_->route(shape, loop_.now(), attempts);
    switch (route.kind) {
        case Route::Kind::path:
            take_actions();
            if (attempts != 0) ++counters_.retries;
            pack(request.top().words, route.ticket);
            mark_table(request);
            ++on_paths_;
            members_[route.ticket.path].path->submit(request);
            return;
        case Route::Kind::hold:
            hold(request);
            break;
        case Route::Kind::fail:
            end_unsent(request);
            answer_soon(request, route.status);
            break;
        case Route::Kind::defer:
            end_unsent(request);
            defer(request);
            break;
    }
    // Only now: an action may be to run what is held, this request included.
    take_actions();
}

void MapDevice::completed(block::Request& request) {
    block::Frame& frame = request.top();
    const IoStatus status = request.status();
    --on_paths_;
    if ((frame.words[sequence_and_mode] & flush_walk) != 0) {
        if (flush_step_ended(request, status)) flush_step(request);
    } else {
        const bool lost = request.outcome_unknown && changes_data(request.op);
        const Ticket ticket = unpack(frame.words, request.length_bytes);
        const Verdict verdict = brain_->completed(ticket, status, loop_.now(), lost);
        if (status == IoStatus::ok && changes_data(request.op)) note_write(request);
        // A request that waits does so before the actions: one may be to run what is held.
        const bool waits = verdict != Verdict::done && verdict != Verdict::retry;
        if (!waits) take_actions();
        obey(request, verdict);
        if (waits) take_actions();
    }
    check_traffic();
}

void MapDevice::obey(block::Request& request, Verdict verdict) {
    const IoStatus status = request.status();
    // A read without memory of its own cannot be sent again.
    if (verdict == Verdict::done || (request.outcome_unknown && !changes_data(request.op)))
        return answer(request, brain_->answer_for(status));
    if (shutting_down_) return answer(request, IoStatus::shutdown);
    switch (verdict) {
        case Verdict::done:
            return;
        case Verdict::retry:
            return dispatch(request, attempts_of(request.top().words));
        case Verdict::retry_later:
            return retry_later(request);
        case Verdict::hold:
            return hold(request);
        case Verdict::fence:
            return fence(request);
        case Verdict::defer:
            return defer(request);
    }
}

void MapDevice::answer_soon(block::Request& request, IoStatus status) {
    --counters_.in_flight;
    if (status != IoStatus::ok) ++counters_.answered_errors;
    request.pop();
    block::finish_soon(loop_, request, status);
}

void MapDevice::answer(block::Request& request, IoStatus status) {
    --counters_.in_flight;
    if (status != IoStatus::ok) ++counters_.answered_errors;
    request.pop();
    request.finish(status);
}

// --- the brain's wishes -----------------------------------------------------------------------

void MapDevice::take_actions() {
    // Held requests that run again ask the brain again; what it wants then is taken by the outer
    // call, in order.
    if (taking_actions_) return;
    taking_actions_ = true;
    Action action;
    while (brain_->next_action(action)) {
        switch (action.kind) {
            case Action::Kind::path_failed:
                if (listener_ != nullptr) listener_->path_failed(action.path);
                break;
            case Action::Kind::path_reinstated:
            case Action::Kind::group_switched:
            case Action::Kind::no_paths_left:
            case Action::Kind::paths_back:
            case Action::Kind::activation_failed:
                break;
            case Action::Kind::run_held:
                run_held();
                continue;
            case Action::Kind::fail_held:
                fail_held(IoStatus::io);
                break;
            case Action::Kind::defer_held:
                defer_held();
                continue;
            case Action::Kind::activate_path:
                activate(action.path);
                continue;
            case Action::Kind::release_fenced:
                release_fenced(action.entry, action.resend);
                break;
            case Action::Kind::suspended:
                state_ = State::suspended;
                break;
            case Action::Kind::resumed:
                state_ = State::running;
                take_deferred();
                break;
            case Action::Kind::arm_no_path_timer:
                loop_.arm(no_path_timer_, action.deadline);
                continue;
            case Action::Kind::arm_activation_timer:
                loop_.arm(activation_timer_, action.deadline);
                continue;
            case Action::Kind::arm_fence_timer:
                loop_.arm(fence_timer_, action.deadline);
                continue;
            case Action::Kind::disarm_no_path_timer:
                loop_.disarm(no_path_timer_);
                continue;
        }
        observer_.map_event(
            config_.name, action,
            action.path < members_.size() ? members_[action.path].path->name() : std::string());
    }
    taking_actions_ = false;
    if (resume_when_suspended_ && state_ == State::suspended) {
        resume_when_suspended_ = false;
        CHECK(resume().has_value(), "a suspended map can be resumed");
    }
}

/// Without an activator nobody can answer: the device has no handler.
void MapDevice::activate(uint32_t path) {
    if (activator_ != nullptr)
        activator_->activate(path);
    else
        path_activated(path, multipath::HandlerResult::no_handler, "no driver for the handler");
}

void MapDevice::timer_went_off(multipath::Event::Kind kind) {
    tell_brain({.kind = kind, .reason = {}});
}

void MapDevice::tell_brain(const multipath::Event& event) {
    brain_->handle(event, loop_.now());
    take_actions();
}

Result<void> MapDevice::handle(const multipath::Event& event) {
    if (auto accepted = brain_->check(event); !accepted) return accepted;
    brain_->handle(event, loop_.now());
    take_actions();
    return {};
}

void MapDevice::path_checked(uint32_t path, bool good, const std::string& reason) {
    if (path >= members_.size()) return;
    tell_brain(
        {.kind = good ? multipath::Event::Kind::checker_up : multipath::Event::Kind::checker_down,
         .path = path,
         .reason = reason});
}

void MapDevice::path_activated(uint32_t path, multipath::HandlerResult result,
                               const std::string& reason) {
    if (path >= members_.size()) return;
    tell_brain({.kind = multipath::Event::Kind::path_activated,
                .path = path,
                .result = result,
                .reason = reason});
}

void MapDevice::path_admitted(uint32_t path, bool admitted, const std::string& reason) {
    if (path >= members_.size()) return;
    tell_brain({.kind = admitted ? multipath::Event::Kind::path_admitted
                                 : multipath::Event::Kind::path_vetoed,
                .path = path,
                .reason = reason});
}

void MapDevice::path_stalled(size_t path_index, Duration waited) {
    tell_brain({.kind = multipath::Event::Kind::path_stalled,
                .path = static_cast<uint32_t>(path_index),
                .reason = fmt::format("no answer for {}", format_duration(waited))});
}

void MapDevice::path_settled(size_t path_index) {
    tell_brain({.kind = multipath::Event::Kind::path_quiesced,
                .path = static_cast<uint32_t>(path_index),
                .reason = {}});
}

// --- changes ----------------------------------------------------------------------------------

Result<void> MapDevice::replace(MapConfig config, std::vector<Member> members) {
    if (auto taken = brain_->replace(config.table, loop_.now()); !taken) return taken;
    config.geometry = config_.geometry;
    install(std::move(config), std::move(members));
    take_actions();
    update_gate();
    check_traffic();
    return {};
}

/// The brain has the table; the members and what they have to flush follow.
void MapDevice::install(MapConfig config, std::vector<Member> members) {
    std::vector<Writes> writes(members.size());
    std::vector<uint64_t> former_stores;
    for (size_t old = 0; old < members_.size(); ++old) {
        former_stores.push_back(members_[old].store);
        const auto kept = std::find_if(members.begin(), members.end(), [&](const Member& member) {
            return member.path == members_[old].path;
        });
        if (kept != members.end()) {
            writes[static_cast<size_t>(kept - members.begin())] = writes_[old];
            continue;
        }
        members_[old].path->set_stall_listener(nullptr, 0);
        if (!unflushed(old)) continue;
        const auto same_store =
            std::find_if(members.begin(), members.end(),
                         [&](const Member& member) { return member.store == members_[old].store; });
        if (same_store != members.end())
            writes[static_cast<size_t>(same_store - members.begin())].last = writes_noted_;
        else
            unflushed_lost_ = true;
    }
    config_ = std::move(config);
    members_ = std::move(members);
    writes_ = std::move(writes);
    former_stores_ = std::move(former_stores);
    ++table_version_;
    attach_members();
    if (activator_ != nullptr) activator_->table_changed();
}

void MapDevice::set_store(uint32_t path, uint64_t store) {
    members_[path].store = store;
    attach_members();
}

void MapDevice::shut_down() {
    shutting_down_ = true;
    shut_down_held();
}

void MapDevice::shut_down_held() {
    counters_.fenced = counters_.deferred = 0;
    fail_held(IoStatus::shutdown);
    for (auto* list : {&delayed_, &fenced_, &deferred_})
        while (block::Request* request = take_first(*list))
            answer_soon(*request, IoStatus::shutdown);
    update_gate();
    check_traffic();
}

}  // namespace braidway::map
