// SPDX-License-Identifier: Apache-2.0
#include "prove/explorer.h"

#include <algorithm>
#include <deque>
#include <memory>

#include <fmt/format.h>

#include "base/check.h"
#include "base/clock.h"
#include "prove/state_set.h"

namespace braidway::prove {
namespace {

/// How a state was reached first.
struct Origin {
    uint32_t parent = 0;
    Move move;
};

class Explorer {
  public:
    Explorer(const Config& config, const Limits& limits, Visits& visits)
        : config_(config), limits_(limits), visits_(visits) {}

    Report run();

  private:
    const Config& config_;
    const Limits& limits_;
    Visits& visits_;
    Report report_;
    StateSet states_;
    std::vector<Origin> origins_;   ///< By number of the state.
    std::vector<Parts> parts_;      ///< By number of the state.
    std::vector<uint32_t> depths_;  ///< First state of each depth.
    /// The worlds of the states from next_ on; null = to be made again.
    std::deque<std::unique_ptr<World>> worlds_;
    uint32_t next_ = 0;
    size_t kept_ = 0;
    std::vector<uint64_t> key_;
    std::optional<Happening> seen_;  ///< The move that is being made.
    std::vector<Move> moves_;

    bool add(std::unique_ptr<World> world, uint32_t parent, Move move);
    void expand(const World& world);
    void take(const World& world, Move move);
    std::unique_ptr<World> make_again(uint32_t state) const;
    std::vector<Move> way_to(uint32_t state) const;
    void found(std::string wrong, uint32_t state, std::optional<Move> last);
};

Report Explorer::run() {
    const Instant start = monotonic_now();
    add(std::make_unique<World>(config_), 0, {});
    uint32_t depth_end = 1;
    for (; next_ < origins_.size() && !report_.finding; ++next_) {
        if (next_ == depth_end) {
            ++report_.depth;
            depth_end = static_cast<uint32_t>(origins_.size());
        }
        std::unique_ptr<World> world = std::move(worlds_.front());
        worlds_.pop_front();
        if (world)
            --kept_;
        else
            world = make_again(next_);
        expand(*world);
    }
    report_.states = origins_.size();
    report_.seconds = std::chrono::duration<double>(monotonic_now() - start).count();
    return report_;
}

void Explorer::expand(const World& world) {
    moves_.clear();
    world.append_moves(moves_);
    const std::vector<Move> moves = moves_;
    for (const Move& move : moves) {
        if (report_.finding) return;
        take(world, move);
    }
}

/// One move, in every order in which the waiting requests may run again.
void Explorer::take(const World& world, Move move) {
    uint32_t orders = 1;
    for (uint32_t order = 0; order < orders && !report_.finding; ++order) {
        move.order = static_cast<uint8_t>(order);
        auto next = std::make_unique<World>(world);
        next->step(move);
        orders = std::max(orders, next->orders());
        ++report_.transitions;
        seen_ = world.happening(move);
        if (next->violation()) return found(*next->violation(), next_, move);
        add(std::move(next), next_, move);
    }
}

/// Takes the state in when it is new.
bool Explorer::add(std::unique_ptr<World> world, uint32_t parent, Move move) {
    if (const auto reason = world->cut()) {
        ++report_.cuts[std::string(*reason)];
        return false;
    }
    key_.clear();
    world->append_key(key_);
    if (states_.size() >= limits_.states_max && !states_.find(key_)) {
        report_.capped = true;
        return false;
    }
    const uint32_t told = world->told();
    const auto [state, is_new] = states_.insert(key_);
    if (is_new) {
        origins_.push_back({parent, move});
        parts_.push_back(parts_of(*world));
        auto wrong = world->check();
        for (multipath::PathId path = 0; path < config_.path_count() && !wrong; ++path)
            wrong = world->drain(path);
        if (wrong) found(std::move(*wrong), state, std::nullopt);
        if (kept_ < limits_.worlds_max) {
            worlds_.push_back(std::move(world));
            ++kept_;
        } else {
            worlds_.emplace_back();
        }
    }
    if (!origins_.empty() && seen_) visits_.count(parts_[parent], *seen_, parts_[state], told);
    return is_new;
}

std::vector<Move> Explorer::way_to(uint32_t state) const {
    std::vector<Move> way;
    for (; state != 0; state = origins_[state].parent) way.push_back(origins_[state].move);
    std::reverse(way.begin(), way.end());
    return way;
}

std::unique_ptr<World> Explorer::make_again(uint32_t state) const {
    auto world = std::make_unique<World>(config_);
    for (const Move& move : way_to(state)) world->step(move);
    return world;
}

void Explorer::found(std::string wrong, uint32_t state, std::optional<Move> last) {
    std::vector<Move> way = way_to(state);
    if (last) way.push_back(*last);
    Finding& finding = report_.finding.emplace();
    finding.wrong = std::move(wrong);
    World world(config_);
    for (const Move& move : way) {
        std::string words = world.words_of(move);
        world.step(move);
        std::string told;
        for (unsigned bit = 0; bit < told_kinds; ++bit)
            if ((world.told() >> bit & 1) != 0) told += fmt::format(" {}", told_name(bit));
        finding.events.push_back(fmt::format("{} ->{}\n       {}", words, told, world.words()));
    }
}

}  // namespace

Report explore(const Config& config, const Limits& limits, Visits& visits) {
    return Explorer(config, limits, visits).run();
}

}  // namespace braidway::prove
