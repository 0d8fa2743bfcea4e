// SPDX-License-Identifier: Apache-2.0
// The parts of a configuration joined: names that must exist, addresses that must not collide, and
// keys that paths inherit from their map and from [defaults].
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/units.h"
#include "daemon/config_sections.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

template <typename T>
std::vector<std::string> names_of(const std::vector<T>& all) {
    std::vector<std::string> names;
    for (const T& each : all) names.push_back(each.name);
    return names;
}

/// "expected one of a1, a2": short, also when there are thousands.
std::string known_names(const std::vector<std::string>& names, std::string_view sort) {
    constexpr size_t shown_max = 8;
    if (names.empty()) return fmt::format("there is no [{}.NAME] section", sort);
    const std::span shown = std::span(names).first(std::min(names.size(), shown_max));
    return fmt::format("expected one of {}{}", fmt::join(shown, ", "),
                       names.size() > shown_max ? ", ..." : "");
}

struct LevelledCheck {
    const InheritedKeys* path;
    const InheritedKeys* map;
    const InheritedKeys* defaults;

    template <typename T>
    T pick(std::optional<T> InheritedKeys::* key, T otherwise) const {
        for (const InheritedKeys* level : {path, map, defaults})
            if (level->*key) return *(level->*key);
        return otherwise;
    }

    /// The nearest interval, and the nearest longest one unless a nearer interval outgrew it.
    void intervals(CheckConfig& check) const {
        constexpr int longest_factor = 4;
        check.polling_interval = pick(&InheritedKeys::polling_interval, check.polling_interval);
        check.max_polling_interval =
            pick(&InheritedKeys::max_polling_interval, longest_factor * check.polling_interval);
        if (check.max_polling_interval < check.polling_interval)
            check.max_polling_interval = longest_factor * check.polling_interval;
    }
};

void inherit(Draft& draft, const std::map<std::string, size_t>& map_of_path) {
    const InheritedKeys nothing;
    for (size_t at = 0; at < draft.config.paths.size(); ++at) {
        PathConfig& path = draft.config.paths[at];
        const auto map = map_of_path.find(path.name);
        const LevelledCheck levels{
            &draft.path_keys[at],
            map == map_of_path.end() ? &nothing : &draft.map_keys[map->second], &draft.defaults};
        path.check.checker = levels.pick(&InheritedKeys::checker, path.check.checker);
        path.check.timeout = levels.pick(&InheritedKeys::checker_timeout, path.check.timeout);
        path.io_timeout =
            levels.pick(&InheritedKeys::io_timeout, IoTimeout{limits::io_timeout_default}).length;
        levels.intervals(path.check);
    }
}

/// What only the whole file tells of paths over iSCSI.
void name_initiators(Draft& draft) {
    for (PathConfig& path : draft.config.paths) {
        IscsiPathConfig& iscsi = path.device.iscsi;
        if (path.device.kind != DeviceConfig::Kind::iscsi) continue;
        if (iscsi.initiator.empty()) iscsi.initiator = draft.default_initiator.value_or("");
    }
    name_initiator_ports(draft.config);
}

/// "map.db.groups[1].paths[2]": where `path` is first used, counted from 1 as in messages.
std::string place_of(const Config& config, std::string_view path) {
    for (const MapConfig& map : config.maps)
        for (size_t group = 0; group < map.groups.size(); ++group)
            for (size_t at = 0; at < map.groups[group].paths.size(); ++at)
                if (map.groups[group].paths[at].path == path)
                    return fmt::format("map.{}.groups[{}].paths[{}]", map.name, group + 1, at + 1);
    return {};
}

void check_path_names(const Draft& draft, ProblemList& problems) {
    const std::vector<std::string> names = names_of(draft.config.paths);
    std::map<std::string_view, bool> known;
    for (const std::string& name : names) known.emplace(name, true);
    for (const auto& [name, line] : draft.path_use_lines)
        if (!known.contains(name))
            problems.add(line, place_of(draft.config, name),
                         fmt::format("no path is called '{}'{}; {}", name,
                                     did_you_mean(name, names), known_names(names, "path")));
    for (const PathConfig& path : draft.config.paths)
        if (!draft.path_use_lines.contains(path.name))
            problems.add(path.line, "path." + path.name,
                         "is in no map; put it into a group of a map or take it out");
}

