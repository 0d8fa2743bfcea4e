// SPDX-License-Identifier: Apache-2.0
#include "path/path.h"

#include <algorithm>

#include "loop/loop.h"

namespace braidway::path {
namespace {

/// Of a request in line for a free try.
Instant waiting_since(block::Request& request) {
    return {static_cast<int64_t>(request.top().words[0])};
}

}  // namespace

Path::Path(loop::Loop& loop, memory::BufferPool& pool, std::unique_ptr<block::BlockDevice> devices,
           Options options)
    : loop_(loop),
      pool_(pool),
      devices_(std::move(devices)),
      options_(std::move(options)),
      tries_(options_.tries_max) {
    deadline_.owner = this;
    deadline_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<Path*>(timer.owner)->check_deadlines(now);
    };
}

Path::~Path() {
    loop_.disarm(deadline_);
}

void Path::set_stall_listener(StallListener* listener, size_t path_index) {
    listener_ = listener;
    index_ = path_index;
}

void Path::device_settled() {
    // What this path gave up itself has its own end.
    if (abandoned_writes_ == 0 && listener_ != nullptr) listener_->path_settled(index_);
}

void Path::begin(block::Request& request) {
    ++counters_.in_flight;
    if (request.has_data()) counters_.in_flight_bytes += request.length_bytes;
    if (waiting_.empty() && tries_.in_use() < tries_.capacity()) {
        start(request);
        return;
    }
    request.push(*this).words[0] = static_cast<uint64_t>(loop_.now().ns);
    waiting_.push_back(request);
    if (options_.io_timeout && !deadline_.armed()) arm_deadline();
}

block::Request& Path::take_waiting() {
    block::Request& request = *waiting_.pop_front();
    request.pop();
    return request;
}

void Path::start(block::Request& parent) {
    Try* attempt = tries_.take();
    CHECK(attempt != nullptr, "a free try was counted but is not there");
    attempt->parent = &parent;
    attempt->stalled = false;
    block::Request& request = attempt->request;
    request.reset();
    request.op = parent.op;
    request.fua = parent.fua;
    request.may_unmap = parent.may_unmap;
    request.fast_zero = parent.fast_zero;
    request.must_reach_storage = parent.must_reach_storage;
    request.offset_bytes = parent.offset_bytes;
    request.length_bytes = parent.length_bytes;
    request.data = parent.data;
    if (parent.data.size() == 1) {
        // A try that is given up must not see what the request's own iovec says by then.
        attempt->memory = parent.data[0];
        request.data = {&attempt->memory, 1};
    }
    request.buffer = parent.buffer;
    request.extents = parent.extents;
    request.push(*this).words[0] = reinterpret_cast<uint64_t>(attempt);
    if (options_.io_timeout) {
        attempt->started = loop_.now();
        in_flight_.push_back(*attempt);
        if (!deadline_.armed()) arm_deadline();
    }
    devices_->submit(request);
}

void Path::completed(block::Request& request) {
    Try& attempt = *reinterpret_cast<Try*>(request.top().words[0]);
    request.pop();
    block::Request* parent = attempt.parent;
    if (attempt.linked()) {
        (attempt.stalled ? stalled_ : in_flight_).remove(attempt);
        if (in_flight_.empty() && stalled_.empty() && waiting_.empty()) loop_.disarm(deadline_);
    }
    if (parent == nullptr) {
        // Abandoned earlier: the kernel has given the memory back.
        --counters_.abandoned;
        if (request.buffer != nullptr) request.buffer->release();
        const bool last_write = changes_data(request.op) && --abandoned_writes_ == 0;
        tries_.give_back(&attempt);
        if (last_write && listener_ != nullptr) listener_->path_settled(index_);
    } else {
        parent->hole = request.hole;
        parent->extents_count = request.extents_count;
        parent->outcome_unknown = request.outcome_unknown;
        parent->error_text = request.error_text;
        const IoStatus status = request.status();
        account(*parent, status);
        tries_.give_back(&attempt);
        parent->finish(status);
    }
    while (!waiting_.empty() && tries_.in_use() < tries_.capacity()) start(take_waiting());
}

