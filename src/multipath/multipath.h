// SPDX-License-Identifier: Apache-2.0
// The brain of a multipath map: which path now, what a failure means, hold or fail. Pure: events
// and time go in, decisions and actions come out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/io.h"
#include "base/time.h"
#include "multipath/dm_status.h"
#include "multipath/event.h"
#include "multipath/selector.h"
#include "multipath/spec.h"
#include "multipath/status.h"

namespace braidway::multipath {

/// One try of one request on one path. Kept by the map with the request; says to completed() what
/// route() decided.
struct Ticket {
    PathId path = no_path;  ///< In the table that route() saw.
    /// The brain's own number for the path; it outlives a change of the table, as long as tickets
    /// are out. `generation` counts its uses: a ticket that comes back twice is caught.
    uint32_t entry = 0;
    uint32_t generation = 0;
    uint32_t attempts = 0;  ///< Tries so far, this one included.
    uint64_t length_bytes = 0;
    Instant started_at;
};
static_assert(sizeof(Ticket) <= 4 * sizeof(uint64_t), "a ticket fits the frame of a request");

/// What route() decided.
struct Route {
    enum class Kind : uint8_t {
        path,   ///< Send it to ticket.path; completed() follows.
        hold,   ///< Keep it until run_held, fail_held or defer_held.
        fail,   ///< Answer it with `status`.
        defer,  ///< As if it had not come yet: it comes again after Action::resumed.
    };
    Kind kind = Kind::fail;
    Ticket ticket;
    IoStatus status = IoStatus::io;
};

/// What completed() decided.
enum class Verdict : uint8_t {
    done,         ///< Pass the status up.
    retry,        ///< route() it again now.
    retry_later,  ///< route() it again after limits::requeue_delay.
    hold,         ///< No path is left: keep it until run_held, fail_held or defer_held.
    fence,        ///< It may still happen: keep it until release_fenced of its entry.
    defer,        ///< No path is left, and the map is being suspended: as Route::Kind::defer.
};

/// Where the activation of a path is.
enum class Activation : uint8_t {
    none,   ///< Nobody asked.
    waits,  ///< For the delay.
    runs,   ///< Asked of the handler and not answered.
};

/// The brain of one map.
///
/// Calls: route() for each request; completed() for each answer of a path; handle() for everything
/// else. After each call (and after create()) next_action() is drained. route() and completed()
/// allocate nothing unless a path fails, the group changes or a handler is asked.
/// Shapes:  up to limits::groups_max groups with limits::paths_max paths in all; a map without
///          paths is legal. A path is in one group once (not with kernel_strict, where each entry
///          has a life of its own); a group has a path.
/// Errors:  create(), replace() and check() refuse what device-mapper refuses, in words.
/// Threads: one lane. Reads no clock.
/// Source:  behaviour of the Linux dm-multipath target 1.14.0 (drivers/md/dm-mpath.c), restated;
///          deliberate differences are listed in docs/kernel-differences.md, and absent with
///          MultipathSpec::kernel_strict.
class Multipath {
  public:
    static Result<std::unique_ptr<Multipath>> create(MultipathSpec spec, Instant now);
    ~Multipath();
    Multipath& operator=(const Multipath&) = delete;
    /// A copy that decides the same from now on; tickets of the one are good for the other.
    std::unique_ptr<Multipath> clone() const;

    /// Takes a new table under running and held I/O, or refuses it and changes nothing.
    ///
    /// Paths are matched by name: those in both tables keep state, counters and sticky failure
    /// (PathSpec::up is for new ones); selectors start anew, knowing what is in flight. A group
    /// whose set of path names is the same stays in use, asked for, or disabled; else the new
    /// table's initial_group is asked for. The policy is the new table's. Tickets of removed paths
    /// still come back to completed(), which only takes them off the books. With kernel_strict
    /// nothing is kept: a new table starts from nothing.
    Result<void> replace(MultipathSpec spec, Instant now);

    /// Decides where `io` goes. `attempts` = tries it has had (Ticket::attempts of the last one).
    Route route(const IoShape& io, Instant now, uint32_t attempts = 0);
    /// A path answered. Every ticket of a Route::Kind::path comes back exactly once.
    /// `may_still_happen`: it changes data, and the path cannot say that it did not and will not.
    Verdict completed(const Ticket& ticket, IoStatus status, Instant now,
                      bool may_still_happen = false);
    /// A request that was held or deferred after the try of `ticket`, and not tried since, is given
    /// up or deferred. Matters only to kernel_strict, which counts its end twice.
    void held_ended(const Ticket& ticket, Instant now);
    /// What a request is answered with after Verdict::done: `status`, but in the kernel's bio mode.
    IoStatus answer_for(IoStatus status) const;
    /// Whether `event` would be accepted: unknown path or group (EINVAL); a message, or another
    /// suspension, while the map is suspended (EBUSY). handle() needs a good one.
    Result<void> check(const Event& event) const;
    void handle(const Event& event, Instant now);
    /// Takes the oldest action not yet taken. False when there is none.
    bool next_action(Action& action) { return !actions_.empty() && take_action(action); }

