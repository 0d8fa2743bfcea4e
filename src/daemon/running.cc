// SPDX-License-Identifier: Apache-2.0
// Long because: a change of the configuration is prepared, refused, committed and undone in one
// place.
#include "daemon/running.h"

#include <fmt/format.h>

#include <algorithm>

namespace braidway::daemon {
namespace {

using multipath::Action;

/// How the daemon tells of a map's action.
struct Telling {
    Severity severity;
    std::string_view kind;
};

Telling telling_of(Action::Kind kind) {
    switch (kind) {
        case Action::Kind::path_failed:
            return {Severity::warning, "path-failed"};
        case Action::Kind::path_reinstated:
            return {Severity::warning, "path-reinstated"};
        case Action::Kind::group_switched:
            return {Severity::warning, "group-switched"};
        case Action::Kind::no_paths_left:
            return {Severity::critical, "no-paths-left"};
        case Action::Kind::paths_back:
            return {Severity::warning, "paths-back"};
        case Action::Kind::fail_held:
            return {Severity::critical, "held-failed"};
        case Action::Kind::activation_failed:
            return {Severity::warning, "activation-failed"};
        case Action::Kind::release_fenced:
            return {Severity::warning, "fence-ended"};
        case Action::Kind::suspended:
            return {Severity::warning, "map-suspended"};
        case Action::Kind::resumed:
            return {Severity::warning, "map-resumed"};
        case Action::Kind::run_held:
        case Action::Kind::defer_held:
        case Action::Kind::activate_path:
        case Action::Kind::arm_no_path_timer:
        case Action::Kind::disarm_no_path_timer:
        case Action::Kind::arm_activation_timer:
        case Action::Kind::arm_fence_timer:
            break;
    }
    return {Severity::debug, "map"};
}

std::vector<std::string> names_of(const std::vector<std::unique_ptr<Volume>>& volumes) {
    std::vector<std::string> names;
    for (const auto& volume : volumes) names.push_back(volume->name());
    return names;
}

}  // namespace

Running::Running(loop::Loop& loop, memory::BufferPool& pool, path::FileStores& stores,
                 EventSink& events)
    : loop_(loop),
      events_(events),
      nursery_(loop),
      surroundings_{loop,
                    pool,
                    stores,
                    *this,
                    graveyard_,
                    [this](Severity severity, std::string kind, const std::string& map,
                           const std::string& path, std::string reason) {
                        tell(severity, std::move(kind), map, path, std::move(reason));
                    }},
      exports_(loop, pool, events) {
    sweep_timer_.owner = drain_timer_.owner = this;
    sweep_timer_.fire = [](loop::Timer& timer, Instant) {
        static_cast<Running*>(timer.owner)->sweep();
    };
    drain_timer_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<Running*>(timer.owner)->drain_step(now);
    };
}

Running::~Running() {
    loop_.disarm(sweep_timer_);
    loop_.disarm(drain_timer_);
}

// --- events -----------------------------------------------------------------------------------

void Running::map_event(const std::string& map, const Action& action, const std::string& path) {
    const Telling telling = telling_of(action.kind);
    EventRecord record;
    record.severity = telling.severity;
    record.kind = telling.kind;
    record.map = map;
    record.path = path;
    record.group = action.group;
    if (action.kind != Action::Kind::group_switched) record.valid_paths = action.valid_paths;
    record.reason = action.reason;
    events_.event(std::move(record));
}

void Running::tell(Severity severity, std::string kind, std::string map, std::string path,
                   std::string reason) {
    EventRecord record;
    record.severity = severity;
    record.kind = std::move(kind);
    record.map = std::move(map);
    record.path = std::move(path);
    record.reason = std::move(reason);
    events_.event(std::move(record));
}

// --- applying a configuration -----------------------------------------------------------------

Volume* Running::find_volume(const std::string& name) {
    for (const auto& volume : volumes_)
        if (volume->name() == name) return volume.get();
    return nullptr;
}

void Running::connect_fabrics(const std::vector<FabricWish>& paths, std::function<void()> done) {
    nursery_.drop(graveyard_);
    nursery_.connect(paths, std::move(done));
}

