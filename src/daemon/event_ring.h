// SPDX-License-Identifier: Apache-2.0
// What happened, kept for those who ask later: a bounded ring of events with sequence numbers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "base/limits.h"
#include "daemon/control.h"

namespace braidway::daemon {

/// Takes events. The lane's end of everything that listens: the ring, the log.
class EventSink {
  public:
    virtual ~EventSink() = default;
    /// Something happened. The sink gives it its sequence number, and the time when it has none.
    /// Threads: any; never blocks for long (no I/O, a mutex held for a copy at most).
    virtual void event(EventRecord record) = 0;
};

/// The last events, oldest dropped first.
///
/// Threads: any for everything. A push holds the mutex for one move; readers copy at most
/// batch_max records while they hold it.
class EventRing final : public EventSink {
  public:
    /// What a reader gets: records in order, and how many before them were dropped unread.
    struct Batch {
        uint64_t lost = 0;
        std::vector<EventRecord> records;
        uint64_t next = 1;  ///< Ask from here the next time.
        bool closed = false;
    };
    static constexpr size_t batch_max = 64;

    /// `wall_clock` tells the time of records that do not: wall_clock_now, but in tests.
    explicit EventRing(Duration (*wall_clock)(), size_t kept_max = limits::events_kept)
        : kept_max_(kept_max), wall_clock_(wall_clock) {}

    /// Keeps `record` under the next sequence number.
    void event(EventRecord record) override;

    /// Up to batch_max records from sequence number `from` on, at once. `from` 0 means 1; one
    /// beyond the newest gets nothing and stays as it is.
    Batch read(uint64_t from) const;
    /// The same, but waits until there is a record, the ring is closed or wake() is called, at most
    /// `timeout`; Duration::max() waits for ever without waking up.
    Batch wait(uint64_t from, Duration timeout) const;
    /// The sequence number that the next event will get.
    uint64_t next_sequence() const;
    /// Lets everyone who waits now return with what there is.
    void wake();
    /// Wakes all waiting readers; waits return at once from now on.
    void close();

  private:
    Batch read_locked(uint64_t from) const;

    size_t kept_max_;
    Duration (*wall_clock_)();
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::deque<EventRecord> records_;  // In order; the last one has next_sequence_ - 1.
    uint64_t next_sequence_ = 1;
    uint64_t wakes_ = 0;
    bool closed_ = false;
};

}  // namespace braidway::daemon
