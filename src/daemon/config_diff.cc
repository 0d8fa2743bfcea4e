// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace braidway::daemon {
namespace {

template <typename T>
using ByName = std::unordered_map<std::string_view, const T*>;

template <typename T>
ByName<T> by_name(const std::vector<T>& all) {
    ByName<T> found;
    for (const T& each : all) found.emplace(each.name, &each);
    return found;
}

template <typename T>
const T* find(const ByName<T>& all, std::string_view name) {
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second;
}

std::unordered_map<std::string_view, std::string_view> maps_of_paths(const Config& config) {
    std::unordered_map<std::string_view, std::string_view> maps;
    for (const MapConfig& map : config.maps)
        for (const GroupConfig& group : map.groups)
            for (const GroupPath& path : group.paths) maps.emplace(path.path, map.name);
    return maps;
}

void compare_paths(const Config& old_config, const Config& new_config, ConfigDiff& diff) {
    const auto old_paths = by_name(old_config.paths);
    const auto new_paths = by_name(new_config.paths);
    const auto old_maps = maps_of_paths(old_config);
    const auto new_maps = maps_of_paths(new_config);
    for (const PathConfig& path : new_config.paths) {
        const PathConfig* before = find(old_paths, path.name);
        if (before == nullptr) {
            diff.paths_added.push_back(path.name);
            continue;
        }
        const bool same =
            before->device == path.device && before->block_bytes == path.block_bytes &&
            before->read_only == path.read_only && old_maps.at(path.name) == new_maps.at(path.name);
        if (!same) {
            diff.paths_replaced.push_back(path.name);
            diff.paths_added.push_back(path.name);
            continue;
        }
        const PathChange change{path.name, before->layers != path.layers,
                                before->check != path.check, before->io_timeout != path.io_timeout};
        if (change.layers || change.check || change.io_timeout)
            diff.paths_changed.push_back(change);
    }
    for (const PathConfig& path : old_config.paths)
        if (find(new_paths, path.name) == nullptr ||
            std::ranges::find(diff.paths_replaced, path.name) != diff.paths_replaced.end())
            diff.paths_removed.push_back(path.name);
}

/// Group names are for people: a new one changes nothing.
bool same_groups(const std::vector<GroupConfig>& one, const std::vector<GroupConfig>& other) {
    return std::ranges::equal(one, other, [](const GroupConfig& a, const GroupConfig& b) {
        return a.selector == b.selector && a.selector_arguments == b.selector_arguments &&
               a.paths == b.paths;
    });
}

void compare_maps(const Config& old_config, const Config& new_config, ConfigDiff& diff,
                  ConfigProblems& refusals) {
    const auto old_maps = by_name(old_config.maps);
    const auto new_maps = by_name(new_config.maps);
    for (const MapConfig& map : new_config.maps) {
        const MapConfig* before = find(old_maps, map.name);
        if (before == nullptr) {
            diff.maps_added.push_back(map.name);
            continue;
        }
        if (before->read_only != map.read_only)
            refusals.push_back({new_config.file, map.line,
                                fmt::format("map.{}.read_only", map.name),
                                "cannot change while the map is served; restart the daemon, or "
                                "remove the map, reload and add it again"});
        const bool replaced_path = std::ranges::any_of(map.groups, [&](const GroupConfig& group) {
            return std::ranges::any_of(group.paths, [&](const GroupPath& path) {
                return std::ranges::find(diff.paths_replaced, path.path) !=
                       diff.paths_replaced.end();
            });
        });
        const MapChange change{.name = map.name,
                               .groups = replaced_path || !same_groups(before->groups, map.groups),
                               .no_path = before->no_path != map.no_path,
                               .held_limits = before->held_requests_max != map.held_requests_max ||
                                              before->held_bytes_max != map.held_bytes_max,
                               .retries = before->attempts_max != map.attempts_max ||
                                          before->quiesce_time != map.quiesce_time ||
                                          before->fence_timeout != map.fence_timeout,
                               .kernel_strict = before->kernel_strict != map.kernel_strict,
                               .wwid = before->wwid != map.wwid,
                               .handler = before->handler != map.handler,
                               .initial_group = before->initial_group != map.initial_group};
        if (change.groups || change.no_path || change.held_limits || change.retries ||
            change.kernel_strict || change.wwid || change.handler || change.initial_group)
            diff.maps_changed.push_back(change);
    }
    for (const MapConfig& map : old_config.maps)
        if (find(new_maps, map.name) == nullptr) diff.maps_removed.push_back(map.name);
}

void compare_exports(const Config& old_config, const Config& new_config, ConfigDiff& diff) {
    const auto old_exports = by_name(old_config.exports);
    const auto new_exports = by_name(new_config.exports);
    for (const ExportConfig& each : new_config.exports) {
        const ExportConfig* before = find(old_exports, each.name);
        if (before == nullptr) {
            diff.exports_added.push_back(each.name);
            continue;
        }
        if (before->map != each.map) {
            diff.exports_replaced.push_back(each.name);
            diff.exports_added.push_back(each.name);
            continue;
        }
        const ExportChange change{
            each.name, before->nbd != each.nbd,
            before->read_only != each.read_only || before->description != each.description ||
                before->minimum_block != each.minimum_block ||
                before->maximum_payload != each.maximum_payload ||
                before->extended_headers != each.extended_headers || before->tls != each.tls ||
                before->tls_files != each.tls_files};
        if (change.addresses || change.options) diff.exports_changed.push_back(change);
    }
    for (const ExportConfig& each : old_config.exports)
        if (find(new_exports, each.name) == nullptr ||
            std::ranges::find(diff.exports_replaced, each.name) != diff.exports_replaced.end())
            diff.exports_removed.push_back(each.name);
}

void compare_daemons(const Config& old_config, const Config& new_config, ConfigDiff& diff,
                     ConfigProblems& refusals) {
    constexpr std::string_view restart = "cannot change while the daemon runs; restart it";
    if (old_config.api.socket != new_config.api.socket ||
        old_config.api.mode != new_config.api.mode)
        refusals.push_back(
            {new_config.file, new_config.api.line, "api.socket, api.mode", std::string(restart)});
    const DaemonConfig& before = old_config.daemon;
    const DaemonConfig& after = new_config.daemon;
    if (before.io_backend != after.io_backend)
        refusals.push_back({new_config.file, 0, "daemon.io_backend", std::string(restart)});
    diff.log_changed = before.log_level != after.log_level || before.log_format != after.log_format;
    diff.shutdown_timeout_changed = before.shutdown_timeout != after.shutdown_timeout;
    diff.connections_max_changed = before.nbd_connections_max != after.nbd_connections_max;
}

template <typename Names>
void summarise(std::string& text, const Names& names, std::string_view sort,
               std::string_view what) {
    if (names.empty()) return;
    if (!text.empty()) text += ", ";
    if constexpr (requires { names.front().name; })
        text += names.size() == 1 ? fmt::format("{} {} {}", sort, names.front().name, what)
                                  : fmt::format("{} {}s {}", names.size(), sort, what);
    else
        text += names.size() == 1 ? fmt::format("{} {} {}", sort, names.front(), what)
                                  : fmt::format("{} {}s {}", names.size(), sort, what);
}

std::vector<std::string> without(const std::vector<std::string>& names,
                                 const std::vector<std::string>& replaced) {
    std::vector<std::string> left;
    for (const std::string& name : names)
        if (std::ranges::find(replaced, name) == replaced.end()) left.push_back(name);
    return left;
}

}  // namespace