Result<void> Running::apply(Wanted wanted) {
    // Everything that can fail comes first and changes nothing that runs.
    std::vector<Prepared> prepared;
    std::vector<std::unique_ptr<Volume>> fresh;
    auto built = build(wanted, prepared, fresh);
    if (built) {
        built = apply_built(wanted, prepared, fresh);
    } else {
        for (auto& volume : fresh) volume->bury(graveyard_);
        for (Prepared& step : prepared) Volume::discard(step.change, graveyard_);
    }
    nursery_.drop(graveyard_);
    sweep();
    return built;
}

Result<void> Running::apply_built(Wanted& wanted, std::vector<Prepared>& prepared,
                                  std::vector<std::unique_ptr<Volume>>& fresh) {
    for (const std::string& name : wanted.exports_removed)
        exports_.remove(name, [this] { sweep(); });
    for (Prepared& step : prepared) {
        for (const auto& unit : step.change.fresh)
            if (unit != nullptr && unit->fabric() != nullptr) tell_path_opened(*unit);
        step.volume->commit(std::move(step.change), graveyard_);
    }
    for (auto& volume : fresh) {
        for (const auto& unit : volume->units()) tell_path_opened(*unit);
        volumes_.push_back(std::move(volume));
    }
    remove_maps(wanted.maps_removed);
    for (const PathConfig& path : wanted.config.paths) {
        const auto [volume, unit] = find_path(path.name);
        if (volume != nullptr) volume->set_check(*unit, path);
    }
    exports_.set_connections_max(wanted.config.daemon.nbd_connections_max);
    renew_tls(wanted);
    // In the same turn, so that an address is kept that the new export shares with the old one.
    for (WantedExport& changed : wanted.exports_changed) {
        exports_.remove(changed.config.name, [this] { sweep(); });
        wanted.exports_added.push_back(std::move(changed));
    }
    for (WantedExport& added : wanted.exports_added) {
        Volume& volume = *find_volume(added.config.map);
        // Its sockets are open and its values are checked; what can still fail is not worth half a
        // change.
        const std::string map = added.config.map;
        if (auto done = exports_.add(std::move(added), volume); !done)
            tell(Severity::critical, "export-lost", map, "", done.error().message);
    }
    return {};
}

Result<void> Running::build(Wanted& wanted, std::vector<Prepared>& prepared,
                            std::vector<std::unique_ptr<Volume>>& fresh) {
    if (auto good = check_renewed_tls(wanted); !good) return good;
    for (Wanted::Map& map : wanted.maps) {
        for (WantedPath& path : map.paths)
            if (path.config.device.is_fabric()) path.opened = nursery_.take(path.config.name);
        Volume* running = find_volume(map.config.name);
        if (running == nullptr) {
            auto volume = Volume::create(surroundings_, map.config, std::move(map.paths));
            if (!volume) return std::unexpected(volume.error());
            fresh.push_back(std::move(*volume));
        } else {
            for (WantedPath& path : map.paths)
                if (std::ranges::find(wanted.paths_kept, path.config.name) !=
                    wanted.paths_kept.end())
                    path.kept = running->find_path(path.config.name);
            auto change = running->prepare(map.config, std::move(map.paths));
            if (!change) return std::unexpected(change.error());
            prepared.push_back({running, std::move(*change)});
        }
    }
    for (const auto* exports : {&wanted.exports_added, &wanted.exports_changed})
        for (const WantedExport& wanted_export : *exports) {
            Volume* volume = find_volume(wanted_export.config.map);
            for (const auto& made : fresh)
                if (made->name() == wanted_export.config.map) volume = made.get();
            if (auto good = exports_.check(wanted_export, *volume); !good) return good;
        }
    return {};
}

/// Certificates or keys that have become unreadable are refused, like those of exports: the path
/// works with what it has. One that has none already can lose nothing.
Result<void> Running::check_renewed_tls(const Wanted& wanted) {
    for (const auto& [name, fresh] : wanted.path_tls_renewed) {
        PathUnit* unit = find_path(name).second;
        if (unit != nullptr && unit->tls()->context != nullptr && fresh->context == nullptr)
            return fail(fmt::format("path {}: {}", name, fresh->problem), EINVAL);
    }
    return {};
}

