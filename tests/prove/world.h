// SPDX-License-Identifier: Apache-2.0
// One state of a small map: its brain, and the map's part played in the simplest correct way.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "multipath/multipath.h"
#include "prove/config.h"
#include "prove/move.h"

namespace braidway::prove {

inline constexpr uint32_t world_paths_max = 4;
inline constexpr uint32_t world_requests_max = 4;

/// Where a request is: exactly one of these at any time.
enum class Place : uint8_t {
    done,      ///< Answered; forgotten at the end of the move.
    in_hand,   ///< Only inside a move.
    on_path,   ///< In flight.
    held,      ///< Until run_held, fail_held or defer_held.
    delayed,   ///< Until it is tried again, later.
    fenced,    ///< Until release_fenced.
    deferred,  ///< Until resumed.
};

/// One request of a world.
struct Request {
    Place place = Place::done;
    multipath::Ticket ticket;
};

/// What was seen of a move: the brain's actions (by Action::Kind), then what became of requests.
enum class Told : uint8_t {
    sent = 17,
    held,
    failed,
    deferred,
    delayed,
    fenced,
    answered,
};
inline constexpr unsigned told_kinds = 24;
std::string_view told_name(unsigned bit);

/// A move as the parts of a map see it: what it is about. no_path and 0 = all of them.
struct Happening {
    MoveKind kind = MoveKind::begin;
    multipath::PathId path = multipath::no_path;
    multipath::GroupNumber group = 0;
};

/// A brain with hands.
///
/// What is left out of append_key() is what decides nothing: names, reasons, times, counters that
/// only grow. Time: every move happens a nanosecond after the one before; a timer that is due is
/// told the brain with its deadline as the time, an early one just before that. So timers go off in
/// any order, whatever their lengths; only the order of the ends of fences, which share a timer, is
/// part of the key.
/// Requests are merged when they are in the same place, on (or last on) the same path as far as
/// that still counts, and have had as many tries: the brain knows of a request nothing but its
/// ticket and its length, and all are of one length, which round-robin and queue-length do not look
/// at. The order in which waiting requests run again is open: each order is a move of its own.
class World {
  public:
    explicit World(const Config& config);
    World(const World& other);
    World& operator=(const World&) = delete;
    ~World() = default;

    /// Appends all that can happen now; of requests that are alike one.
    void append_moves(std::vector<Move>& moves) const;
    /// Does it. `move` is one of append_moves(), or the same with another order.
    void step(Move move);
    Happening happening(Move move) const;
    /// After step(): how many orders the waiting requests could have been run in. 1 = they all were
    /// alike, or none was run.
    uint32_t orders() const { return orders_; }
    /// What the last step() told, as bits of Told.
    uint32_t told() const { return told_; }

    void append_key(std::vector<uint64_t>& key) const;
    /// What must hold between moves; the first thing that does not, in words.
    std::optional<std::string> check() const;
    /// What went wrong in the last move, if something did.
    const std::optional<std::string>& violation() const { return violation_; }
    /// Why the search does not go on from here, or nothing.
    std::optional<std::string_view> cut() const;
    /// Reinstates `path`, answers everything: is there then a request left, or a wrong book?
    std::optional<std::string> drain(multipath::PathId path) const;

    const multipath::Multipath& brain() const { return *brain_; }
    const Config& config() const { return *config_; }
    bool suspending() const { return hands_.state == Running::suspending; }
    std::string words_of(Move move) const;
    std::string words() const;

  private:
    enum class Running : uint8_t { running, suspending, suspended };
    /// Everything but the brain, so that it is copied at one stroke.
    struct Hands {
        std::array<Request, world_requests_max> requests;
        uint32_t live = 0;
        uint64_t begun = 0;
        uint64_t ended = 0;
        std::array<uint8_t, world_paths_max> activations{};  ///< Asked and not answered.
        std::array<uint8_t, world_paths_max> ended_twice{};  ///< As MapDevice::end_unsent.
        std::array<bool, world_paths_max> up{};              ///< As the brain told.
        std::array<bool, world_paths_max> vetoed{};
        std::array<Instant, world_paths_max> fence_ends{};
        std::optional<Instant> no_path_timer;
        std::optional<Instant> activation_timer;
        std::optional<Instant> fence_timer;
        Running state = Running::running;
        bool noflush = false;
        Instant now{1};
    };

    const Config* config_;
    std::unique_ptr<multipath::Multipath> brain_;
    Hands hands_;
    uint32_t orders_ = 1;
    uint32_t told_ = 0;
    bool draining_ = false;
    std::optional<std::string> violation_;

    // Moves; in world_moves.cc.
    void append_request_moves(std::vector<Move>& moves) const;
    void append_path_moves(std::vector<Move>& moves) const;
    void append_timer_moves(std::vector<Move>& moves) const;
    bool allowed(MoveKind kind) const { return !config_->without[static_cast<size_t>(kind)]; }
    multipath::Event event_of(Move move) const;
    Instant time_of(MoveKind kind) const;
    void happen(Move move);
    void tell_brain(Move move);

    // The map's part; in world_hands.cc.
    void begin();
    void dispatch(Request& request);
    void answer(Request& request, MoveKind kind);
    void obey(Request& request, multipath::Verdict verdict);
    void go_on(Request& request);
    void place(Request& request, Place place, Told told);
    void finish(Request& request);
    void end_unsent(Request& request);
    void drain_actions();
    void obey_action(const multipath::Action& action);
    void run_held();
    void fail_held();
    void defer_held();
    void release_fenced(uint32_t entry, bool resend);
    void take_deferred();
    void check_traffic();
    void activate(multipath::PathId path);
    void see(Told told) { told_ |= 1U << static_cast<unsigned>(told); }

    // Order and merging.
    uint32_t class_of(const Request& request) const;
    void sort_requests();
    void put_in_order(uint32_t order);
    void count_orders(Place place);
    uint32_t count(Place place) const;
    uint32_t count(Place place, multipath::PathId path) const;

    // What must hold; in world_check.cc.
    void must(bool holds, std::string_view words);
    std::optional<std::string> check_books(const multipath::MultipathStatus& status) const;
    std::optional<std::string> check_waiting(const multipath::MultipathStatus& status) const;
    std::optional<std::string> check_suspension() const;
    std::optional<std::string> check_next_choice(const multipath::MultipathStatus& status) const;
    bool usable(multipath::PathId path) const;
    void answer_everything(multipath::PathId path, bool& reinstated);
};

}  // namespace braidway::prove
