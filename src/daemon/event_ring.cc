// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_ring.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace braidway::daemon {

void EventRing::event(EventRecord record) {
    if (record.wall_clock == Duration(0)) record.wall_clock = wall_clock_();
    EventRecord dropped;  // Freed after the mutex is.
    {
        const std::lock_guard lock(mutex_);
        record.sequence = next_sequence_++;
        records_.push_back(std::move(record));
        if (records_.size() > kept_max_) {
            dropped = std::move(records_.front());
            records_.pop_front();
        }
    }
    changed_.notify_all();
}

EventRing::Batch EventRing::read(uint64_t from) const {
    const std::lock_guard lock(mutex_);
    return read_locked(from);
}

EventRing::Batch EventRing::wait(uint64_t from, Duration timeout) const {
    std::unique_lock lock(mutex_);
    // A reader that asks beyond the newest waits for its number, not for the next event.
    const auto ready = [&, wakes = wakes_] {
        return closed_ || next_sequence_ > from || wakes_ != wakes;
    };
    if (timeout == Duration::max())
        changed_.wait(lock, ready);
    else
        changed_.wait_for(lock, timeout, ready);
    return read_locked(from);
}

uint64_t EventRing::next_sequence() const {
    const std::lock_guard lock(mutex_);
    return next_sequence_;
}

void EventRing::wake() {
    {
        const std::lock_guard lock(mutex_);
        ++wakes_;
    }
    changed_.notify_all();
}

void EventRing::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    changed_.notify_all();
}

EventRing::Batch EventRing::read_locked(uint64_t from) const {
    from = std::max<uint64_t>(from, 1);
    Batch batch;
    batch.closed = closed_;
    batch.next = from;
    const uint64_t oldest = next_sequence_ - records_.size();
    if (from >= next_sequence_) return batch;
    if (from < oldest) {
        batch.lost = oldest - from;
        from = oldest;
    }
    const auto begin = records_.begin() + static_cast<std::ptrdiff_t>(from - oldest);
    const size_t count =
        std::min(batch_max, static_cast<size_t>(std::distance(begin, records_.end())));
    batch.records.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    batch.next = from + count;
    return batch;
}

}  // namespace braidway::daemon
