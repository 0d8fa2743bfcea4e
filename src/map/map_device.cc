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

using Words = std::array<uint64_t, 4>;

void pack(Words& words, const Ticket& ticket) {
    words[path_and_entry] = ticket.path | uint64_t{ticket.entry} << 32;
    words[generation_and_attempts] = ticket.generation | uint64_t{ticket.attempts} << 32;
    words[started_at] = static_cast<uint64_t>(ticket.started_at.ns);
}

Ticket unpack(const Words& words, uint64_t length_bytes) {
    return {.path = static_cast<uint32_t>(words[path_and_entry]),
            .entry = static_cast<uint32_t>(words[path_and_entry] >> 32),
            .generation = static_cast<uint32_t>(words[generation_and_attempts]),
            .attempts = static_cast<uint32_t>(words[generation_and_attempts] >> 32),
            .length_bytes = length_bytes,
            .started_at = {static_cast<int64_t>(words[started_at])}};
}

uint32_t attempts_of(const Words& words) {
    return static_cast<uint32_t>(words[generation_and_attempts] >> 32);
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
    no_path_timer_.owner = this;
    no_path_timer_.fire = [](loop::Timer& timer, Instant now) {
        MapDevice& map = *static_cast<MapDevice*>(timer.owner);
        map.brain_->handle({.kind = multipath::Event::Kind::no_path_timer, .reason = {}}, now);
        map.take_actions();
    };
    attach_members();
    take_actions();
}

MapDevice::~MapDevice() {
    CHECK(counters_.in_flight == 0, "a map goes only when no request is on it");
    loop_.disarm(no_path_timer_);
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
    } else if (request.op == IoOp::flush && (!one_store_ || unflushed_lost_)) {
        frame.words[sequence_and_mode] |= flush_walk;
        frame.words[flush_at] = 0;
        flush_step(request);
    } else {
        dispatch(request, 0);
    }
}

void MapDevice::dispatch(block::Request& request, uint32_t attempts) {
    const Route route = brain_->route(request.shape(), loop_.now(), attempts);
    take_actions();
    switch (route.kind) {
        case Route::Kind::path:
            if (attempts != 0) ++counters_.retries;
            pack(request.top().words, route.ticket);
            mark_table(request);
            members_[route.ticket.path].path->submit(request);
            return;
        case Route::Kind::hold:
            hold(request);
            return;
        case Route::Kind::fail:
            answer_soon(request, route.status);
            return;
    }
}

void MapDevice::completed(block::Request& request) {
    block::Frame& frame = request.top();
    const IoStatus status = request.status();
    if ((frame.words[sequence_and_mode] & flush_walk) != 0) {
        if (flush_step_ended(request, status)) flush_step(request);
        return;
    }
    const Ticket ticket = unpack(frame.words, request.length_bytes);
    const Verdict verdict = brain_->completed(ticket, status, loop_.now());
    take_actions();
    if (status == IoStatus::ok && changes_data(request.op)) note_write(request);
    // A write that may still happen must not be sent again, nor a read without memory of its own.
    if (verdict == Verdict::done || request.outcome_unknown) {
        answer(request, status);
        return;
    }
    if (shutting_down_) {
        answer(request, IoStatus::shutdown);
        return;
    }
    switch (verdict) {
        case Verdict::done:
            return;
        case Verdict::retry:
            dispatch(request, ticket.attempts);
            return;
        case Verdict::hold:
            hold(request);
            return;
    }
}

// --- holding ----------------------------------------------------------------------------------

void MapDevice::hold(block::Request& request) {
    const uint64_t sequence = request.top().words[sequence_and_mode];
    block::Request* before = held_.back();
    while (before != nullptr && before->top().words[sequence_and_mode] > sequence)
        before = held_.before(*before);
    if (held_.empty()) held_since_ = loop_.now();
    if (before != nullptr)
        held_.insert_after(*before, request);
    else
        held_.push_front(request);
    ++counters_.held_ever;
    if (request.has_data()) counters_.held_bytes += request.length_bytes;
    update_gate();
}

void MapDevice::run_held() {
    // Those that must be held again join the list behind the ones that are still to be looked at
    // only if they came later; the count ends the loop.
    for (size_t left = held_.size(); left > 0 && !held_.empty(); --left) {
        block::Request& request = *held_.pop_front();
        if (request.has_data()) counters_.held_bytes -= request.length_bytes;
        if ((request.top().words[sequence_and_mode] & flush_walk) != 0)
            flush_step(request);
        else
            dispatch(request, attempts_of(request.top().words));
        if (!held_.empty() && held_.front() == &request) break;
    }
    update_gate();
}

void MapDevice::fail_held(IoStatus status) {
    while (block::Request* request = held_.pop_front()) {
        if (request->has_data()) counters_.held_bytes -= request->length_bytes;
        answer_soon(*request, status);
    }
    update_gate();
}

void MapDevice::update_gate() {
    const bool full =
        held_.size() >= config_.held_requests_max || counters_.held_bytes >= config_.held_bytes_max;
    if (full)
        gate_.close();
    else
        gate_.reopen();
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
                break;
            case Action::Kind::run_held:
                run_held();
                continue;
            case Action::Kind::fail_held:
                fail_held(IoStatus::io);
                break;
            case Action::Kind::arm_no_path_timer:
                loop_.arm(no_path_timer_, action.deadline);
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
}

Result<void> MapDevice::handle(const multipath::Event& event) {
    if (auto accepted = brain_->check(event); !accepted) return accepted;
    brain_->handle(event, loop_.now());
    take_actions();
    return {};
}

void MapDevice::path_checked(uint32_t path, bool good, const std::string& reason) {
    if (path >= members_.size()) return;
    brain_->handle(
        {.kind = good ? multipath::Event::Kind::checker_up : multipath::Event::Kind::checker_down,
         .path = path,
         .reason = reason},
        loop_.now());
    take_actions();
}

void MapDevice::path_stalled(size_t path_index, Duration waited) {
    brain_->handle({.kind = multipath::Event::Kind::path_stalled,
                    .path = static_cast<uint32_t>(path_index),
                    .reason = fmt::format("no answer for {}", format_duration(waited))},
                   loop_.now());
    take_actions();
}

// --- changes ----------------------------------------------------------------------------------

Result<void> MapDevice::replace(MapConfig config, std::vector<Member> members) {
    CHECK(
        members.size() ==
            [&] {
                size_t paths = 0;
                for (const auto& group : config.table.groups) paths += group.paths.size();
                return paths;
            }(),
        "one member for each path of the table");
    if (auto taken = brain_->replace(config.table, loop_.now()); !taken) return taken;
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
    config.geometry = config_.geometry;
    config_ = std::move(config);
    members_ = std::move(members);
    writes_ = std::move(writes);
    former_stores_ = std::move(former_stores);
    ++table_version_;
    attach_members();
    take_actions();
    update_gate();
    return {};
}

void MapDevice::set_store(uint32_t path, uint64_t store) {
    members_[path].store = store;
    attach_members();
}

void MapDevice::shut_down() {
    shutting_down_ = true;
    fail_held(IoStatus::shutdown);
}

}  // namespace braidway::map
