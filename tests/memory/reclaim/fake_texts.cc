// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fake_texts.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "memory/reclaim/node_list.h"

namespace braidway::memory::fake {
namespace {

/// In the order of the real file; those that nothing here counts are 0.
constexpr auto vmstat_names = std::to_array<const char*>({"nr_free_pages",
                                                          "nr_free_pages_blocks",
                                                          "nr_zone_inactive_anon",
                                                          "nr_zone_active_anon",
                                                          "nr_zone_inactive_file",
                                                          "nr_zone_active_file",
                                                          "nr_zone_unevictable",
                                                          "nr_zone_write_pending",
                                                          "nr_mlock",
                                                          "nr_zspages",
                                                          "nr_free_cma",
                                                          "numa_hit",
                                                          "numa_miss",
                                                          "numa_foreign",
                                                          "numa_interleave",
                                                          "numa_local",
                                                          "numa_other",
                                                          "nr_inactive_anon",
                                                          "nr_active_anon",
                                                          "nr_inactive_file",
                                                          "nr_active_file",
                                                          "nr_unevictable",
                                                          "nr_slab_reclaimable",
                                                          "nr_slab_unreclaimable",
                                                          "nr_isolated_anon",
                                                          "nr_isolated_file",
                                                          "workingset_nodes",
                                                          "workingset_refault_anon",
                                                          "workingset_refault_file",
                                                          "nr_anon_pages",
                                                          "nr_mapped",
                                                          "nr_file_pages",
                                                          "nr_dirty",
                                                          "nr_writeback",
                                                          "nr_shmem",
                                                          "nr_shmem_hugepages",
                                                          "nr_file_hugepages",
                                                          "nr_anon_transparent_hugepages",
                                                          "nr_vmscan_write",
                                                          "nr_dirtied",
                                                          "nr_written",
                                                          "nr_kernel_stack",
                                                          "nr_page_table_pages",
                                                          "nr_swapcached",
                                                          "pgpromote_success",
                                                          "pgdemote_kswapd",
                                                          "pgdemote_direct",
                                                          "pgdemote_khugepaged",
                                                          "pgdemote_proactive",
                                                          "nr_hugetlb"});

uint64_t count(const Counters& counters, const char* name) {
    const auto found = counters.find(name);
    return found == counters.end() ? 0 : found->second;
}

void add(Counters& to, const Pages& run) {
    if (run.dirty) to["nr_dirty"] += run.pages;
    if (run.mlocked) to["nr_mlock"] += run.pages;
    if (run.mapped && run.what != What::anonymous) to["nr_mapped"] += run.pages;
    if (run.what == What::anonymous) to["nr_anon_pages"] += run.pages;
    if (run.what != What::anonymous) to["nr_file_pages"] += run.pages;
    if (run.what == What::tmpfs) to["nr_shmem"] += run.pages;
    const bool file = run.what == What::file;
    if (run.mlocked) {
        to["nr_unevictable"] += run.pages;
    } else {
        to[fmt::format("nr_{}_{}", run.active ? "active" : "inactive", file ? "file" : "anon")] +=
            run.pages;
    }
}

/// One line for each name and value, as "Node 0 NAME:  VALUE kB" or without the node.
struct Line {
    const char* name;
    uint64_t pages;
};

std::string kib_lines(std::string_view before, std::initializer_list<Line> lines) {
    std::string text;
    for (const Line& line : lines)
        text += fmt::format("{}{:<15} {:>8} kB\n", before, fmt::format("{}:", line.name),
                            line.pages * (page_size / 1024));
    return text;
}

Counters sum_of(const World& world, bool published) {
    Counters sum;
    for (uint32_t number = 0; number < world.nodes.size(); ++number)
        for (const auto& [name, pages] :
             published ? world.nodes[number].published : node_counters(world, number))
            sum[name] += pages;
    return sum;
}

}  // namespace

Counters node_counters(const World& world, uint32_t number) {
    const Node& node = world.nodes[number];
    Counters counters;
    for (const Pages& run : node.lru) add(counters, run);
    for (const SwapCache& cached : node.swap_cache) {
        counters["nr_swapcached"] += cached.pages;
        counters["nr_file_pages"] += cached.pages;
        counters["nr_writeback"] += cached.pages;
        counters["nr_inactive_anon"] += cached.pages;
    }
    counters["nr_free_pages"] = free_pages(world, number);
    counters["nr_slab_reclaimable"] = node.slab_reclaimable + shrinker_pages(world, number);
    counters["nr_slab_unreclaimable"] = node.slab_unreclaimable;
    counters["pgdemote_proactive"] = node.demoted;
    return counters;
}

void publish(World& world, bool exact) {
    for (uint32_t number = 0; number < world.nodes.size(); ++number) {
        Counters& shown = world.nodes[number].published;
        for (const auto& [name, pages] : node_counters(world, number)) {
            uint64_t& value = shown[name];
            const uint64_t behind = exact ? 0 : world.held_back;
            if (value < pages && pages - value > behind) value = pages - behind;
            if (value > pages && value - pages > behind) value = pages + behind;
        }
        // A count that fell to nothing has no pages to be seen by.
        const Counters real = node_counters(world, number);
        for (auto& [name, value] : shown)
            if (!real.contains(name)) value = exact ? 0 : std::min(value, world.held_back);
    }
}

std::string node_vmstat(const World& world, uint32_t node) {
    std::string text;
    for (const char* name : vmstat_names)
        text += fmt::format("{} {}\n", name, count(world.nodes[node].published, name));
    return text;
}

std::string node_meminfo(const World& world, uint32_t number) {
    const Counters& shown = world.nodes[number].published;
    const auto pages = [&](const char* name) { return count(shown, name); };
    const uint64_t total = world.nodes[number].has_memory ? world.nodes[number].total : 0;
    const uint64_t free = pages("nr_free_pages");
    return kib_lines(fmt::format("Node {} ", number),
                     {{"MemTotal", total},
                      {"MemFree", free},
                      {"MemUsed", total - std::min(total, free)},
                      {"SwapCached", pages("nr_swapcached")},
                      {"Active(anon)", pages("nr_active_anon")},
                      {"Inactive(anon)", pages("nr_inactive_anon")},
                      {"Active(file)", pages("nr_active_file")},
                      {"Inactive(file)", pages("nr_inactive_file")},
                      {"Unevictable", pages("nr_unevictable")},
                      {"Mlocked", pages("nr_mlock")},
                      {"Dirty", pages("nr_dirty")},
                      {"Writeback", pages("nr_writeback")},
                      {"FilePages", pages("nr_file_pages")},
                      {"Mapped", pages("nr_mapped")},
                      {"AnonPages", pages("nr_anon_pages")},
                      {"Shmem", pages("nr_shmem")},
                      {"SReclaimable", pages("nr_slab_reclaimable")},
                      {"SUnreclaim", pages("nr_slab_unreclaimable")}});
}

std::string machine_vmstat(const World& world) {
    const Counters shown = sum_of(world, true);
    uint64_t stolen = 0;
    for (const Node& node : world.nodes) stolen += node.stolen;
    std::string text;
    for (const char* name : vmstat_names) text += fmt::format("{} {}\n", name, count(shown, name));
    return text + fmt::format(
                      "pgpgin 0\npgpgout 0\npswpin 0\npswpout {}\npgsteal_kswapd 0\n"
                      "pgsteal_direct 0\npgsteal_proactive {}\ndrop_pagecache {}\n",
                      world.swap.out, stolen, world.drops);
}

std::string machine_meminfo(const World& world) {
    const Counters shown = sum_of(world, true);
    const auto pages = [&](const char* name) { return count(shown, name); };
    uint64_t total = 0;
    for (const Node& node : world.nodes)
        if (node.has_memory) total += node.total;
    const bool swap = world.swap.kind != SwapKind::none;
    return kib_lines("", {{"MemTotal", total},
                          {"MemFree", pages("nr_free_pages")},
                          {"MemAvailable", pages("nr_free_pages") + pages("nr_active_file") +
                                               pages("nr_inactive_file")},
                          {"Buffers", 0},
                          {"Cached", pages("nr_file_pages") - pages("nr_swapcached")},
                          {"SwapCached", pages("nr_swapcached")},
                          {"SwapTotal", swap ? world.swap.total : 0},
                          {"SwapFree", swap ? world.swap.total - world.swap.used : 0},
                          {"Dirty", pages("nr_dirty")},
                          {"Writeback", pages("nr_writeback")},
                          {"AnonPages", pages("nr_anon_pages")},
                          {"Mapped", pages("nr_mapped")},
                          {"Shmem", pages("nr_shmem")}});
}

std::string swaps(const World& world) {
    std::string text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    if (world.swap.kind == SwapKind::none) return text;
    const bool zram = world.swap.kind == SwapKind::zram;
    return text + fmt::format("{:<40}{:<16}{}\t\t{}\t\t{}\n", zram ? "/dev/zram0" : "/swapfile",
                              zram ? "partition" : "file", world.swap.total * (page_size / 1024),
                              world.swap.used * (page_size / 1024), zram ? 100 : -2);
}

std::string memory_pressure(const World& world) {
    return fmt::format(
        "some avg10={:.2f} avg60=0.00 avg300=0.00 total=0\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        world.pressure_some_avg10);
}

std::string lru_gen(const World& world) {
    std::string text;
    for (const Cgroup& cgroup : world.cgroups) {
        text += fmt::format("memcg {:>5} {}\n", cgroup.id, cgroup.path);
        for (uint32_t number = 0; number < world.nodes.size(); ++number) {
            const Node& node = world.nodes[number];
            if (!node.online || !node.has_memory) continue;
            text += fmt::format(" node {:>5}\n", number);
            const auto found = node.generations.find(cgroup.id);
            const Generations generations =
                found == node.generations.end() ? Generations{} : found->second;
            for (uint64_t at = generations.oldest; at <= generations.youngest; ++at) {
                std::array<uint64_t, 2> pages{};
                for (const Pages& run : node.lru)
                    if (world.mglru_enabled && run.cgroup == cgroup.id && run.generation == at &&
                        !run.mlocked)
                        pages[run.what == What::file ? 1 : 0] += run.pages;
                text += fmt::format(" {:>10} {:>10} {:>10}  {:>10} \n", at,
                                    world.now.ns / 1'000'000, pages[0], pages[1]);
            }
        }
    }
    return text;
}

std::string shrinker_count(const World& world, const Shrinker& shrinker) {
    std::map<uint64_t, std::vector<uint64_t>> rows;
    for (const auto& [place, objects] : shrinker.objects) {
        auto& row = rows[place.first];
        row.resize(world.nodes.size());
        row[place.second] += objects;
    }
    std::string text;
    for (const auto& [cgroup, row] : rows)
        text += fmt::format("{} {}\n", cgroup, fmt::join(row, " "));
    return text;
}

std::string node_list(const World& world, const std::string& name) {
    NodeList list;
    for (uint32_t number = 0; number < world.nodes.size(); ++number) {
        const Node& node = world.nodes[number];
        if (name == "possible" || (node.online && (name == "online" || node.has_memory)))
            list.push_back(number);
    }
    if (name == "possible")
        for (const uint32_t number : world.offline) list.push_back(number);
    return format_node_list(list) + "\n";
}

std::string memory_stat(const World& world, size_t index) {
    const uint32_t id = world.cgroups[index].id;
    uint64_t anonymous = 0;
    uint64_t file = 0;
    for (const Node& node : world.nodes)
        for (const Pages& run : node.lru)
            if (run.cgroup == id)
                (run.what == What::anonymous ? anonymous : file) += run.pages * page_size;
    return fmt::format("anon {}\nfile {}\nkernel 0\n", anonymous, file);
}

std::string memory_numa_stat(const World& world, size_t index) {
    std::map<std::string, std::map<uint32_t, uint64_t>> rows;
    for (uint32_t number = 0; number < world.nodes.size(); ++number)
        for (const Pages& run : world.nodes[number].lru) {
            if (run.cgroup != world.cgroups[index].id) continue;
            const bool file = run.what == What::file;
            rows[run.what == What::anonymous ? "anon" : "file"][number] += run.pages;
            if (run.mlocked) {
                rows["unevictable"][number] += run.pages;
                continue;
            }
            rows[fmt::format("{}_{}", run.active ? "active" : "inactive", file ? "file" : "anon")]
                [number] += run.pages;
        }
    std::string text;
    for (const char* name : {"anon", "file", "inactive_anon", "active_anon", "inactive_file",
                             "active_file", "unevictable"}) {
        text += name;
        for (uint32_t number = 0; number < world.nodes.size(); ++number)
            text += fmt::format(" N{}={}", number, rows[name][number] * page_size);
        text += '\n';
    }
    return text;
}

}  // namespace braidway::memory::fake
