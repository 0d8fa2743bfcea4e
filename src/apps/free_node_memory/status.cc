// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/status.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "apps/free_node_memory/progress.h"
#include "base/units.h"

namespace braidway::apps {
namespace {

constexpr size_t bar_width = 30;

/// A line of the table. Indented ones are parts of the line above.
struct Line {
    std::string_view name;
    const char* key;
    uint64_t bytes;
};

std::vector<Line> lines_of(const memory::NodeState& state) {
    return {{"free", "free_bytes", state.free},
            {"page cache", "page_cache_bytes", state.page_cache()},
            {"  mapped", "mapped_page_cache_bytes", state.mapped_page_cache()},
            {"  active", "active_file_bytes", state.file_active},
            {"  dirty", "dirty_bytes", state.dirty},
            {"  writeback", "writeback_bytes", state.writeback},
            {"anonymous", "anonymous_bytes", state.anon_pages},
            {"tmpfs, shared", "shmem_bytes", state.shmem},
            {"mlocked", "mlocked_bytes", state.mlocked},
            {"slab reclaimable", "slab_reclaimable_bytes", state.slab_reclaimable},
            {"slab other", "slab_unreclaimable_bytes", state.slab_unreclaimable}};
}

}  // namespace

std::string status_text(const std::vector<NodeStatus>& nodes, const memory::SwapState& swap) {
    std::string text;
    for (const NodeStatus& each : nodes) {
        text += fmt::format("node {}: {}\n", each.node, format_size(each.state.total));
        for (const Line& line : lines_of(each.state)) {
            const double share = each.state.total == 0 ? 0
                                                       : 100.0 * static_cast<double>(line.bytes) /
                                                             static_cast<double>(each.state.total);
            text +=
                fmt::format("  {:<17} {:>7} {:>5.1f} % {}\n", line.name, format_size(line.bytes),
                            share, bar_of(line.bytes, each.state.total, bar_width));
        }
    }
    return text +
           fmt::format("swap: {} of {} free\n", format_size(swap.free), format_size(swap.total));
}

std::string status_json(const std::vector<NodeStatus>& nodes, const memory::SwapState& swap) {
    nlohmann::ordered_json json{{"schema_version", 1}, {"nodes", nlohmann::ordered_json::array()}};
    for (const NodeStatus& each : nodes) {
        nlohmann::ordered_json one{{"node", each.node}, {"total_bytes", each.state.total}};
        for (const Line& line : lines_of(each.state)) one[line.key] = line.bytes;
        json["nodes"].push_back(std::move(one));
    }
    json["swap"] = {{"total_bytes", swap.total}, {"free_bytes", swap.free}};
    return json.dump(2) + "\n";
}

int run_status(const FreeCommand& free, const NodeMemoryContext& context) {
    const auto machine = context.machine(free.root);
    memory::Settings settings = free.settings;
    if (!settings.nodes) settings.nodes.emplace();
    const auto nodes = resolve_nodes(*machine, settings);
    if (!nodes) return complain(context, nodes.error().message, node_memory_usage);
    std::vector<NodeStatus> found;
    for (const uint32_t node : *nodes) {
        const auto state = memory::read_node_state(*machine, node, memory::Refresh::yes);
        if (!state) return complain(context, state.error().message, node_memory_failed);
        found.push_back({node, *state});
    }
    const auto swap = memory::read_swap_state(*machine).value_or(memory::SwapState{});
    return answer(context, free.json ? status_json(found, swap) : status_text(found, swap),
                  node_memory_done);
}

}  // namespace braidway::apps
