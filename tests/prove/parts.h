// SPDX-License-Identifier: Apache-2.0
// The parts of the brain that have states, and what was seen to happen to them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "prove/world.h"

namespace braidway::prove {

/// A kind of part.
enum class Part : uint8_t { path, group, suspension, handler, queueing };
inline constexpr unsigned part_kinds = 5;

/// The states of all parts of one world, one number below part_states() each.
struct Parts {
    std::array<uint8_t, world_paths_max> paths{};
    std::array<uint8_t, 2> groups{};
    uint8_t suspension = 0;
    uint8_t handler = 0;
    uint8_t queueing = 0;
};

Parts parts_of(const World& world);
unsigned part_states(Part part);
std::string part_state_name(Part part, unsigned state);

/// What happened to a part in one state at one event.
struct Cell {
    uint64_t times = 0;
    uint32_t became = 0;                ///< Bit for each state that followed.
    std::array<uint32_t, 18> told{};    ///< By state that followed: what was ever told.
    std::array<uint32_t, 18> always{};  ///< ... what was told each time.
};

/// An event as a part sees it: its kind, and whether it names this part or another of its kind.
struct Seen {
    MoveKind kind;
    bool elsewhere;
};

/// What was seen of all parts in a search.
class Visits {
  public:
    Visits();
    void count(const Config& config, const Parts& before, Move move, const Parts& after,
               uint32_t told, bool same);
    const Cell& cell(Part part, unsigned state, Seen event) const;

  private:
    std::array<std::vector<Cell>, part_kinds> cells_;
    void count_one(Part part, unsigned before, Seen event, unsigned after, uint32_t told);
};

}  // namespace braidway::prove