void Running::renew_tls(const Wanted& wanted) {
    for (const auto& [name, context] : wanted.tls_renewed) exports_.renew_tls(name, context);
    for (const auto& [name, fresh] : wanted.path_tls_renewed) {
        const auto [volume, unit] = find_path(name);
        if (unit == nullptr) continue;
        *unit->tls() = *fresh;
        // It may be what the path was waiting for.
        if (!unit->works() && unit->config().check.checker != CheckConfig::Checker::none)
            volume->find_checker(*unit)->check_now();
    }
}

void Running::remove_maps(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const auto found = std::ranges::find_if(
            volumes_, [&](const auto& volume) { return volume->name() == name; });
        CHECK(found != volumes_.end(), "a map that is removed is there");
        // Its clients are being drained; nothing is held any more, neither now nor later.
        (*found)->map().shut_down();
        closing_.push_back(std::move(*found));
        volumes_.erase(found);
    }
}

void Running::tell_path_opened(const PathUnit& unit) {
    // Why was told as a critical event.
    if (unit.fenced_off()) return;
    if (!unit.works()) {
        tell(Severity::warning, "path-unusable", "", unit.name(), unit.problem());
        return;
    }
    if (unit.fabric() != nullptr)
        tell(Severity::info, "path-connected", "", unit.name(), unit.finding().description);
    if (unit.file() != nullptr && !unit.file()->file().remark.empty())
        tell(Severity::warning, "path-remark", "", unit.name(), unit.file()->file().remark);
}

void Running::sweep() {
    std::erase_if(closing_, [this](const std::unique_ptr<Volume>& volume) {
        if (volume->map().counters().in_flight != 0 || exports_.uses(volume->map())) return false;
        volume->bury(graveyard_);
        return true;
    });
    const bool clean = graveyard_.sweep() && closing_.empty();
    if (!clean) loop_.arm_after(sweep_timer_, limits::sweep_interval);
}

// --- commands ---------------------------------------------------------------------------------

std::pair<Volume*, PathUnit*> Running::find_path(const std::string& name) {
    for (const auto& volume : volumes_)
        if (PathUnit* unit = volume->find_path(name)) return {volume.get(), unit};
    return {nullptr, nullptr};
}

Result<Volume*> Running::volume_or_error(const std::string& name) {
    if (Volume* volume = find_volume(name)) return volume;
    return fail(fmt::format("no map is called '{}'; there are: {}", name,
                            fmt::join(names_of(volumes_), ", ")),
                ENOENT);
}

Result<std::string> Running::execute(const Command& command) {
    if (shutting_down_) return fail("the daemon is shutting down", ESHUTDOWN);
    switch (command.kind) {
        case Command::Kind::fail_path:
        case Command::Kind::reinstate_path:
        case Command::Kind::set_layer:
        case Command::Kind::check_path:
            return path_command(command);
        case Command::Kind::switch_group:
        case Command::Kind::disable_group:
        case Command::Kind::enable_group:
        case Command::Kind::queue_if_no_path:
        case Command::Kind::fail_if_no_path:
            return map_command(command);
        case Command::Kind::suspend_map:
        case Command::Kind::resume_map:
            return suspend_or_resume(command);
        case Command::Kind::reload:
            break;
    }
    return fail("a reload is not for the lane", EINVAL);
}

