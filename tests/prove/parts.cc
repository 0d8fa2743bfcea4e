// SPDX-License-Identifier: Apache-2.0
#include "prove/parts.h"

#include <fmt/format.h>

namespace braidway::prove {

using multipath::Activation;
using multipath::GroupState;
using multipath::MultipathStatus;
using multipath::PathState;
using multipath::PathStatus;

namespace {

constexpr unsigned path_bases = 3;
constexpr unsigned path_activation_step = 6;
constexpr unsigned handler_activation_step = 2;

Activation activation_of(const World& world) {
    Activation most = Activation::none;
    for (multipath::PathId path = 0; path < world.config().path_count(); ++path)
        most = std::max(most, world.brain().activation(path));
    return most;
}

std::string_view activation_words(unsigned activation) {
    static constexpr std::array<std::string_view, 3> words{"", ", activation waits",
                                                           ", activation runs"};
    return words[activation];
}

}  // namespace

Parts parts_of(const World& world) {
    const MultipathStatus status = world.brain().status();
    Parts parts;
    for (multipath::PathId id = 0; id < status.paths.size(); ++id) {
        const PathStatus& path = status.paths[id];
        const unsigned base = path.state == PathState::up ? 0 : path.sticky ? 2 : 1;
        const auto activation = static_cast<unsigned>(world.brain().activation(id));
        parts.paths[parts.path_count++] = static_cast<uint8_t>(
            base + (path.vetoed ? path_bases : 0) + path_activation_step * activation);
    }
    for (const auto& group : status.groups)
        parts.groups[parts.group_count++] = static_cast<uint8_t>(group.state);
    parts.suspension = !world.brain().suspended() ? 0 : world.suspending() ? 1 : 2;
    parts.handler =
        static_cast<uint8_t>(unsigned{status.initialising} +
                             handler_activation_step * static_cast<unsigned>(activation_of(world)));
    if (status.valid_paths > 0)
        parts.queueing = status.queueing ? 0 : 1;
    else
        parts.queueing = status.no_path_expired ? 4 : status.queueing ? 2 : 3;
    return parts;
}

std::string_view part_name(Part part) {
    static constexpr std::array<std::string_view, part_kinds> names{"path", "group", "suspension",
                                                                    "handler", "queueing"};
    return names[static_cast<size_t>(part)];
}

unsigned part_states(Part part) {
    static constexpr std::array<unsigned, part_kinds> counts{18, 3, 3, 6, 5};
    return counts[static_cast<size_t>(part)];
}

std::string part_state_name(Part part, unsigned state) {
    static constexpr std::array<std::string_view, 3> paths{"up", "down", "down for good"};
    static constexpr std::array<std::string_view, 3> groups{"enabled", "active", "disabled"};
    static constexpr std::array<std::string_view, 3> suspensions{"running", "suspending",
                                                                 "suspended"};
    static constexpr std::array<std::string_view, 5> queueings{
        "a path, would queue", "a path, would fail", "no path, queueing", "no path, failing",
        "no path, expired"};
    switch (part) {
        case Part::path:
            return fmt::format("{}{}{}", paths[state % path_bases],
                               state / path_bases % 2 == 0 ? "" : ", vetoed",
                               activation_words(state / path_activation_step));
        case Part::group:
            return std::string(groups[state]);
        case Part::suspension:
            return std::string(suspensions[state]);
        case Part::handler:
            return fmt::format("{}{}",
                               state % handler_activation_step == 0 ? "ready" : "initialising",
                               activation_words(state / handler_activation_step));
        case Part::queueing:
            return std::string(queueings[state]);
    }
    return {};
}

std::string part_event_name(Part part, unsigned event) {
    const auto name = move_kind_name(static_cast<MoveKind>(event % move_kinds));
    if (event < move_kinds) return std::string(name);
    return fmt::format("{} (another {})", name, part_name(part));
}

Visits::Visits() {
    for (unsigned part = 0; part < part_kinds; ++part)
        cells_[part].resize(size_t{part_events} * part_states(static_cast<Part>(part)));
}

void Visits::add(const Visits& other) {
    for (size_t part = 0; part < part_kinds; ++part)
        for (size_t at = 0; at < cells_[part].size(); ++at) {
            Cell& cell = cells_[part][at];
            const Cell& added = other.cells_[part][at];
            for (unsigned after = 0; after < part_states_max; ++after) {
                if ((added.became >> after & 1) == 0) continue;
                const bool first = (cell.became >> after & 1) == 0;
                cell.told[after] |= added.told[after];
                cell.always[after] =
                    first ? added.always[after] : cell.always[after] & added.always[after];
            }
            cell.times += added.times;
            cell.became |= added.became;
        }
}

void Visits::count(const Parts& before, const Happening& seen, const Parts& after, uint32_t told) {
    const auto kind = static_cast<unsigned>(seen.kind);
    for (unsigned path = 0; path < before.path_count; ++path) {
        const bool elsewhere = seen.path != multipath::no_path && seen.path != path;
        count_one(Part::path, before.paths[path], kind + (elsewhere ? move_kinds : 0),
                  after.paths[path], told);
    }
    for (unsigned group = 0; group < before.group_count; ++group) {
        const bool elsewhere = seen.group != 0 && seen.group != group + 1;
        count_one(Part::group, before.groups[group], kind + (elsewhere ? move_kinds : 0),
                  after.groups[group], told);
    }
    count_one(Part::suspension, before.suspension, kind, after.suspension, told);
    count_one(Part::handler, before.handler, kind, after.handler, told);
    count_one(Part::queueing, before.queueing, kind, after.queueing, told);
}

void Visits::count_one(Part part, unsigned before, unsigned event, unsigned after, uint32_t told) {
    Cell& cell = cells_[static_cast<size_t>(part)][before * part_events + event];
    ++cell.times;
    const bool first = (cell.became >> after & 1) == 0;
    cell.became |= 1U << after;
    cell.told[after] |= told;
    cell.always[after] = first ? told : cell.always[after] & told;
}

}  // namespace braidway::prove
