// SPDX-License-Identifier: Apache-2.0
#include "daemon/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/units.h"
#include "daemon/table.h"

namespace braidway::daemon {
namespace {

using Column = Table::Column;
constexpr Table::Align right = Table::Align::right;
constexpr Table::Align left = Table::Align::left;

const PathSnapshot* find_path(const Snapshot& snapshot, std::string_view name) {
    const auto found = std::ranges::find(snapshot.paths, name, &PathSnapshot::name);
    return found == snapshot.paths.end() ? nullptr : &*found;
}

std::string check_word(const PathSnapshot& path) {
    if (path.check == "pending" || path.check == "timeout") return "i/o " + path.check;
    return path.check.empty() || path.check == "unchecked" ? "undef" : path.check;
}

/// The words of one path, one for each column of the tree.
std::vector<std::string> tree_words(const Snapshot& snapshot, const std::string& name) {
    const PathSnapshot* path = find_path(snapshot, name);
    if (path == nullptr) return {name, "-", "undef", "undef", "undef"};
    return {path->name, path->device, path->state == "up" ? "active" : "failed", check_word(*path),
            path->held_down ? "held" : "running"};
}

using Tree = std::vector<std::vector<std::vector<std::string>>>;  // Groups, paths, words.

std::vector<size_t> tree_widths(const Tree& groups) {
    std::vector<size_t> widths;
    for (const auto& paths : groups)
        for (const auto& words : paths) {
            widths.resize(words.size());
            for (size_t at = 0; at < words.size(); ++at)
                widths[at] = std::max(widths[at], shown_width(words[at]));
        }
    return widths;
}

std::string tree_line(const std::vector<std::string>& words, const std::vector<size_t>& widths) {
    std::string line;
    for (size_t at = 0; at < words.size(); ++at) {
        line += words[at];
        if (at + 1 < words.size())
            line += std::string(widths[at] - shown_width(words[at]) + 1, ' ');
    }
    return line + "\n";
}

std::string map_tree(const Snapshot& snapshot, const MapSnapshot& map) {
    Tree tree;
    for (const GroupSnapshot& group : map.groups) {
        tree.emplace_back();
        for (const std::string& name : group.paths)
            tree.back().push_back(tree_words(snapshot, name));
    }
    const std::vector<size_t> widths = tree_widths(tree);
    std::string text;
    for (size_t at = 0; at < tree.size(); ++at) {
        const bool last_group = at + 1 == tree.size();
        text += fmt::format("{}-+- policy='{} 0' prio=0 status={}\n", last_group ? '`' : '|',
                            map.groups[at].selector, map.groups[at].state);
        for (size_t path = 0; path < tree[at].size(); ++path)
            text += fmt::format("{} {}- {}", last_group ? ' ' : '|',
                                path + 1 == tree[at].size() ? '`' : '|',
                                tree_line(tree[at][path], widths));
    }
    return text;
}

std::string ago(const std::optional<Duration>& length) {
    return length ? format_duration(*length) + " ago" : "never";
}

std::string error_counts(const PathSnapshot& path) {
    std::string text;
    for (unsigned at = 1; at < io_statuses; ++at)
        if (path.outcomes[at] != 0)
            text += fmt::format("{}{}={}", text.empty() ? "" : " ",
                                io_status_name(static_cast<IoStatus>(at)), path.outcomes[at]);
    return text.empty() ? "-" : text;
}

std::string number(uint64_t value) {
    return fmt::format("{}", value);
}

void add_path_notes(Table& table, const PathSnapshot& path) {
    if (!path.failed_by.empty())
        table.add_note(fmt::format(
            "    {} {} by {}{}: {}", path.state == "up" ? "last failed" : "failed",
            ago(path.failed_ago), path.failed_by, path.held_down ? " (held until reinstated)" : "",
            path.failure_reason.empty() ? "no reason given" : path.failure_reason));
    if (!path.check_message.empty())
        table.add_note(fmt::format("    check {}: {}", ago(path.checked_ago), path.check_message));
    if (path.fabric && path.io_mode != "closed")
        table.add_note(fmt::format("    leads to {}, {}", path.identity, path.connection));
    for (const LayerSnapshot& layer : path.layers)
        if (layer.enabled)
            table.add_note(fmt::format("    layer {} on: {}", layer.kind, layer.parameters));
}

}  // namespace

std::string topology_text(const Snapshot& snapshot) {
    std::string text;
    for (size_t at = 0; at < snapshot.maps.size(); ++at) {
        const MapSnapshot& map = snapshot.maps[at];
        text += fmt::format("{} dm-{} BRAIDWAY,VOLUME\n", map.name, at);
        text +=
            fmt::format("size={} features='{}' hwhandler='0' wp={}\n", format_size(map.size_bytes),
                        map.queueing ? "1 queue_if_no_path" : "0", map.read_only ? "ro" : "rw");
        text += map_tree(snapshot, map);
    }
    return text;
}

std::string paths_text(const Snapshot& snapshot) {
    Table table({{"PATH", left},
                 {"MAP", left},
                 {"GROUP", right},
                 {"STATE", left},
                 {"CHECK", left},
                 {"CHECKED", left},
                 {"NEXT", left},
                 {"MODE", left},
                 {"SIZE", right},
                 {"IN FLIGHT", right},
                 {"READS", right},
                 {"WRITES", right},
                 {"OTHERS", right},
                 {"READ", right},
                 {"WRITTEN", right},
                 {"FAILS", right},
                 {"ERRORS", left},
                 {"DEVICE", left}});
    for (const PathSnapshot& path : snapshot.paths) {
        table.add({path.name, path.map.empty() ? "-" : path.map, number(path.group),
                   path.held_down ? path.state + ",held" : path.state, path.check,
                   ago(path.checked_ago),
                   path.next_check_in ? "in " + format_duration(*path.next_check_in) : "-",
                   path.io_mode, format_size(path.size_bytes), number(path.in_flight),
                   number(path.reads), number(path.writes), number(path.others),
                   format_size(path.read_bytes), format_size(path.written_bytes),
                   number(path.fail_count), error_counts(path), path.device});
        add_path_notes(table, path);
    }
    return table.text();
}

std::string dm_text(const Snapshot& snapshot) {
    std::string text;
    for (const MapSnapshot& map : snapshot.maps)
        text += fmt::format("{0}: {1}\n{0}: {2}\n", map.name, map.dm_table, map.dm_status);
    return text;
}

std::string maps_text(const Snapshot& snapshot) {
    Table table({{"MAP", left},
                 {"SIZE", right},
                 {"BLOCK", right},
                 {"MODE", left},
                 {"PATHS", right},
                 {"GROUP", right},
                 {"NO PATH", left},
                 {"HELD", right},
                 {"HELD BYTES", right},
                 {"HELD FOR", left},
                 {"IN FLIGHT", right},
                 {"RETRIES", right},
                 {"EVER HELD", right},
                 {"FAILED", right},
                 {"EXPORTS", left}});
    for (const MapSnapshot& map : snapshot.maps) {
        std::string policy = map.no_path_policy;
        if (map.no_path_expired) policy += " (over)";
        if (!map.state.empty() && map.state != "running") policy += ", " + map.state;
        table.add({map.name, format_size(map.size_bytes), number(map.block_bytes),
                   map.read_only ? "ro" : "rw",
                   fmt::format("{}/{}", map.valid_paths, map.path_count), number(map.current_group),
                   policy, number(map.held_requests), format_size(map.held_bytes),
                   map.held_age ? format_duration(*map.held_age) : "-", number(map.in_flight),
                   number(map.retries), number(map.held_ever), number(map.failed_to_client),
                   map.exports.empty() ? "-" : fmt::format("{}", fmt::join(map.exports, ","))});
        for (const GroupSnapshot& group : map.groups)
            table.add_note(fmt::format("    group {}{}: {}, {}: {}", group.number,
                                       group.name.empty() ? "" : fmt::format(" ({})", group.name),
                                       group.state, group.selector, fmt::join(group.paths, " ")));
    }
    return table.text();
}

std::string exports_text(const Snapshot& snapshot) {
    Table table({{"EXPORT", left},
                 {"MAP", left},
                 {"MODE", left},
                 {"CONNECTIONS", right},
                 {"IN FLIGHT", right},
                 {"REQUESTS", right},
                 {"ERRORS", right},
                 {"ADDRESSES", left},
                 {"DESCRIPTION", left}});
    for (const ExportSnapshot& each : snapshot.exports)
        table.add({each.name, each.map, each.read_only ? "ro" : "rw", number(each.connections),
                   number(each.in_flight), number(each.requests), number(each.errors),
                   fmt::format("{}", fmt::join(each.addresses, " ")), each.description});
    return table.text();
}

std::string status_text(const Snapshot& snapshot) {
    uint64_t up = 0;
    for (const PathSnapshot& path : snapshot.paths)
        if (path.state == "up") ++up;
    uint64_t without_paths = 0;
    for (const MapSnapshot& map : snapshot.maps)
        if (map.valid_paths == 0) ++without_paths;
    std::string text = fmt::format(
        "version:      {}\npid:          {}\nuptime:       {}\n"
        "I/O backend:  {}\nconfig:       {}\n",
        snapshot.version, snapshot.pid, format_duration(snapshot.uptime), snapshot.io_backend,
        snapshot.config_file.empty() ? "built-in demo" : snapshot.config_file);
    text += fmt::format("reloads:      {}{}\n", snapshot.reloads,
                        snapshot.last_reload.empty() ? "" : ", the last: " + snapshot.last_reload);
    text +=
        fmt::format("maps:         {}{}\n", snapshot.maps.size(),
                    without_paths == 0 ? "" : fmt::format(", {} WITHOUT A PATH", without_paths));
    text += fmt::format("paths:        {} of {} up\nexports:      {}\nconnections:  {}\n", up,
                        snapshot.paths.size(), snapshot.exports.size(), snapshot.connections);
    text += fmt::format("loop:         {} turns, {} sleeps, {} system calls\n", snapshot.loop_turns,
                        snapshot.loop_sleeps, snapshot.loop_system_calls);
    return text;
}

}  // namespace braidway::daemon
