// SPDX-License-Identifier: Apache-2.0
// Requests of a map that are on no path: held, put off, fenced, or deferred by a suspension.
#include <algorithm>

#include "base/check.h"
#include "loop/loop.h"
#include "map/frame_words.h"
#include "map/map_device.h"

namespace braidway::map {

void MapDevice::insert_by_arrival(IntrusiveList<block::Request>& list, block::Request& request) {
    const uint64_t sequence = request.top().words[sequence_and_mode] >> sequence_shift;
    block::Request* before = list.back();
    while (before != nullptr && before->top().words[sequence_and_mode] >> sequence_shift > sequence)
        before = list.before(*before);
    if (before != nullptr)
        list.insert_after(*before, request);
    else
        list.push_front(request);
    count_waiting(request);
}

void MapDevice::count_waiting(const block::Request& request) {
    ++waiting_;
    if (request.has_data()) counters_.held_bytes += request.length_bytes;
    update_gate();
}

block::Request* MapDevice::take_first(IntrusiveList<block::Request>& list) {
    block::Request* request = list.pop_front();
    if (request != nullptr) uncount_waiting(*request);
    return request;
}

void MapDevice::uncount_waiting(const block::Request& request) {
    --waiting_;
    if (request.has_data()) counters_.held_bytes -= request.length_bytes;
}

void MapDevice::update_gate() {
    if (waiting_ >= config_.held_requests_max || counters_.held_bytes >= config_.held_bytes_max)
        gate_.close();
    else
        gate_.reopen();
}

/// Sends a request that has waited, or asks again whether it may be sent.
void MapDevice::go_on(block::Request& request) {
    if (state_ == State::suspended)
        defer(request);
    else if ((request.top().words[sequence_and_mode] & flush_walk) != 0)
        flush_step(request);
    else
        dispatch(request, attempts_of(request.top().words));
}

void MapDevice::hold(block::Request& request) {
    if (held_.empty()) held_since_ = loop_.now();
    ++counters_.held_ever;
    if (brain_->strict()) {
        // The kernel keeps no order.
        held_.push_back(request);
        count_waiting(request);
    } else {
        insert_by_arrival(held_, request);
    }
}

void MapDevice::run_held() {
    if (brain_->strict()) {
        // As the kernel's worker: the next one sees what became of the one before.
        run_left_ = held_.size();
        if (run_left_ > 0 && run_operation_.idle()) loop_.complete_soon(run_operation_, 0);
        check_traffic();
        return;
    }
    // Those that must be held again join the list behind the ones that are still to be looked at
    // only if they came later; the count ends the loop.
    for (size_t left = held_.size(); left > 0 && !held_.empty(); --left) {
        block::Request& request = *take_first(held_);
        go_on(request);
        if (!held_.empty() && held_.front() == &request) break;
    }
    update_gate();
    check_traffic();
}

void MapDevice::run_next_held() {
    if (run_left_ > 0 && !held_.empty()) {
        --run_left_;
        go_on(*take_first(held_));
        update_gate();
    }
    if (run_left_ > 0 && !held_.empty())
        loop_.complete_soon(run_operation_, 0);
    else
        check_traffic();
}

void MapDevice::fail_held(IoStatus status) {
    while (block::Request* request = take_first(held_)) {
        end_unsent(*request);
        answer_soon(*request, status);
    }
    update_gate();
    check_traffic();
}

/// The brain is told that a request which was held after a try has found no other path.
void MapDevice::end_unsent(block::Request& request) {
    if (!brain_->strict() || (request.top().words[sequence_and_mode] & flush_walk) != 0) return;
    const multipath::Ticket ticket = unpack(request.top().words, request.length_bytes);
    if (ticket.attempts > 0) brain_->held_ended(ticket, loop_.now());
}

void MapDevice::retry_later(block::Request& request) {
    const Instant due = loop_.now() + limits::requeue_delay;
    request.top().words[started_at] = static_cast<uint64_t>(due.ns);
    delayed_.push_back(request);
    count_waiting(request);
    if (!delay_timer_.armed()) loop_.arm(delay_timer_, due);
}

void MapDevice::send_delayed(Instant now) {
    while (block::Request* first = delayed_.front()) {
        const Instant due{static_cast<int64_t>(first->top().words[started_at])};
        if (due > now) {
            loop_.arm(delay_timer_, due);
            break;
        }
        go_on(*take_first(delayed_));
    }
    update_gate();
    check_traffic();
}

void MapDevice::fence(block::Request& request) {
    insert_by_arrival(fenced_, request);
    ++counters_.fenced;
}

void MapDevice::release_fenced(uint32_t entry, bool resend) {
    IntrusiveList<block::Request> released;
    for (size_t left = fenced_.size(); left > 0; --left) {
        block::Request& request = *fenced_.pop_front();
        const bool here = unpack(request.top().words, request.length_bytes).entry == entry;
        (here ? released : fenced_).push_back(request);
    }
    while (block::Request* request = take_first(released)) {
        --counters_.fenced;
        if (!resend) {
            answer_soon(*request, request->status());
            continue;
        }
        // From now on the try before is as if it had never been made.
        request->outcome_unknown = false;
        go_on(*request);
    }
    update_gate();
    check_traffic();
}

// --- suspension ---------------------------------------------------------------------------------

Result<void> MapDevice::suspend(bool noflush) {
    const multipath::Event event{
        .kind = multipath::Event::Kind::suspend, .noflush = noflush, .reason = {}};
    if (auto accepted = brain_->check(event); !accepted) return accepted;
    state_ = State::suspending;
    noflush_ = noflush;
    tell_brain(event);
    check_traffic();
    return {};
}

/// Once nothing is on a path, and with a flushing suspension nothing waits for one, the brain hears
/// of it.
void MapDevice::check_traffic() {
    if (state_ != State::suspending || on_paths_ > 0 || !run_operation_.idle()) return;
    if (!noflush_ && !(held_.empty() && delayed_.empty() && fenced_.empty())) return;
    tell_brain({.kind = multipath::Event::Kind::no_traffic, .reason = {}});
}

void MapDevice::defer(block::Request& request) {
    // It comes again as if it were new, but for its place in the line.
    request.top().words[generation_and_attempts] = 0;
    request.top().words[sequence_and_mode] &= ~(flush_walk | table_mask);
    insert_by_arrival(deferred_, request);
    ++counters_.deferred;
}

void MapDevice::defer_held() {
    loop_.disarm(delay_timer_);
    for (auto* list : {&held_, &delayed_})
        while (block::Request* request = take_first(*list)) defer(*request);
}

void MapDevice::take_deferred() {
    for (size_t left = deferred_.size(); left > 0 && state_ == State::running; --left) {
        --counters_.deferred;
        start(*take_first(deferred_));
    }
    update_gate();
}

Result<void> MapDevice::load(MapConfig config, std::vector<Member> members) {
    if (auto brain = multipath::Multipath::create(config.table, loop_.now()); !brain)
        return std::unexpected(std::move(brain.error()));
    if (config.geometry.size_bytes < config_.geometry.size_bytes)
        return fail("a map that is in use cannot shrink", EINVAL);
    loaded_ = Table{std::move(config), std::move(members)};
    return {};
}

Result<void> MapDevice::resume() {
    if (state_ == State::suspending) return fail("the map is still being suspended", EBUSY);
    if (state_ == State::running) {
        if (!loaded_) return {};
        // Held requests go to the new table; in the kernel they fail before it comes.
        resume_when_suspended_ = true;
        return suspend(!brain_->strict());
    }
    if (loaded_) take_up_table();
    tell_brain({.kind = multipath::Event::Kind::resume, .reason = {}});
    return {};
}

void MapDevice::take_up_table() {
    Table table = std::move(*loaded_);
    loaded_.reset();
    const auto taken = brain_->replace(table.config.table, loop_.now());
    CHECK(taken.has_value(), "a table was tried when it was loaded");
    install(std::move(table.config), std::move(table.members));
    take_actions();
}

}  // namespace braidway::map
