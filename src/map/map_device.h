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

/// Who activates paths for a map: the driver of its hardware handler.
class Activator {
  public:
    /// Activate the path with this index; MapDevice::path_activated() follows exactly once, later.
    virtual void activate(uint32_t path) = 0;
    /// The map has another table: which paths let I/O through is told anew.
    virtual void table_changed() {}

  protected:
    ~Activator() = default;
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
    uint32_t fenced = 0;    ///< Now: writes that may still happen on a failed path.
    uint32_t deferred = 0;  ///< Now: waiting for the end of a suspension.
};

/// A block device that survives the failure of its paths.
///
/// It asks the brain where each request goes, sends it there, and asks again when it comes back
/// with a path error. Without a path requests are held, in the order in which they arrived, until
/// the brain says run or fail. At its held limits the gate closes, and exports stop reading.
///
/// Suspension: suspend() lets what is on the paths end; then table and geometry may change, and
/// resume() takes everything up that came meanwhile. Held requests end without queue_if_no_path, or
/// with noflush wait with the others.
///
/// A write whose answer was lost waits until its path says that it cannot happen any more, or for
/// the quiesce time of the table, before it goes elsewhere.
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
    /// Without an activator every activation is answered no_handler. Null = none any more.
    void set_activator(Activator* activator) { activator_ = activator; }
    void path_activated(uint32_t path, multipath::HandlerResult result, const std::string& reason);
    /// Whether the hardware handler lets I/O through.
    void path_admitted(uint32_t path, bool admitted, const std::string& reason);
    void path_checked(uint32_t path, bool good, const std::string& reason) override;
    void set_failure_listener(multipath::FailureListener* listener) { listener_ = listener; }

    /// A new table under running I/O: paths are matched by name. Paths that are gone may still have
    /// requests in flight; those come back and are tried elsewhere. Errors: the brain's; nothing
    /// has changed then.
    Result<void> replace(MapConfig config, std::vector<Member> members);

    /// Begins a suspension; Action::suspended tells of its end, and state() becomes suspended. With
    /// `noflush` nothing is failed. Errors: EBUSY while one is going on.
    Result<void> suspend(bool noflush);
    /// A table for the next resume(), which takes it up under nothing: checked now, or refused and
    /// nothing changes. The map suspends itself when it is not. `config.geometry` counts: a map may
    /// grow but not shrink.
    Result<void> load(MapConfig config, std::vector<Member> members);
    /// Takes up a loaded table, and everything that waits. Errors: EBUSY while a suspension is
    /// still ending.
    Result<void> resume();
    /// For the timers of the map.
    void timer_went_off(multipath::Event::Kind kind);
    enum class State : uint8_t { running, suspending, suspended };
    State state() const { return state_; }

    /// Tells which store a path reaches, when it was not there at first.
    void set_store(uint32_t path, uint64_t store);

    /// Answers every request that waits in the map with IoStatus::shutdown.
    void shut_down_held();
    /// The same, and every new one, too.
    void shut_down();

    multipath::MultipathStatus status() const { return brain_->status(); }
    const MapCounters& counters() const { return counters_; }
    uint32_t held_requests() const { return static_cast<uint32_t>(held_.size()); }
    /// With those that are put off, fenced, or deferred by a suspension.
    uint32_t waiting_requests() const { return waiting_; }
    uint32_t held_requests_max() const { return config_.held_requests_max; }
    /// Since when the oldest held request waits; `never` when none is held.
    Instant held_since() const { return held_.empty() ? never : held_since_; }
    const std::vector<Member>& members() const { return members_; }
    const multipath::Multipath& brain() const { return *brain_; }

  private:
    MapDevice(loop::Loop& loop, MapConfig config, std::vector<Member> members,
              MapObserver& observer, std::unique_ptr<multipath::Multipath> brain);

    void dispatch(block::Request& request, uint32_t attempts);
    void completed(block::Request& request) override;
    void flush_step(block::Request& request);
    bool flush_step_ended(block::Request& request, IoStatus status);
    void hold(block::Request& request);
    void retry_later(block::Request& request);
    void send_delayed(Instant now);
    void fence(block::Request& request);
    void release_fenced(uint32_t entry, bool resend);
    void defer(block::Request& request);
    void defer_held();
    void take_deferred();
    void go_on(block::Request& request);
    void end_unsent(block::Request& request);
    void start(block::Request& request);
    void obey(block::Request& request, multipath::Verdict verdict);
    void insert_by_arrival(IntrusiveList<block::Request>& list, block::Request& request);
    void count_waiting(const block::Request& request);
    void uncount_waiting(const block::Request& request);
    block::Request* take_first(IntrusiveList<block::Request>& list);
    void tell_brain(const multipath::Event& event);
    void activate(uint32_t path);
    void install(MapConfig config, std::vector<Member> members);
    void check_traffic();
    void take_up_table();
    void answer_soon(block::Request& request, IoStatus status);
    void answer(block::Request& request, IoStatus status);
    void take_actions();
    void run_held();
    void run_next_held();
    void fail_held(IoStatus status);
    void update_gate();
    void note_write(block::Request& request);
    bool unflushed(size_t path) const;
    std::optional<uint32_t> way_to_store_of(size_t path) const;
    void mark_flushed(uint64_t store, uint64_t writes);
    void mark_table(block::Request& request);
    bool of_this_table(block::Request& request);
    void path_stalled(size_t path_index, Duration waited) override;
    void path_settled(size_t path_index) override;
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
    IntrusiveList<block::Request> delayed_;   ///< By when they go out again.
    IntrusiveList<block::Request> fenced_;    ///< By arrival.
    IntrusiveList<block::Request> deferred_;  ///< By arrival.
    uint32_t waiting_ = 0;                    ///< In those four lists.
    uint32_t on_paths_ = 0;                   ///< Requests that a path has.
    State state_ = State::running;
    bool noflush_ = false;
    struct Table {
        MapConfig config;
        std::vector<Member> members;
    };
    std::optional<Table> loaded_;
    bool resume_when_suspended_ = false;
    loop::Operation run_operation_;  ///< kernel_strict: held requests run one after the other.
    size_t run_left_ = 0;            ///< So many of them.
    Activator* activator_ = nullptr;
    uint64_t next_sequence_ = 0;
    uint64_t table_version_ = 0;
    loop::Timer no_path_timer_;
    loop::Timer activation_timer_;
    loop::Timer fence_timer_;
    loop::Timer delay_timer_;
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
