// SPDX-License-Identifier: Apache-2.0
// What is doubtful in a table that device-mapper accepts.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "apps/braidway/dm_explain.h"

namespace braidway::apps {
namespace {

using multipath::DmTarget;
using multipath::GroupSpec;
using multipath::MultipathSpec;
using multipath::PathSpec;

constexpr std::array<std::string_view, 5> kernel_selectors{
    "round-robin", "queue-length", "service-time", "historical-service-time", "io-affinity"};
constexpr std::array<std::string_view, 4> kernel_handlers{"alua", "emc", "rdac", "hp_sw"};

using Warnings = std::vector<std::string>;

void warn_of_queueing(const MultipathSpec& map, Warnings& warnings) {
    if (!map.no_path.queue) return;
    warnings.emplace_back(
        "queue_if_no_path has no limit: when every path is gone, I/O and whoever waits for it hang "
        "until one is back. Give a limit: no_path_timeout in braidway.toml, no_path_retry N in "
        "multipath.conf, or the kernel's queue_if_no_path_timeout_secs.");
}

void warn_of_handler(const MultipathSpec& map, Warnings& warnings) {
    const std::string& name = map.handler.name;
    if (name.empty()) {
        if (map.pg_init_retries > 0 || map.pg_init_delay)
            warnings.emplace_back(
                "pg_init_retries and pg_init_delay_msecs have no effect without a hardware "
                "handler, unless the devices have one already.");
        return;
    }
    if (std::ranges::find(kernel_handlers, name) == kernel_handlers.end())
        warnings.push_back(fmt::format(
            "The kernel has no hardware handler {}; there are {}. It will refuse the table.",
            multipath::shown_dm_word(name), fmt::join(kernel_handlers, ", ")));
    else
        warnings.push_back(fmt::format(
            "The hardware handler {} is for SCSI devices: the kernel refuses the table with any "
            "other path.",
            name));
    if (!map.handler.parameters.empty())
        warnings.emplace_back("The handler's arguments are used, but never printed back.");
}

bool ignores_first_word(const GroupSpec& group, const PathSpec& path) {
    if (group.selector == "io-affinity" || path.arguments.empty()) return false;
    return std::ranges::find(kernel_selectors, group.selector) != kernel_selectors.end() &&
           multipath::read_dm_number(path.arguments[0]).value_or(0) > 1;
}

void warn_of_selectors(const MultipathSpec& map, Warnings& warnings) {
    size_t ignored = 0;
    for (size_t at = 0; at < map.groups.size(); ++at) {
        const GroupSpec& group = map.groups[at];
        ignored += static_cast<size_t>(std::ranges::count_if(
            group.paths, [&](const PathSpec& path) { return ignores_first_word(group, path); }));
        if (std::ranges::find(kernel_selectors, group.selector) == kernel_selectors.end())
            warnings.push_back(fmt::format(
                "Group {}: {} is Braidway's own; the kernel has no such selector and refuses the "
                "table.",
                at + 1, group.selector));
    }
    if (ignored > 0)
        warnings.push_back(
            fmt::format("{} path{} a repeat count above 1, which is ignored: every I/O chooses "
                        "anew, and 1 is printed back.",
                        ignored, ignored == 1 ? " has" : "s have"));
}

void warn_of_paths(const MultipathSpec& map, Warnings& warnings) {
    std::map<std::string, size_t> times;
    for (const GroupSpec& group : map.groups)
        for (const PathSpec& path : group.paths) ++times[path.name];
    for (const auto& [name, count] : times)
        if (count > 1)
            warnings.push_back(fmt::format(
                "{} is listed {} times: each has a life of its own. A message about it means all, "
                "an I/O error only the one it went through.",
                multipath::shown_dm_word(name), count));
}

}  // namespace

std::vector<std::string> dm_target_warnings(const DmTarget& target) {
    const MultipathSpec& map = target.map;
    Warnings warnings = target.warnings;
    if (target.line.start_sectors != 0)
        warnings.push_back(fmt::format(
            "It starts at sector {}: the kernel refuses a table whose first line does not start "
            "at 0.",
            target.line.start_sectors));
    if (map.groups.empty())
        warnings.emplace_back("There are no paths: every I/O is without a path from the start.");
    warn_of_queueing(map, warnings);
    warn_of_handler(map, warnings);
    if (map.initial_group > map.groups.size())
        warnings.push_back(
            fmt::format("There is no group {} to try first: the first group with a path is taken.",
                        map.initial_group));
    warn_of_selectors(map, warnings);
    warn_of_paths(map, warnings);
    return warnings;
}

}  // namespace braidway::apps