/// A write in doubt must be sent again before its map answers it with an error.
void check_quiesce(const Draft& draft, ProblemList& problems) {
    for (const MapConfig& map : draft.config.maps) {
        if (map.quiesce_time) continue;
        for (const GroupConfig& group : map.groups)
            for (const GroupPath& each : group.paths) {
                const PathConfig* path = draft.config.path(each.path);
                if (path == nullptr || !path->device.is_fabric()) continue;
                if (path->device.resend_quiesce() >= map.fence_timeout)
                    problems.add(path->line, fmt::format("path.{}.resend_quiesce", path->name),
                                 fmt::format("{} is not shorter than the fence_timeout of map {} "
                                             "({}), which would answer its writes with an error",
                                             format_duration(path->device.resend_quiesce()),
                                             map.name, format_duration(map.fence_timeout)));
            }
    }
}

void check_exports(const Draft& draft, ProblemList& problems) {
    const std::vector<std::string> names = names_of(draft.config.maps);
    for (const ExportConfig& each : draft.config.exports)
        if (!each.map.empty() && std::ranges::find(names, each.map) == names.end())
            problems.add(each.line, fmt::format("export.{}.map", each.name),
                         fmt::format("no map is called '{}'{}; {}", each.map,
                                     did_you_mean(each.map, names), known_names(names, "map")));
}

/// Exports may share an address, but not half of one, and never the control socket.
void check_addresses(const Draft& draft, ProblemList& problems) {
    struct Listener {
        const Address* address;
        const ExportConfig* owner;
    };
    std::map<std::string, Listener> listeners;  // By text: each address once.
    const Address api{
        .kind = Address::Kind::unix_socket, .path = draft.config.api.socket, .host = {}, .port = 0};
    for (const ExportConfig& each : draft.config.exports) {
        const std::string key = fmt::format("export.{}.nbd", each.name);
        for (const Address& address : each.nbd) {
            if (address == api)
                problems.add(
                    each.line, key,
                    fmt::format("'{}' is the control socket (api.socket)", address.text()));
            if (const auto shared = listeners.find(address.text()); shared != listeners.end()) {
                const ExportConfig& other = *shared->second.owner;
                if (other.tls != each.tls || other.tls_files != each.tls_files)
                    problems.add(each.line, key,
                                 fmt::format("'{}' is also of export '{}', whose tls keys differ; "
                                             "TLS begins before an export is chosen: write the "
                                             "same keys in both, or use two addresses",
                                             address.text(), other.name));
            }
            for (const auto& [text, other] : listeners)
                if (address.kind == Address::Kind::tcp && *other.address != address &&
                    exports::addresses_collide(*other.address, address))
                    problems.add(each.line, key,
                                 fmt::format("'{}' and '{}' of export '{}' cannot both be "
                                             "listened on",
                                             address.text(), text, other.owner->name));
            listeners.emplace(address.text(), Listener{&address, &each});
        }
    }
}

}  // namespace

void join_sections(Draft& draft, ProblemList& problems) {
    std::map<std::string, size_t> map_of_path;
    for (size_t at = 0; at < draft.config.maps.size(); ++at)
        for (const GroupConfig& group : draft.config.maps[at].groups)
            for (const GroupPath& each : group.paths) map_of_path.emplace(each.path, at);
    check_path_names(draft, problems);
    check_quiesce(draft, problems);
    check_exports(draft, problems);
    check_addresses(draft, problems);
    inherit(draft, map_of_path);
    name_initiators(draft);
}

void name_initiator_ports(Config& config) {
    for (PathConfig& path : config.paths) {
        if (path.device.kind != DeviceConfig::Kind::iscsi) continue;
        const MapConfig* map = config.map_of_path(path.name);
        if (map == nullptr) continue;
        path.device.iscsi.place = fmt::format("{} {}", config.api.socket, map->name);
    }
}

}  // namespace braidway::daemon
