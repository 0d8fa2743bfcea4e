// SPDX-License-Identifier: Apache-2.0
// Of fake_kernel.h: which files there are, and what each does.
#include <fmt/format.h>

#include <cerrno>
#include <charconv>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/fake_reclaim.h"
#include "memory/reclaim/fake_texts.h"

namespace braidway::memory {
namespace {

int set_number(unsigned& knob, unsigned max, std::string_view text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number > max) return EINVAL;
    knob = number;
    return 0;
}

}  // namespace

std::map<std::string, FakeKernel::File> FakeKernel::files() const {
    std::map<std::string, File> all;
    for (uint32_t number = 0; number < world_->nodes.size(); ++number)
        if (world_->nodes[number].online) add_node_files(all, number);
    add_machine_files(all);
    add_knobs(all);
    add_cgroup_files(all);
    add_debug_files(all);
    return all;
}

void FakeKernel::add_node_files(std::map<std::string, File>& all, uint32_t number) const {
    fake::World& world = *world_;
    const std::string folder = fmt::format("/sys/devices/system/node/node{}/", number);
    all[folder + "vmstat"].read = [&world, number] { return fake::node_vmstat(world, number); };
    all[folder + "meminfo"].read = [&world, number] { return fake::node_meminfo(world, number); };
    all[folder + "compact"].write = [](std::string_view) { return 0; };
    if (world.nodes[number].reclaim_file)
        all[folder + "reclaim"].write = [&world, number](std::string_view text) {
            return fake::write_node_reclaim(world, number, text);
        };
}

void FakeKernel::add_machine_files(std::map<std::string, File>& all) const {
    fake::World& world = *world_;
    for (const char* name : {"online", "possible", "has_memory"})
        all[fmt::format("/sys/devices/system/node/{}", name)].read = [&world, name] {
            return fake::node_list(world, name);
        };
    all["/proc/vmstat"].read = [&world] { return fake::machine_vmstat(world); };
    all["/proc/meminfo"].read = [&world] { return fake::machine_meminfo(world); };
    all["/proc/swaps"].read = [&world] { return fake::swaps(world); };
    all["/proc/pressure/memory"].read = [&world] { return fake::memory_pressure(world); };
    all["/proc/sys/vm/drop_caches"].write = [&world](std::string_view text) {
        return fake::write_drop_caches(world, text);
    };
    // Mode 0600: only root has the counts made exact.
    if (world.privileged)
        all["/proc/sys/vm/stat_refresh"].read = [&world] {
            fake::publish(world, true);
            return std::string();
        };
}

void FakeKernel::add_knobs(std::map<std::string, File>& all) const {
    fake::World& world = *world_;
    const auto knob = [&](const char* name, unsigned& number, unsigned max) {
        File& file = all[fmt::format("/proc/sys/vm/{}", name)];
        file.read = [&number] { return fmt::format("{}\n", number); };
        file.write = [&number, max](std::string_view text) {
            return set_number(number, max, text);
        };
    };
    knob("min_unmapped_ratio", world.min_unmapped_ratio, 100);
    knob("min_slab_ratio", world.min_slab_ratio, 100);
    knob("zone_reclaim_mode", world.zone_reclaim_mode, UINT32_MAX);
    knob("swappiness", world.swappiness, 200);
}

void FakeKernel::add_cgroup_files(std::map<std::string, File>& all) const {
    fake::World& world = *world_;
    if (world.cgroup_mount.empty()) return;
    for (size_t index = 0; index < world.cgroups.size(); ++index) {
        const fake::Cgroup& cgroup = world.cgroups[index];
        const bool root = cgroup.path == "/";
        const std::string folder = world.cgroup_mount + (root ? "" : cgroup.path) + "/";
        all[folder + "cgroup.controllers"].read = [] { return "cpuset memory pids\n"; };
        all[folder + "cgroup.procs"].read = [] { return ""; };
        all[folder + "memory.stat"].read = [&world, index] {
            if (world.memory_stat_refreshes)
                for (fake::Node& node : world.nodes) node.stats_since = world.now;
            return fake::memory_stat(world, index);
        };
        all[folder + "memory.numa_stat"].read = [&world, index] {
            return fake::memory_numa_stat(world, index);
        };
        if (cgroup.reclaim_file)
            all[folder + "memory.reclaim"].write = [&world, index](std::string_view text) {
                return fake::write_memory_reclaim(world, index, text);
            };
        const auto mems = [&world, index] {
            const std::string& own = world.cgroups[index].mems;
            return own.empty() ? fake::node_list(world, "has_memory") : own + "\n";
        };
        if (root || !cgroup.mems.empty()) all[folder + "cpuset.mems.effective"].read = mems;
        if (root) continue;
        all[folder + "memory.current"].read = [&world, index] {
            return fmt::format(
                "{}\n", fake::cgroup_pages(world, world.cgroups[index].id) * fake::page_size);
        };
        all[folder + "memory.min"].read = [&world, index] {
            return fmt::format("{}\n", world.cgroups[index].protection * fake::page_size);
        };
        all[folder + "memory.low"].read = [] { return "0\n"; };
    }
}

void FakeKernel::add_debug_files(std::map<std::string, File>& all) const {
    fake::World& world = *world_;
    if (world.mglru) {
        File& enabled = all["/sys/kernel/mm/lru_gen/enabled"];
        enabled.read = [&world] { return world.mglru_enabled ? "0x0007\n" : "0x0000\n"; };
        enabled.write = [&world](std::string_view text) {
            const bool yes =
                text.starts_with('y') || text.starts_with('Y') || text.starts_with('1');
            world.mglru_enabled = yes || text.starts_with("0x0007") || text.starts_with('7');
            return 0;
        };
    }
    if (!world.debugfs) return;
    all["/sys/kernel/debug/clear_warn_once"].write = [](std::string_view) { return 0; };
    if (world.mglru) {
        File& file = all["/sys/kernel/debug/lru_gen"];
        file.read = [&world] { return fake::lru_gen(world); };
        file.write = [&world](std::string_view text) { return fake::write_lru_gen(world, text); };
    }
    if (!world.shrinker_debugfs) return;
    for (fake::Shrinker& shrinker : world.shrinkers) {
        const std::string folder = "/sys/kernel/debug/shrinker/" + shrinker.name + "/";
        all[folder + "count"].read = [&world, &shrinker] {
            return fake::shrinker_count(world, shrinker);
        };
        all[folder + "scan"].write = [&world, &shrinker](std::string_view text) {
            return fake::write_shrinker_scan(world, shrinker, text);
        };
    }
}

}  // namespace braidway::memory