Result<std::string> Running::path_command(const Command& command) {
    const auto [volume, unit] = find_path(command.path);
    if (unit == nullptr) {
        std::vector<std::string> names;
        for (const auto& known : volumes_)
            for (const auto& path : known->units()) names.push_back(path->name());
        return fail(fmt::format("no path is called '{}'; there are: {}", command.path,
                                fmt::join(names, ", ")),
                    ENOENT);
    }
    if (command.kind == Command::Kind::set_layer) {
        auto text = unit->set_layer(command);
        if (text) tell(Severity::info, "layer-set", volume->name(), unit->name(), *text);
        return text;
    }
    if (command.kind == Command::Kind::check_path) {
        volume->find_checker(*unit)->check_now();
        return fmt::format("path {}: checking", unit->name());
    }
    multipath::Event event;
    const bool failing = command.kind == Command::Kind::fail_path;
    event.message = failing ? multipath::Message::fail_path : multipath::Message::reinstate_path;
    event.path = volume->index_of(*unit);
    event.sticky = command.hold;
    event.reason = command.hold ? "held down by an operator" : "failed by an operator";
    if (!failing) event.reason = "reinstated by an operator";
    if (auto done = volume->map().handle(event); !done)
        return fail(fmt::format("map {}: {}", volume->name(), done.error().message),
                    done.error().code);
    if (!failing) return fmt::format("path {}: reinstated", unit->name());
    return fmt::format(
        "path {}: failed{}", unit->name(),
        command.hold ? ", until it is reinstated" : "; the next good check reinstates it");
}

Result<std::string> Running::map_command(const Command& command) {
    auto volume = volume_or_error(command.map);
    if (!volume) return std::unexpected(volume.error());
    multipath::Event event;
    event.group = command.group;
    std::string text;
    switch (command.kind) {
        case Command::Kind::switch_group:
            event.message = multipath::Message::switch_group;
            text = fmt::format("map {}: group {} is used from the next I/O on", command.map,
                               command.group);
            break;
        case Command::Kind::disable_group:
            event.message = multipath::Message::disable_group;
            text = fmt::format("map {}: group {} disabled", command.map, command.group);
            break;
        case Command::Kind::enable_group:
            event.message = multipath::Message::enable_group;
            text = fmt::format("map {}: group {} enabled", command.map, command.group);
            break;
        case Command::Kind::queue_if_no_path:
            event.message = multipath::Message::queue_if_no_path;
            text = fmt::format("map {}: I/O is held when no path is left", command.map);
            break;
        case Command::Kind::fail_if_no_path:
            event.message = multipath::Message::fail_if_no_path;
            text = fmt::format("map {}: I/O fails when no path is left", command.map);
            break;
        default:
            return fail("not a command for a map", EINVAL);
    }
    if (auto done = (*volume)->map().handle(event); !done)
        return fail(fmt::format("map {}: {}", command.map, done.error().message),
                    done.error().code);
    tell(Severity::info, "map-command", command.map, "", text);
    return text;
}

Result<std::string> Running::suspend_or_resume(const Command& command) {
    auto volume = volume_or_error(command.map);
    if (!volume) return std::unexpected(volume.error());
    map::MapDevice& map = (*volume)->map();
    const bool suspending = command.kind == Command::Kind::suspend_map;
    if (auto done = suspending ? map.suspend(command.noflush) : map.resume(); !done)
        return fail(fmt::format("map {}: {}", command.map, done.error().message),
                    done.error().code);
    // The map tells of the end of both itself.
    return fmt::format("map {}: {}", command.map,
                       suspending ? "I/O is put off until it is resumed" : "I/O goes on");
}

void Running::fill_snapshot(Snapshot& snapshot) {
    const Instant now = loop_.now();
    snapshot.io_backend = loop_.description();
    const loop::LoopCounters& counters = loop_.counters();
    snapshot.loop_turns = counters.turns;
    snapshot.loop_sleeps = counters.sleeps;
    snapshot.loop_system_calls = counters.system_calls;
    for (const auto& volume : volumes_) {
        snapshot.maps.push_back(volume->map_snapshot(now));
        volume->path_snapshots(now, snapshot.paths);
    }
    exports_.fill_snapshot(snapshot);
    for (const ExportSnapshot& served : snapshot.exports)
        for (MapSnapshot& map : snapshot.maps)
            if (map.name == served.map) map.exports.push_back(served.name);
}

void Running::clear() {
    nursery_.drop(graveyard_);
    for (auto& volume : volumes_) {
        volume->map().shut_down();
        closing_.push_back(std::move(volume));
    }
    volumes_.clear();
    sweep();
}

}  // namespace braidway::daemon
