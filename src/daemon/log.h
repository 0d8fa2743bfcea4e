// SPDX-License-Identifier: Apache-2.0
// The log: every event as one line of key=value words, written by a thread of its own.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "daemon/config.h"
#include "daemon/event_ring.h"

namespace spdlog {
class logger;
namespace sinks {
class sink;
}
}  // namespace spdlog

namespace braidway::daemon {

/// One event without its time: "warning path-failed map=db path=a1 paths_left=3 reason=\"...\"";
/// values with blanks or quotes are quoted, control characters are escaped.
std::string event_line(const EventRecord& event);

/// Writes the events of a ring as they come.
///
/// Threads: a thread of its own does all writing, so that nobody who raises an event waits for a
///          disk or a terminal. It sleeps while nothing happens.
class EventLog {
  public:
    /// Follows `ring` from its start. `sink` is where lines go; nothing: stderr.
    EventLog(const EventRing& ring, Severity level, LogFormat format,
             std::shared_ptr<spdlog::sinks::sink> sink = nullptr);
    /// Writes what is left in the ring, which must be closed.
    ~EventLog();
    EventLog(const EventLog&) = delete;
    EventLog& operator=(const EventLog&) = delete;

    /// Events below `level` are not written from now on. Threads: any.
    void set_level(Severity level) { level_ = level; }

  private:
    void run(const EventRing& ring);
    void write(const EventRecord& event);

    std::atomic<Severity> level_;
    bool journald_;
    std::unique_ptr<spdlog::logger> logger_;
    std::thread writer_;
};

}  // namespace braidway::daemon