std::expected<ConfigDiff, ConfigProblems> diff_configs(const Config& old_config,
                                                       const Config& new_config) {
    ConfigDiff diff;
    ConfigProblems refusals;
    compare_daemons(old_config, new_config, diff, refusals);
    compare_paths(old_config, new_config, diff);
    compare_maps(old_config, new_config, diff, refusals);
    compare_exports(old_config, new_config, diff);
    if (!refusals.empty()) return std::unexpected(std::move(refusals));
    return diff;
}

bool ConfigDiff::empty() const {
    return paths_added.empty() && paths_removed.empty() && paths_changed.empty() &&
           maps_added.empty() && maps_removed.empty() && maps_changed.empty() &&
           exports_added.empty() && exports_removed.empty() && exports_changed.empty() &&
           !log_changed && !shutdown_timeout_changed && !connections_max_changed;
}

std::string ConfigDiff::summary() const {
    std::string text;
    summarise(text, without(paths_added, paths_replaced), "path", "added");
    summarise(text, without(paths_removed, paths_replaced), "path", "removed");
    summarise(text, paths_replaced, "path", "replaced");
    summarise(text, paths_changed, "path", "changed");
    summarise(text, maps_added, "map", "added");
    summarise(text, maps_removed, "map", "removed");
    summarise(text, maps_changed, "map", "changed");
    summarise(text, without(exports_added, exports_replaced), "export", "added");
    summarise(text, without(exports_removed, exports_replaced), "export", "removed");
    summarise(text, exports_replaced, "export", "replaced");
    summarise(text, exports_changed, "export", "changed");
    if (log_changed || shutdown_timeout_changed || connections_max_changed)
        text += text.empty() ? "daemon settings changed" : ", daemon settings changed";
    return text.empty() ? "nothing changed" : text;
}

}  // namespace braidway::daemon