    MultipathStatus status() const;
    /// What device-mapper's status line says.
    DmInfo dm_info() const;
    /// The table as it is now, for dm_table_text(): the group in use is its initial group.
    MultipathSpec table() const;
    uint32_t valid_paths() const { return valid_paths_; }
    size_t path_count() const { return order_.size(); }
    PathState path_state(PathId id) const { return entries_[order_[id]].state; }
    /// Whether I/O may be sent to the path: it is up, and its handler lets I/O through.
    bool takes_io(PathId id) const {
        const Path& path = entries_[order_[id]];
        return path.state == PathState::up && !path.vetoed;
    }
    /// What the hardware handler is asked for this path.
    Activation activation(PathId id) const {
        const Path& path = entries_[order_[id]];
        if (path.activations > 0) return Activation::runs;
        return path.activation_waits ? Activation::waits : Activation::none;
    }
    /// The path called `name`, or nothing; the first of them with kernel_strict.
    std::optional<PathId> find_path(std::string_view name) const;
    bool suspended() const { return suspension_ != Suspension::running; }
    bool strict() const { return strict_; }
    /// How often something happened that device-mapper raises an event for.
    uint32_t events() const { return events_; }
    /// Appends all that decides what the map does from now on, but absolute times and counters that
    /// only grow; for the search through all states.
    void append_state(std::vector<uint64_t>& state) const;

  private:
    /// One path, in this table or removed with tickets still out. What route() and completed()
    /// touch comes first.
    struct Path {
        GroupNumber group = 0;
        uint32_t place = 0;  ///< In its group, from 0.
        uint32_t generation = 0;
        uint32_t in_flight = 0;
        uint64_t in_flight_bytes = 0;
        PathState state = PathState::up;
        bool vetoed = false;  ///< By the hardware handler: an I/O sent there fails.
        bool removed = false;
        bool sticky = false;
        bool activation_waits = false;  ///< For the delay.
        uint16_t activations = 0;       ///< Asked of the handler and not answered.
        uint32_t fail_count = 0;
        uint32_t fenced = 0;         ///< Requests that release_fenced lets go.
        bool fence_resends = false;  ///< At the end of the time, not only at the path's word.
        Instant fence_deadline;
        PathId id = no_path;
        std::string name;
        std::string_view failed_by;
        std::string reason;
        Instant failed_at;
    };
    struct Group {
        std::unique_ptr<Selector> selector;
        PathId first_path = 0;  ///< The others follow it in table order.
        uint32_t path_count = 0;
        bool disabled = false;

        Group() = default;
        Group(std::unique_ptr<Selector> chooser, PathId first, uint32_t paths)
            : selector(std::move(chooser)), first_path(first), path_count(paths) {}
        Group(Group&&) = default;
        Group& operator=(Group&&) = default;
        Group(const Group& other)
            : selector(other.selector->clone()),
              first_path(other.first_path),
              path_count(other.path_count),
              disabled(other.disabled) {}
        ~Group() = default;
    };
    enum class Suspension : uint8_t {
        running,     ///< Left by Event::suspend.
        suspending,  ///< Requests on paths end. Left when there are none and no activation runs.
        suspended,   ///< Left by Event::resume.
    };

    std::vector<Path> entries_;           ///< By Ticket::entry.
    std::vector<uint32_t> free_entries_;  ///< Of entries_, ready for use.
    std::vector<uint32_t> order_;         ///< PathId -> entry.
    std::vector<Group> groups_;           ///< By GroupNumber - 1.
    uint32_t valid_paths_ = 0;
    uint32_t attempts_max_ = 0;
    uint32_t events_ = 0;
    /// The group in use: the one that letter A stands for unless it is disabled. 0 = none.
    GroupNumber current_group_ = 0;
    /// The path that brought the current group into use, while nothing has happened to it.
    PathId current_path_ = no_path;
    /// The group that the next I/O tries first. 0 = no request.
    GroupNumber requested_group_ = 0;
    /// The group that I/O went to last, whatever was asked for since. 0 = none yet.
    GroupNumber used_group_ = 0;
    bool strict_ = false;
    bool bio_ = false;  ///< queue_mode bio; looked at only with strict_.

