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
        path,  ///< Send it to ticket.path; completed() follows.
        hold,  ///< Keep it until RunHeld or FailHeld.
        fail,  ///< Answer it with `status`.
    };
    Kind kind = Kind::fail;
    Ticket ticket;
    IoStatus status = IoStatus::io;
};

/// What completed() decided.
enum class Verdict : uint8_t {
    done,   ///< Pass the status up.
    retry,  ///< route() it again now.
    hold,   ///< No path is left: keep it until RunHeld or FailHeld.
};

/// The brain of one map.
///
/// Calls: route() for each request; completed() for each answer of a path; handle() for everything
/// else. After each call (and after create()) next_action() is drained. route() and completed()
/// allocate nothing unless a path fails or the group changes.
/// Shapes:  up to limits::groups_max groups with limits::paths_max paths in all; a map without
///          paths is legal. A path is in one group once; a group has a path.
/// Errors:  create(), replace() and check() refuse what device-mapper refuses, in words.
/// Threads: one lane. Reads no clock.
/// Source:  behaviour of the Linux dm-multipath target 1.14.0 (drivers/md/dm-mpath.c), restated;
///          deliberate differences are listed in docs/kernel-differences.md.
class Multipath {
  public:
    static Result<std::unique_ptr<Multipath>> create(MultipathSpec spec, Instant now);
    ~Multipath();
    Multipath(const Multipath&) = delete;
    Multipath& operator=(const Multipath&) = delete;

    /// Takes a new table under running and held I/O, or refuses it and changes nothing.
    ///
    /// Paths are matched by name: those in both tables keep state, counters and sticky failure
    /// (PathSpec::up is for new ones); selectors start anew, knowing what is in flight. A group
    /// whose set of path names is the same stays in use, asked for, or disabled; else the new
    /// table's initial_group is asked for. The policy is the new table's. Tickets of removed paths
    /// still come back to completed(), which only takes them off the books.
    Result<void> replace(MultipathSpec spec, Instant now);

    /// Decides where `io` goes. `attempts` = tries it has had (Ticket::attempts of the last one).
    Route route(const IoShape& io, Instant now, uint32_t attempts = 0);
    /// A path answered. Every ticket of a Route::Kind::path comes back exactly once.
    Verdict completed(const Ticket& ticket, IoStatus status, Instant now);
    /// Whether `event` would be accepted: unknown path or group. handle() needs a good one.
    Result<void> check(const Event& event) const;
    void handle(const Event& event, Instant now);
    /// Takes the oldest action not yet taken. False when there is none.
    bool next_action(Action& action) { return !actions_.empty() && take_action(action); }

    MultipathStatus status() const;
    uint32_t valid_paths() const { return valid_paths_; }
    size_t path_count() const { return order_.size(); }
    PathState path_state(PathId id) const { return entries_[order_[id]].state; }
    /// The path called `name`, or nothing.
    std::optional<PathId> find_path(std::string_view name) const;

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
        bool removed = false;
        bool sticky = false;
        uint32_t fail_count = 0;
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
    };

    std::vector<Path> entries_;           ///< By Ticket::entry.
    std::vector<uint32_t> free_entries_;  ///< Of entries_, ready for use.
    std::vector<uint32_t> order_;         ///< PathId -> entry.
    std::vector<Group> groups_;           ///< By GroupNumber - 1.
    uint32_t valid_paths_ = 0;
    uint32_t attempts_max_ = 0;
    /// The group in use: the one that letter A stands for unless it is disabled. 0 = none.
    GroupNumber current_group_ = 0;
    /// The group that the next I/O tries first. 0 = no request.
    GroupNumber requested_group_ = 0;
    /// The group that I/O went to last, whatever was asked for since. 0 = none yet.
    GroupNumber used_group_ = 0;

    bool queue_ = true;     ///< queue_if_no_path.
    bool expired_ = false;  ///< The last path went too long ago; queue_ is on but has run out.
    std::optional<Duration> no_path_timeout_;
    Instant no_path_since_;                    ///< When the clock of no_path_timeout_ started.
    std::optional<Instant> no_path_deadline_;  ///< The timer is armed for then.
    std::deque<Action> actions_;

    Multipath() = default;

    // Choosing.
    PathId choose(const IoShape& io, Instant now);
    PathId choose_in(GroupNumber number, const IoShape& io, Instant now);
    PathId choose_new_group(const IoShape& io, Instant now);
    void enter_group(GroupNumber number);

    // Paths and groups.
    Path& take_back(const Ticket& ticket, Instant now);
    void fail_path(Path& path, std::string_view failed_by, std::string reason, Instant now);
    void reinstate_path(Path& path);
    void handle_message(const Event& event, Instant now);
    void switch_group(GroupNumber number);
    void set_disabled(GroupNumber number, bool disabled);
    Path& path_of(PathId id) { return entries_[order_[id]]; }

    // With no path left.
    bool queueing() const { return queue_ && !expired_; }
    void lose_last_path(Instant now);
    void find_first_path();
    void start_no_path_timer(Instant now);
    void expire();
    void disarm_no_path_timer();
    void queue_if_no_path(Instant now);
    void fail_if_no_path();

    // The table; in multipath_table.cc.
    struct Survivors;
    static Result<std::vector<Group>> make_groups(const MultipathSpec& spec);
    Survivors find_survivors(const MultipathSpec& spec) const;
    void install(MultipathSpec& spec, std::vector<Group> groups, Instant now);
    void carry_over_groups(const std::vector<GroupNumber>& new_numbers, std::vector<Group>& groups);
    void request_initial_group(GroupNumber number);
    uint32_t new_entry(PathSpec& spec, Instant now);
    void place_path(Path& path, PathId id, GroupNumber group, uint32_t place);
    void change_policy_without_path(const NoPathPolicy& policy, Instant now);

    Action& tell(Action::Kind kind);
    bool take_action(Action& action);
};

}  // namespace braidway::multipath
