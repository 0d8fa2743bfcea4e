// SPDX-License-Identifier: Apache-2.0
// Moves and worlds in words.
#include <fmt/format.h>

#include "prove/world.h"

namespace braidway::prove {

std::string_view told_name(unsigned bit) {
    static constexpr std::array<std::string_view, told_kinds> names{"path_failed",
                                                                    "path_reinstated",
                                                                    "group_switched",
                                                                    "no_paths_left",
                                                                    "paths_back",
                                                                    "run_held",
                                                                    "fail_held",
                                                                    "arm_no_path_timer",
                                                                    "disarm_no_path_timer",
                                                                    "activate_path",
                                                                    "arm_activation_timer",
                                                                    "activation_failed",
                                                                    "release_fenced",
                                                                    "arm_fence_timer",
                                                                    "defer_held",
                                                                    "suspended",
                                                                    "resumed",
                                                                    "sent",
                                                                    "held",
                                                                    "failed",
                                                                    "deferred",
                                                                    "delayed",
                                                                    "fenced",
                                                                    "answered"};
    return names[bit];
}

namespace {

std::string_view place_name(Place place) {
    static constexpr std::array<std::string_view, 7> names{"done",    "in hand", "on",      "held",
                                                           "delayed", "fenced",  "deferred"};
    return names[static_cast<size_t>(place)];
}

}  // namespace

std::string World::words_of(Move move) const {
    std::string text(move_kind_name(move.kind));
    switch (target_of(move.kind)) {
        case Target::none:
            break;
        case Target::request: {
            const Request& request = hands_.requests[move.target];
            text += fmt::format(" from p{}, try {}", request.ticket.path, request.ticket.attempts);
            break;
        }
        case Target::path:
            text += fmt::format(" p{}", move.target);
            break;
        case Target::group:
            text += fmt::format(" {}", move.target);
            break;
    }
    if (move.order != 0) text += fmt::format(" (held requests in order {})", move.order);
    return text;
}

std::string World::words() const {
    const multipath::MultipathStatus status = brain_->status();
    std::string text;
    for (const auto& group : status.groups) {
        const char letter = "EAD"[static_cast<size_t>(group.state)];
        text += fmt::format("{}{}[", letter, group.number == status.current_group ? "*" : "");
        for (const auto id : group.paths) {
            const auto& path = status.paths[id];
            text += fmt::format(" {}{}{}{}", path.name,
                                path.state == multipath::PathState::up ? "" : " down",
                                path.sticky ? " sticky" : "", path.vetoed ? " vetoed" : "");
            if (hands_.activations[id] > 0)
                text += fmt::format(" activating:{}", hands_.activations[id]);
        }
        text += " ] ";
    }
    static constexpr std::array<std::string_view, 3> states{"running", "suspending", "suspended"};
    text += states[static_cast<size_t>(hands_.state)];
    if (status.initialising) text += ", initialising";
    text += status.queueing ? ", queueing" : status.no_path_expired ? ", expired" : ", failing";
    if (hands_.no_path_timer) text += ", no-path timer";
    if (hands_.activation_timer) text += ", activation timer";
    if (hands_.fence_timer) text += ", fence timer";
    for (uint32_t index = 0; index < hands_.live; ++index) {
        const Request& request = hands_.requests[index];
        text += fmt::format("{} {}", index == 0 ? "; requests:" : ",", place_name(request.place));
        if (request.ticket.attempts > 0)
            text += fmt::format(" p{} try {}", request.ticket.path, request.ticket.attempts);
    }
    return text;
}

}  // namespace braidway::prove
