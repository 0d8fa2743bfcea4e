// SPDX-License-Identifier: Apache-2.0
// What must hold in every state of a world, whatever happened.
#include <fmt/format.h>

#include "prove/world.h"

namespace braidway::prove {

using multipath::GroupState;
using multipath::MultipathStatus;
using multipath::PathId;
using multipath::PathState;
using multipath::PathStatus;
using multipath::Route;

void World::must(bool holds, std::string_view words) {
    if (!holds && !violation_) violation_ = words;
}

std::optional<std::string> World::check() const {
    const MultipathStatus status = brain_->status();
    if (auto wrong = check_books(status)) return wrong;
    if (auto wrong = check_waiting(status)) return wrong;
    if (auto wrong = check_suspension()) return wrong;
    return check_next_choice(status);
}

/// The brain counts what the hands count, and has told of each path what it shows.
std::optional<std::string> World::check_books(const MultipathStatus& status) const {
    uint32_t up = 0;
    for (PathId id = 0; id < status.paths.size(); ++id) {
        const PathStatus& path = status.paths[id];
        const bool is_up = path.state == PathState::up;
        up += is_up;
        if (is_up != hands_.up[id]) return fmt::format("{}: told another state", path.name);
        if (is_up && path.sticky) return fmt::format("{}: up, and failed for good", path.name);
        if (path.vetoed != hands_.vetoed[id]) return fmt::format("{}: vetoed or not", path.name);
        if (path.in_flight != count(Place::on_path, id) || path.in_flight_bytes != path.in_flight)
            return fmt::format("{}: {} in flight, by the brain's count {}", path.name,
                               count(Place::on_path, id), path.in_flight);
        if (path.fenced != count(Place::fenced, id))
            return fmt::format("{}: {} fenced, by the brain's count {}", path.name,
                               count(Place::fenced, id), path.fenced);
        if (!config_->strict && hands_.activations[id] > 1)
            return fmt::format("{}: activated while it is being activated", path.name);
    }
    if (status.valid_paths != up || brain_->valid_paths() != up)
        return fmt::format("{} paths up, by the brain's count {}", up, status.valid_paths);
    uint32_t active = 0;
    for (const auto& group : status.groups) active += group.state == GroupState::active;
    if (active > 1) return "two groups are active";
    return std::nullopt;
}

/// Nothing waits without somebody who will run it again; not for ever where there is a limit.
std::optional<std::string> World::check_waiting(const MultipathStatus& status) const {
    if (status.no_path_expired && (status.valid_paths > 0 || status.queueing))
        return "the time without a path has run out, but there is a path or queueing";
    if (config_->fault == Fault::claims_nothing_waits && count(Place::held) > 0)
        return "a request is held";
    for (PathId path = 0; path < config_->path_count(); ++path)
        if (count(Place::fenced, path) > 0 &&
            (!hands_.fence_timer || *hands_.fence_timer > hands_.fence_ends[path]))
            return fmt::format("p{}: nothing ends the fence in time", path);
    if (count(Place::held) == 0 || hands_.activation_timer) return std::nullopt;
    // The end of an activation runs them again.
    for (const uint8_t running : hands_.activations)
        if (running > 0) return std::nullopt;
    if (status.valid_paths > 0)
        return "a request is held though there is a path and no activation is going on";
    if (!status.queueing) return "a request is held without a path, but the map does not queue";
    if (!config_->strict && !hands_.no_path_timer)
        return "a request is held without a path, and no timer ends it";
    return std::nullopt;
}

std::optional<std::string> World::check_suspension() const {
    if (brain_->suspended() != (hands_.state != Running::running))
        return "the brain and the map differ about the suspension";
    if (hands_.state != Running::suspended) {
        if (hands_.state == Running::running && count(Place::deferred) > 0)
            return "a request is deferred in a running map";
        return std::nullopt;
    }
    if (count(Place::on_path) > 0) return "a request is on a path of a suspended map";
    // In the kernel a request that waits for a path goes on waiting.
    if (count(Place::held) > 0 && !(config_->strict && hands_.noflush))
        return "a request is held in a suspended map";
    // In the kernel a path that comes back is activated even then.
    for (const uint8_t running : hands_.activations)
        if (running > 0 && !config_->strict) return "an activation runs in a suspended map";
    return std::nullopt;
}

bool World::usable(PathId path) const {
    return brain_->path_state(path) == PathState::up && !hands_.vetoed[path];
}

/// A new request does what status says: goes to the group that is shown (unless only for want of
/// another number), or without a path is held, put off, or failed.
std::optional<std::string> World::check_next_choice(const MultipathStatus& status) const {
    if (hands_.state == Running::suspended) return std::nullopt;
    const auto asked = brain_->clone();
    const Route route = asked->route({.length_bytes = 1}, hands_.now);
    if (status.valid_paths == 0) {
        const bool put_off = hands_.state == Running::suspending && hands_.noflush;
        const bool first_hold = status.queueing && !(put_off && !config_->strict);
        const Route::Kind expected = first_hold ? Route::Kind::hold
                                     : put_off  ? Route::Kind::defer
                                                : Route::Kind::fail;
        if (route.kind != expected) return "without a path a new request is not treated as shown";
        return std::nullopt;
    }
    if (status.current_group == 0) return "no group is shown though there are groups";
    const auto& shown = status.groups[status.current_group - 1];
    const multipath::DmInfo info = brain_->dm_info();
    if (info.group != status.current_group) return "two numbers of the group in use";
    for (const auto& group : status.groups)
        if (group.state == GroupState::active && group.number != shown.number)
            return "the letter A and the number are of different groups";
    bool has_path = false;
    for (const PathId path : shown.paths) has_path = has_path || usable(path);
    // Shown for want of another number: the first group, disabled and perhaps not in use.
    const bool unsaid = shown.number == 1 && shown.state == GroupState::disabled;
    if (!has_path || unsaid) return std::nullopt;
    const uint32_t chosen = route.kind == Route::Kind::path ? status.paths[route.ticket.path].group
                                                            : asked->status().current_group;
    if (chosen != shown.number)
        return fmt::format("group {} is shown, and the next request goes to group {}", shown.number,
                           chosen);
    return std::nullopt;
}

// --- nothing is stuck ---------------------------------------------------------------------------

/// One round of answering all that waits for an answer.
void World::answer_everything(PathId path, bool& reinstated) {
    while (count(Place::on_path) > 0 && !violation_)
        for (uint32_t index = 0; index < hands_.live; ++index)
            if (hands_.requests[index].place == Place::on_path) {
                step({MoveKind::answer_ok, static_cast<uint8_t>(index)});
                break;
            }
    for (PathId asked = 0; asked < config_->path_count(); ++asked)
        while (hands_.activations[asked] > 0 && !violation_)
            step({MoveKind::activated_ok, static_cast<uint8_t>(asked)});
    if (hands_.activation_timer) step({MoveKind::activation_timer});
    if (hands_.fence_timer) step({MoveKind::fence_timer});
    for (uint32_t index = 0; index < hands_.live; ++index)
        if (hands_.requests[index].place == Place::delayed) {
            step({MoveKind::send_delayed, static_cast<uint8_t>(index)});
            break;
        }
    if (hands_.state == Running::suspended) step({MoveKind::resume});
    if (hands_.state != Running::running || reinstated) return;
    reinstated = true;
    step({MoveKind::path_admitted, static_cast<uint8_t>(path)});
    step({MoveKind::reinstate_path, static_cast<uint8_t>(path)});
}

std::optional<std::string> World::drain(PathId path) const {
    World world(*this);
    bool reinstated = false;
    const auto idle = [&] {
        uint32_t activations = 0;
        for (const uint8_t running : world.hands_.activations) activations += running;
        return reinstated && world.hands_.live == 0 && activations == 0 &&
               world.hands_.state == Running::running;
    };
    for (unsigned round = 0; round < 16 && !idle() && !world.violation_; ++round)
        world.answer_everything(path, reinstated);
    if (world.violation_)
        return fmt::format("when p{} is reinstated and everything answered: {}", path,
                           *world.violation_);
    if (!idle())
        return fmt::format("stuck: p{} is reinstated and everything answered, and there remain: {}",
                           path, world.words());
    if (auto wrong = world.check())
        return fmt::format("when p{} is reinstated and everything answered: {}", path, *wrong);
    return std::nullopt;
}

}  // namespace braidway::prove