    // The hardware handler.
    std::string handler_;          ///< Empty = none.
    bool initialising_ = true;     ///< I/O waits for the activation of the group in use.
    bool init_required_ = false;   ///< The group in use is to be activated.
    bool init_forbidden_ = false;  ///< While being suspended.
    bool delay_init_ = false;      ///< The next activation waits for init_delay_.
    uint32_t init_count_ = 0;      ///< Activations of the group in use so far.
    uint32_t init_retries_ = 0;
    Duration init_delay_{};
    uint32_t activations_ = 0;  ///< Waiting or running, over all paths.
    Instant activation_deadline_;
    Instant activation_event_at_;  ///< When an answer last raised an event.

    Suspension suspension_ = Suspension::running;
    bool noflush_ = false;
    bool traffic_ended_ = false;  ///< While suspending: no request is on a path.
    bool queue_ = true;           ///< queue_if_no_path.
    bool saved_queue_ = false;    ///< queue_ as it was before the suspension took it away.
    bool expired_ = false;        ///< The last path went too long ago; queue_ has run out.
    std::optional<Duration> no_path_timeout_;
    Instant no_path_since_;                    ///< When the clock of no_path_timeout_ started.
    std::optional<Instant> no_path_deadline_;  ///< The timer is armed for then.
    FencePolicy fence_;
    MultipathSpec table_;  ///< Without its groups: the words of the table line.
    std::deque<Action> actions_;

    Multipath() = default;
    Multipath(const Multipath&) = default;

    // Choosing.
    PathId choose(const IoShape& io, Instant now);
    PathId choose_in(GroupNumber number, const IoShape& io, Instant now);
    PathId choose_new_group(const IoShape& io, Instant now);
    void enter_group(GroupNumber number, PathId path);
    void leave_group();
    Route without_path();
    bool is_failure(IoStatus status) const;

    // Paths and groups.
    Path& take_back(const Ticket& ticket, Instant now);
    Verdict failed(Path& path, const Ticket& ticket, IoStatus status, Instant now,
                   bool may_still_happen);
    void fail_path(Path& path, std::string_view failed_by, std::string reason, Instant now);
    void reinstate_path(Path& path);
    void handle_message(const Event& event, Instant now);
    void switch_group(GroupNumber number);
    void set_disabled(GroupNumber number, bool disabled);
    GroupState state_of(GroupNumber number) const;
    GroupNumber shown_group() const;
    Path& path_of(PathId id) { return entries_[order_[id]]; }

    // Activation by the hardware handler; in multipath_activation.cc.
    void start_activations(Instant now);
    void run_waiting_activations(Instant now);
    void activate(Path& path);
    void path_activated(Path& path, HandlerResult result, const std::string& reason, Instant now);
    bool take_activation_result(Path& path, HandlerResult result, Instant now);
    void end_activation_round(bool retry_delayed, Instant now);
    void activate_alone(Path& path);

    // With no path left, suspended, fenced; in multipath_queue.cc.
    bool queueing() const { return queue_ && !expired_; }
    /// What finds no path comes again after the resume. In the kernel only what would fail does.
    bool defers() const {
        return suspension_ == Suspension::suspending && noflush_ && !(strict_ && queueing());
    }
    void lose_last_path(Instant now);
    void find_first_path();
    void start_no_path_timer(Instant now);
    void expire();
    void disarm_no_path_timer();
    void queue_if_no_path(Instant now);
    void fail_if_no_path();
    void suspend(bool noflush);
    void end_suspending();
    void resume(Instant now);
    Verdict fence(Path& path, Instant now);
    void release_fenced(Path& path, uint32_t entry, bool resend);
    void arm_fence_timer();
    void fence_timer(Instant now);

    // The table; in multipath_table.cc.
    struct Survivors;
    static Result<std::vector<Group>> make_groups(const MultipathSpec& spec);
    Survivors find_survivors(const MultipathSpec& spec) const;
    void install(MultipathSpec& spec, std::vector<Group> groups, Instant now);
    void take_settings(const MultipathSpec& spec);
    void start_from_nothing();
    void carry_over_groups(const std::vector<GroupNumber>& new_numbers, std::vector<Group>& groups);
    void request_initial_group(GroupNumber number);
    uint32_t new_entry(PathSpec& spec, Instant now);
    void place_path(Path& path, PathId id, GroupNumber group, uint32_t place);
    void change_policy_without_path(const NoPathPolicy& policy, Instant now);

    Action& tell(Action::Kind kind);
    bool take_action(Action& action);
};

}  // namespace braidway::multipath
