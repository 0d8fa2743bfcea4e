// SPDX-License-Identifier: Apache-2.0
// The parts of the brain that have states, and what was seen to happen to them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "prove/world.h"

namespace braidway::prove {

/// A kind of part.
enum class Part : uint8_t { path, group, suspension, handler, queueing };
inline constexpr unsigned part_kinds = 5;
inline constexpr unsigned part_states_max = 18;

/// The states of all parts of one world, each below part_states() of its kind.
struct Parts {
    std::array<uint8_t, world_paths_max> paths{};
    std::array<uint8_t, world_paths_max> groups{};
    uint8_t path_count = 0;
    uint8_t group_count = 0;
    uint8_t suspension = 0;
    uint8_t handler = 0;
    uint8_t queueing = 0;
};

Parts parts_of(const World& world);
std::string_view part_name(Part part);
unsigned part_states(Part part);
std::string part_state_name(Part part, unsigned state);
/// What it means, in a sentence.
std::string part_state_meaning(Part part, unsigned state);

/// A move as one part sees it: moves that name another path or group are told from those that name
/// this one, or none.
inline constexpr unsigned part_events = move_kinds * 2;
std::string part_event_name(Part part, unsigned event);

/// What happened to a part in one state at one event.
struct Cell {
    uint64_t times = 0;
    uint32_t became = 0;  ///< A bit for each state that followed.
    /// By state that followed, bits of Told: what was told once at least, and what each time.
    std::array<uint32_t, part_states_max> told{};
    std::array<uint32_t, part_states_max> always{};
};

/// What was seen of all parts in searches.
class Visits {
  public:
    Visits();
    void add(const Visits& other);
    void count(const Parts& before, const Happening& seen, const Parts& after, uint32_t told);
    const Cell& cell(Part part, unsigned state, unsigned event) const {
        return cells_[static_cast<size_t>(part)][state * part_events + event];
    }

  private:
    std::array<std::vector<Cell>, part_kinds> cells_;
    void count_one(Part part, unsigned before, unsigned event, unsigned after, uint32_t told);
};

/// docs/states.md.
std::string states_text(const Visits& visits);
/// Each pair of a state and an event that `all` has, and how often `tested` saw it; ends with how
/// many it never saw.
std::string coverage_text(const Visits& all, const Visits& tested);
/// How many pairs `visits` has, and how many of them `tested` never saw.
struct Coverage {
    unsigned reachable = 0;
    unsigned missed = 0;
};
Coverage coverage_of(const Visits& all, const Visits& tested);

}  // namespace braidway::prove
