// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace braidway::memory {
namespace {

constexpr std::string_view nodes_path = "/sys/devices/system/node/";

/// Calls `take(name, number)` for each line "name number ..."; other lines are skipped. A colon
/// after the name belongs to nobody.
template <typename Take>
void for_each_count(std::string_view text, Take take) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const size_t blank = line.find(' ');
        if (blank == std::string_view::npos) continue;
        std::string_view name = line.substr(0, blank);
        if (name.ends_with(':')) name.remove_suffix(1);
        line.remove_prefix(std::min(line.find_first_not_of(' ', blank), line.size()));
        uint64_t number = 0;
        const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), number);
        if (error == std::errc() && stop != line.data()) take(name, number);
    }
}

struct Counter {
    std::string_view name;
    uint64_t NodeState::* place;
};

/// In pages; several names may add up.
constexpr Counter counters[] = {
    {"nr_free_pages", &NodeState::free},
    {"nr_active_file", &NodeState::file_active},
    {"nr_inactive_file", &NodeState::file_inactive},
    {"nr_file_pages", &NodeState::file_pages},
    {"nr_swapcached", &NodeState::swap_cache},
    {"nr_mapped", &NodeState::mapped},
    {"nr_anon_pages", &NodeState::anon_pages},
    {"nr_active_anon", &NodeState::anon_lru},
    {"nr_inactive_anon", &NodeState::anon_lru},
    {"nr_shmem", &NodeState::shmem},
    {"nr_dirty", &NodeState::dirty},
    {"nr_writeback", &NodeState::writeback},
    {"nr_mlock", &NodeState::mlocked},
    {"nr_unevictable", &NodeState::unevictable},
    {"nr_slab_reclaimable", &NodeState::slab_reclaimable},
    {"nr_slab_unreclaimable", &NodeState::slab_unreclaimable},
    {"pgdemote_kswapd", &NodeState::demoted},
    {"pgdemote_direct", &NodeState::demoted},
    {"pgdemote_khugepaged", &NodeState::demoted},
    {"pgdemote_proactive", &NodeState::demoted},
};

uint64_t fall(uint64_t before, uint64_t after) {
    return before > after ? before - after : 0;
}

Result<NodeList> read_node_list(const Machine& machine, std::string_view name) {
    auto text = machine.read(fmt::format("{}{}", nodes_path, name));
    if (!text) return std::unexpected(text.error());
    while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
    if (text->empty()) return NodeList{};
    return parse_node_list(*text);
}

}  // namespace

uint64_t NodeState::page_cache() const {
    return fall(file_pages, shmem + swap_cache);
}

uint64_t NodeState::mapped_page_cache() const {
    return std::min(mapped, page_cache());
}

NodeState parse_node_state(std::string_view vmstat, std::string_view meminfo,
                           std::string_view machine_vmstat, uint64_t page_bytes) {
    NodeState state;
    for_each_count(vmstat, [&](std::string_view name, uint64_t pages) {
        for (const Counter& counter : counters)
            if (counter.name == name) state.*counter.place += pages * page_bytes;
    });
    for_each_count(machine_vmstat, [&](std::string_view name, uint64_t pages) {
        if (name == "pswpout") state.swapped_out = pages * page_bytes;
    });
    // Lines look like "Node 0 MemTotal:  24684084 kB".
    const size_t at = meminfo.find("MemTotal:");
    if (at != std::string_view::npos) {
        const std::string_view line = meminfo.substr(at, meminfo.find('\n', at) - at);
        for_each_count(line, [&](std::string_view, uint64_t kib) { state.total = kib * 1024; });
    }
    return state;
}

SwapState parse_swap_state(std::string_view meminfo) {
    SwapState swap;
    for_each_count(meminfo, [&](std::string_view name, uint64_t kib) {
        if (name == "SwapTotal") swap.total = kib * 1024;
        if (name == "SwapFree") swap.free = kib * 1024;
    });
    return swap;
}

