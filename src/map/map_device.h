// SPDX-License-Identifier: Apache-2.0
// A multipath map: the brain's hands.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "block/gate.h"
#include "loop/timer.h"
#include "multipath/multipath.h"
#include "multipath/verdict_sink.h"
#include "path/path.h"

namespace braidway::map {

/// Told what happens in a map, for the log and the event stream.
class MapObserver {
  public:
    /// `path` is empty where the action is about the whole map.
    virtual void map_event(const std::string& map, const multipath::Action& action,
                           const std::string& path) = 0;

  protected:
    ~MapObserver() = default;
};

/// A path as a map uses it. Paths that reach one store through one cache (the same file, a cluster
/// file system) have the same `store`: a flush on one covers writes on all.
struct Member {
    path::Path* path = nullptr;
    uint64_t store = 0;
};

/// A map as daemon/ makes it: its table, its shape and its bounds of held requests.
struct MapConfig {
    std::string name;
    multipath::MultipathSpec table;
    /// Of all its paths together; fixed while clients are connected.
    block::Geometry geometry;
    uint32_t held_requests_max = limits::held_requests_default;
    uint64_t held_bytes_max = limits::held_bytes_default;
};

/// What a map does and has done.
struct MapCounters {
    uint32_t in_flight = 0;   ///< Accepted and not answered, held ones included.
    uint64_t held_bytes = 0;  ///< Now.
    uint64_t held_ever = 0;   ///< Requests that were held at some time.
    uint64_t retries = 0;     ///< Tries after the first one.
    uint64_t answered_errors = 0;
};

/// A block device that survives the failure of its paths.
///
/// It asks the brain where each request goes, sends it there, and asks again when it comes back
/// with a path error. Without a path requests are held, in the order in which they arrived, until
/// the brain says run or fail. At its held limits the gate closes, and exports stop reading.
///
/// Flush: the map remembers which stores completed writes that no flush has covered, and a flush
/// goes to each of them; a store that can no longer be reached makes it fail once.
///
/// Shapes:  paths in the order of the table; all of one size and block size.
/// Errors:  those of the paths that are not path errors; io when no path is left and holding is
///          off or over; shutdown while it is being shut down.
/// Threads: one lane. No allocation per request.
class MapDevice final : public block::BlockDevice,
                        public multipath::VerdictSink,
                        private block::CompletionStage,
                        private path::StallListener {
  public:
    /// `members` are in table order and outlive the map.
    static Result<std::unique_ptr<MapDevice>> create(loop::Loop& loop, MapConfig config,
                                                     std::vector<Member> members,
                                                     MapObserver& observer);
    ~MapDevice() override;

    const std::string& name() const { return config_.name; }
    const block::Geometry& geometry() const override { return config_.geometry; }
    void begin(block::Request& request) override;
    block::Gate& gate() { return gate_; }

    /// An operator's message or another event for the brain.
    Result<void> handle(const multipath::Event& event);
    void path_checked(uint32_t path, bool good, const std::string& reason) override;
    void set_failure_listener(multipath::FailureListener* listener) { listener_ = listener; }

    /// A new table under running I/O: paths are matched by name. Paths that are gone may still have
    /// requests in flight; those come back and are tried elsewhere. Errors: the brain's; nothing
    /// has changed then.
    Result<void> replace(MapConfig config, std::vector<Member> members);

    /// Tells which store a path reaches, when it was not there at first.
    void set_store(uint32_t path, uint64_t store);

    /// Answers every held request with IoStatus::shutdown.
    void shut_down_held() { fail_held(IoStatus::shutdown); }
    /// The same, and every new one, too.
    void shut_down();

    multipath::MultipathStatus status() const { return brain_->status(); }
    const MapCounters& counters() const { return counters_; }
    uint32_t held_requests() const { return static_cast<uint32_t>(held_.size()); }
    /// Since when the oldest held request waits; `never` when none is held.
    Instant held_since() const { return held_.empty() ? never : held_since_; }
    const std::vector<Member>& members() const { return members_; }

  private:
    MapDevice(loop::Loop& loop, MapConfig config, std::vector<Member> members,
              MapObserver& observer, std::unique_ptr<multipath::Multipath> brain);

    void dispatch(block::Request& request, uint32_t attempts);
    void completed(block::Request& request) override;
    void flush_step(block::Request& request);
    bool flush_step_ended(block::Request& request, IoStatus status);
    void hold(block::Request& request);
    void answer_soon(block::Request& request, IoStatus status);
    void answer(block::Request& request, IoStatus status);
    void take_actions();
    void run_held();
    void fail_held(IoStatus status);
    void update_gate();
    void note_write(block::Request& request);
    bool unflushed(size_t path) const;
    std::optional<uint32_t> way_to_store_of(size_t path) const;
    void mark_flushed(uint64_t store, uint64_t writes);
    void mark_table(block::Request& request);
    bool of_this_table(block::Request& request);
    void path_stalled(size_t path_index, Duration waited) override;
    void attach_members();

    loop::Loop& loop_;
    MapConfig config_;
    std::vector<Member> members_;
    MapObserver& observer_;
    std::unique_ptr<multipath::Multipath> brain_;
    multipath::FailureListener* listener_ = nullptr;
    block::Gate gate_;
    MapCounters counters_;
    IntrusiveList<block::Request> held_;  ///< By arrival; the sequence is in the frame.
    Instant held_since_;
    uint64_t next_sequence_ = 0;
    uint64_t table_version_ = 0;
    loop::Timer no_path_timer_;
    /// What a path has to flush: the numbers of its last write and of the last one that a flush
    /// covered, counted by writes_noted_.
    struct Writes {
        uint64_t last = 0;
        uint64_t flushed = 0;
    };
    uint64_t writes_noted_ = 0;
    std::vector<Writes> writes_;           ///< By path.
    std::vector<uint64_t> former_stores_;  ///< By path in the table before this one.
    bool unflushed_lost_ = false;          ///< A path with something to flush has left the table.
    bool one_store_ = true;
    bool taking_actions_ = false;
    bool shutting_down_ = false;
};

}  // namespace braidway::map
