// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/dm_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/units.h"

namespace braidway::apps {
namespace {

using multipath::DmTarget;
using multipath::GroupSpec;
using multipath::MultipathSpec;
using multipath::PathSpec;
using multipath::QueueMode;

/// A word of the table and what it means.
struct Meaning {
    std::string_view word;
    std::string_view meaning;
};

constexpr std::array selectors{
    Meaning{"round-robin", "every path in its turn, one I/O each"},
    Meaning{"queue-length", "the path with the fewest I/Os in flight"},
    Meaning{"service-time",
            "the path that should be done first: bytes in flight by relative throughput"},
    Meaning{"historical-service-time",
            "the path that should be done first, by how long its I/Os took so far"},
    Meaning{"io-affinity", "the path that belongs to the CPU the I/O comes from"},
    Meaning{"round-robin-count", "every path in its turn, for a number of I/Os or bytes each"},
    Meaning{"latency", "the path with the lowest measured latency"},
};

constexpr std::array handlers{
    Meaning{"alua",
            "SCSI arrays with asymmetric access (ALUA): asks which ports are optimized, and "
            "makes a group's ports so"},
    Meaning{"emc", "Dell EMC CLARiiON and VNX: moves the LUN to the other processor (trespass)"},
    Meaning{"rdac",
            "IBM DS, NetApp E-Series, Dell MD and kin: moves the LUN to the other controller "
            "(mode select)"},
    Meaning{"hp_sw", "HP MSA and EVA, active/passive: starts the unit on the other controller"},
};

std::string_view meaning_of(std::span<const Meaning> known, std::string_view word) {
    const auto found = std::ranges::find(known, word, &Meaning::word);
    return found == known.end() ? "unknown to the kernel" : found->meaning;
}

std::string_view plural(size_t count) {
    return count == 1 ? "" : "s";
}

std::string size_text(const multipath::DmLine& line) {
    constexpr uint64_t sector_bytes = 512;
    if (line.length_sectors > UINT64_MAX / sector_bytes)
        return fmt::format("{} sectors", line.length_sectors);
    return fmt::format("{} ({} sectors)", format_size(line.length_sectors * sector_bytes),
                       line.length_sectors);
}

void append_handler(const MultipathSpec& map, std::string& text) {
    if (map.handler.name.empty()) {
        text += "Hardware handler: none\n";
    } else {
        std::string arguments;
        multipath::append_dm_words(arguments, map.handler.parameters);
        text += fmt::format("Hardware handler: {}{}: {}\n", map.handler.name, arguments,
                            meaning_of(handlers, map.handler.name));
    }
    if (map.retain_attached_handler)
        text += "A handler that a device has already is kept (retain_attached_hw_handler).\n";
    if (map.pg_init_retries > 0)
        text +=
            fmt::format("Activating a group is tried again up to {} time{} (pg_init_retries).\n",
                        map.pg_init_retries, plural(map.pg_init_retries));
    if (map.pg_init_delay)
        text += fmt::format("A delayed activation waits {} (pg_init_delay_msecs).\n",
                            format_duration(*map.pg_init_delay));
}

/// What the words behind a path mean, of those that change anything.
std::string path_note(const GroupSpec& group, const PathSpec& path) {
    const bool throughput = group.selector == "service-time" && path.arguments.size() > 1;
    if (throughput && path.arguments[1] == "0") return "  only when no other path is left";
    if (throughput) return fmt::format("  relative throughput {}", path.arguments[1]);
    if (group.selector == "io-affinity" && !path.arguments.empty())
        return fmt::format("  CPU mask {}", path.arguments[0]);
    return "";
}

/// When group `number` is used.
std::string order_of(const MultipathSpec& map, size_t number) {
    const size_t count = map.groups.size();
    const size_t first = map.initial_group > count ? 1 : map.initial_group;
    if (count == 1) return "";
    if (number == first) return ", tried first";
    return number == 1 ? ", the first choice once the one tried first has no path left" : "";
}

void append_groups(const MultipathSpec& map, std::string& text) {
    for (size_t at = 0; at < map.groups.size(); ++at) {
        const GroupSpec& group = map.groups[at];
        std::string own;
        multipath::append_dm_words(own, group.selector_arguments);
        text += fmt::format("\nGroup {} of {}{}\n  {}{}: {}\n", at + 1, map.groups.size(),
                            order_of(map, at + 1), group.selector, own,
                            meaning_of(selectors, group.selector));
        size_t width = 0;
        for (const PathSpec& path : group.paths) width = std::max(width, path.name.size());
        for (const PathSpec& path : group.paths) {
            const std::string note = path_note(group, path);
            text += note.empty() ? fmt::format("    {}\n", path.name)
                                 : fmt::format("    {:<{}}{}\n", path.name, width, note);
        }
    }
    if (map.groups.size() > 1)
        text +=
            "\nI/O stays in a group while it has a path; then the first group that has one is "
            "taken,\ndisabled groups last. Going back to a better group takes a message "
            "(switch_group).\n";
}

}  // namespace

std::string dm_target_text(const DmTarget& target) {
    const std::string name = target.line.name.empty() ? "" : target.line.name + ": ";
    return fmt::format("{}{} {} multipath {}", name, target.line.start_sectors,
                       target.line.length_sectors, multipath::dm_table_text(target.map));
}

std::string explain_dm_target(const DmTarget& target, const std::string& line) {
    const std::string back = dm_target_text(target);
    // As printed back, what was left out is filled in.
    const auto filled_in = multipath::parse_dm_target(back, nullptr);
    const MultipathSpec& map = target.map;
    const size_t groups = map.groups.size();
    size_t paths = 0;
    for (const GroupSpec& group : map.groups) paths += group.paths.size();
    std::string text = fmt::format(
        "{}{}, {} path{} in {} group{}\n", target.line.name.empty() ? "" : target.line.name + ": ",
        size_text(target.line), paths, plural(paths), groups, plural(groups));
    text += map.no_path.queue ? "Without a path: I/O waits until one is back (queue_if_no_path).\n"
                              : "Without a path: I/O fails at once.\n";
    if (map.queue_mode == QueueMode::bio)
        text += "I/O goes to the paths bio by bio, not as whole requests (queue_mode bio).\n";
    append_handler(map, text);
    append_groups(filled_in ? filled_in->map : map, text);
    if (fmt::format("{}", fmt::join(multipath::split_dm_words(line), " ")) != back)
        text += fmt::format("\nThe kernel would print it back as\n  {}\n", back);
    for (const std::string& warning : dm_target_warnings(target))
        text += fmt::format("\nWarning: {}", warning);
    return text.ends_with('\n') ? text : text + "\n";
}

}  // namespace braidway::apps