Result<NodeState> read_node_state(const Machine& machine, uint32_t node, Refresh refresh) {
    // What it answers does not matter: it is reading that folds the CPUs' counts in.
    if (refresh == Refresh::yes) (void)machine.read("/proc/sys/vm/stat_refresh");
    const auto vmstat = machine.read(node_file_path(node, "vmstat"));
    if (!vmstat) return std::unexpected(vmstat.error());
    const auto meminfo = machine.read(node_file_path(node, "meminfo"));
    if (!meminfo) return std::unexpected(meminfo.error());
    const auto machine_vmstat = machine.read("/proc/vmstat");
    return parse_node_state(*vmstat, *meminfo,
                            machine_vmstat ? std::string_view(*machine_vmstat) : "",
                            machine.page_bytes());
}

Result<SwapState> read_swap_state(const Machine& machine) {
    const auto meminfo = machine.read("/proc/meminfo");
    if (!meminfo) return std::unexpected(meminfo.error());
    return parse_swap_state(*meminfo);
}

std::string node_file_path(uint32_t node, std::string_view name) {
    return fmt::format("{}node{}/{}", nodes_path, node, name);
}

Result<NodeList> nodes_with_memory(const Machine& machine) {
    auto nodes = read_node_list(machine, "has_memory");
    if (!nodes) nodes = read_node_list(machine, "online");
    if (!nodes)
        return fail(
            fmt::format("this machine says nothing of its NUMA nodes: {}", nodes.error().message),
            nodes.error().code);
    return nodes;
}

Result<void> check_node(const Machine& machine, uint32_t node) {
    const auto with_memory = nodes_with_memory(machine);
    if (!with_memory) return std::unexpected(with_memory.error());
    const auto online = read_node_list(machine, "online");
    const auto possible = read_node_list(machine, "possible");
    const auto has = [node](const Result<NodeList>& list) {
        return list && std::ranges::binary_search(*list, node);
    };
    if (has(with_memory) && (!online || has(online))) return {};
    const std::string there = format_node_list(*with_memory);
    if (has(online))
        return fail(fmt::format("node {} has no memory; nodes with memory: {}", node, there),
                    ENODEV);
    if (has(possible))
        return fail(fmt::format("node {} is offline; nodes with memory: {}", node, there), ENODEV);
    return fail(fmt::format("there is no node {}; nodes with memory: {}", node, there), ENODEV);
}

namespace {

/// What went to a slower tier has left the node's counts but is not freed. Which kind it was no
/// counter says, so each gives up its share.
void take_off_demoted(Difference& change) {
    uint64_t* const falls[] = {&change.freed[Kind::page_cache],
                               &change.freed[Kind::mapped_page_cache],
                               &change.freed[Kind::anonymous], &change.shmem};
    uint64_t all = 0;
    for (const uint64_t* each : falls) all += *each;
    if (change.demoted == 0 || all == 0) return;
    const double share =
        std::min(1.0, static_cast<double>(change.demoted) / static_cast<double>(all));
    for (uint64_t* each : falls)
        *each -= std::min(*each, static_cast<uint64_t>(static_cast<double>(*each) * share + 0.5));
}

}  // namespace

Difference difference(const NodeState& before, const NodeState& after) {
    Difference change;
    const uint64_t cache = fall(before.page_cache(), after.page_cache());
    const uint64_t mapped =
        std::min(cache, fall(before.mapped_page_cache(), after.mapped_page_cache()));
    change.freed[Kind::mapped_page_cache] = mapped;
    change.freed[Kind::page_cache] = cache - mapped;
    change.freed[Kind::anonymous] = fall(before.anon_pages, after.anon_pages);
    change.freed[Kind::slab] = fall(before.slab_reclaimable, after.slab_reclaimable);
    change.shmem = fall(before.shmem, after.shmem);
    change.demoted = fall(after.demoted, before.demoted);
    change.swapped_out = fall(after.swapped_out, before.swapped_out);
    take_off_demoted(change);
    change.net_free = static_cast<int64_t>(after.free - before.free);
    return change;
}

}  // namespace braidway::memory