void Path::account(const block::Request& request, IoStatus status) {
    ++counters_.outcomes[static_cast<size_t>(status)];
    --counters_.in_flight;
    if (request.op == IoOp::read) {
        ++counters_.reads;
        counters_.in_flight_bytes -= request.length_bytes;
        if (status == IoStatus::ok) counters_.read_bytes += request.length_bytes;
    } else if (request.op == IoOp::write) {
        ++counters_.writes;
        counters_.in_flight_bytes -= request.length_bytes;
        if (status == IoStatus::ok) counters_.written_bytes += request.length_bytes;
    } else {
        ++counters_.others;
    }
}

void Path::arm_deadline() {
    Instant next = never;
    if (Try* oldest = in_flight_.front()) next = oldest->started + *options_.io_timeout;
    if (Try* oldest = stalled_.front())
        next = std::min(next, oldest->started + 2 * *options_.io_timeout);
    if (block::Request* oldest = waiting_.front())
        next = std::min(next, waiting_since(*oldest) + *options_.io_timeout);
    if (next == never)
        loop_.disarm(deadline_);
    else
        loop_.arm(deadline_, next);
}

void Path::check_deadlines(Instant now) {
    bool any_late = false;
    const auto tell = [&](Instant since) {
        if (!any_late && listener_ != nullptr) listener_->path_stalled(index_, now - since);
        any_late = true;
    };
    // Ended tries may start new ones from their completions; those are not late, so the loops end.
    while (Try* oldest = stalled_.front()) {
        if (oldest->started + 2 * *options_.io_timeout > now) break;
        stalled_.remove(*oldest);
        oldest->parent->outcome_unknown = true;
        give_up(*oldest);
    }
    while (Try* oldest = in_flight_.front()) {
        if (oldest->started + *options_.io_timeout > now) break;
        in_flight_.remove(*oldest);
        tell(oldest->started);
        if (changes_data(oldest->request.op)) {
            oldest->stalled = true;
            stalled_.push_back(*oldest);
        } else {
            give_up(*oldest);
        }
    }
    // Those that were never sent can go elsewhere, whatever they are.
    while (block::Request* oldest = waiting_.front()) {
        const Instant since = waiting_since(*oldest);
        if (since + *options_.io_timeout > now) break;
        tell(since);
        block::Request& late = take_waiting();
        late.error_text = "no answer in time";
        account(late, IoStatus::timeout);
        late.finish(IoStatus::timeout);
    }
    arm_deadline();
}

void Path::give_up(Try& late) {
    block::Request& parent = *late.parent;
    parent.error_text = "no answer in time";
    const bool keeps_memory = late.request.buffer != nullptr;
    if (keeps_memory) {
        late.request.buffer->hold();
        // Without a fresh buffer the request cannot be tried again: its memory is not its own.
        if (late.request.op == IoOp::read && !move_to_fresh_buffer(late))
            parent.outcome_unknown = true;
    }
    late.parent = nullptr;
    late.request.extents = {};
    ++counters_.abandoned;
    if (changes_data(parent.op)) ++abandoned_writes_;
    account(parent, IoStatus::timeout);
    parent.finish(IoStatus::timeout);
}

bool Path::move_to_fresh_buffer(Try& late) {
    block::Request& parent = *late.parent;
    memory::Buffer* fresh = pool_.allocate(static_cast<uint32_t>(parent.length_bytes));
    if (fresh == nullptr) return false;
    parent.buffer->release();
    parent.buffer = fresh;
    parent.moved_data = {fresh->data, parent.length_bytes};
    parent.data = {&parent.moved_data, 1};
    return true;
}

}  // namespace braidway::path
