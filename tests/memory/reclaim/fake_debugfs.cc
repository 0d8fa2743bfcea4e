// SPDX-License-Identifier: Apache-2.0
// Of fake_reclaim.h: MGLRU, shrinkers and drop_caches.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include "memory/reclaim/fake_reclaim.h"

namespace braidway::memory::fake {
namespace {

constexpr uint64_t generations_max = 4;

/// "+ cgroup node youngest ...": a new generation; what was used since goes there.
int age(World& world, uint32_t cgroup, Node& node, uint64_t youngest) {
    Generations& generations = node.generations[cgroup];
    if (youngest < generations.youngest) return 0;
    if (youngest > generations.youngest) return EINVAL;
    ++generations.youngest;
    generations.oldest = std::max(generations.oldest, generations.youngest - (generations_max - 1));
    for (Pages& run : node.lru) {
        if (run.cgroup != cgroup) continue;
        if (run.mapped && run.active) run.generation = generations.youngest;
        run.generation = std::max(run.generation, generations.oldest);
    }
    pass_time(world, 1ms);
    return 0;
}

bool has_generation(const Node& node, uint32_t cgroup, uint64_t generation) {
    return std::ranges::any_of(node.lru, [&](const Pages& run) {
        return run.cgroup == cgroup && run.generation == generation;
    });
}

struct Eviction {
    uint32_t cgroup = 0;
    uint32_t node = 0;
    uint64_t generation = 0;
    unsigned swappiness = 60;
    uint64_t pages = UINT64_MAX;
};

/// "- cgroup node generation [swappiness [pages]]". How many it freed it does not say.
int evict(World& world, const Eviction& what) {
    Node& node = world.nodes[what.node];
    Generations& generations = node.generations[what.cgroup];
    if (what.generation + 2 > generations.youngest) return EINVAL;
    if (what.swappiness > 200) return EINVAL;
    uint64_t left = what.pages;
    // With any swappiness but 0, what one type of memory does not give the other has to.
    const bool anonymous_first = what.swappiness >= 200;
    for (uint64_t at = generations.oldest; at <= what.generation && world.mglru_enabled; ++at)
        for (const bool anonymous : {anonymous_first, !anonymous_first}) {
            if (left == 0 || (anonymous && what.swappiness == 0)) continue;
            const uint64_t taken = take(world, what.node, left, [&](const Pages& run) {
                return run.cgroup == what.cgroup && run.generation == at &&
                       (run.what != What::file) == anonymous;
            });
            left -= std::min(left, taken);
        }
    while (generations.oldest + 1 < generations.youngest &&
           !has_generation(node, what.cgroup, generations.oldest))
        ++generations.oldest;
    return 0;
}

int lru_gen_command(World& world, const std::string& line) {
    char letter = 0;
    Eviction what;
    long long pages = -1;
    const int read = std::sscanf(line.c_str(), " %c %u %u %lu %u %lld", &letter, &what.cgroup,
                                 &what.node, &what.generation, &what.swappiness, &pages);
    if (read < 4 || what.node >= world.nodes.size() || !world.nodes[what.node].online)
        return EINVAL;
    if (std::ranges::none_of(world.cgroups,
                             [&](const Cgroup& one) { return one.id == what.cgroup; }))
        return EINVAL;
    if (read < 5) what.swappiness = world.swappiness;
    if (read == 6) what.pages = static_cast<uint64_t>(pages);
    if (letter == '+') return age(world, what.cgroup, world.nodes[what.node], what.generation);
    return letter == '-' ? evict(world, what) : EINVAL;
}

bool any_file(const World& world) {
    return std::ranges::any_of(world.nodes, [](const Node& node) {
        return std::ranges::any_of(node.lru,
                                   [](const Pages& run) { return run.what == What::file; });
    });
}

/// Frees objects; their pages only when nothing pinned is on them. Returns the objects.
uint64_t free_objects(World& world, Shrinker& shrinker, std::pair<uint64_t, uint32_t> place,
                      uint64_t wanted) {
    const auto found = shrinker.objects.find(place);
    if (found == shrinker.objects.end()) return 0;
    uint64_t& objects = found->second;
    uint64_t can = objects;
    if (shrinker.skips_cached && any_file(world)) can = objects / 10;
    const uint64_t freed = std::min(wanted, can);
    objects -= freed;
    shrinker.held[place.second] +=
        freed / shrinker.objects_per_page * shrinker.pinned_percent / 100;
    return freed;
}

void drop_page_cache(World& world) {
    Duration length{};
    for (Node& node : world.nodes)
        std::erase_if(node.lru, [&](const Pages& run) {
            const bool goes = run.what == What::file && !run.dirty && !run.mapped && !run.mlocked;
            if (goes) length += world.page_time * static_cast<int64_t>(run.pages);
            return goes;
        });
    pass_time(world, length);
}

void drop_slab(World& world) {
    // Most are inodes and names of files: those with cached pages stay.
    const uint64_t percent = any_file(world) ? 10 : 95;
    for (Node& node : world.nodes) node.slab_reclaimable -= node.slab_reclaimable * percent / 100;
    for (Shrinker& shrinker : world.shrinkers)
        for (const auto& [place, objects] : shrinker.objects)
            free_objects(world, shrinker, place, objects);
}

}  // namespace

int write_lru_gen(World& world, std::string_view text) {
    std::string line;
    for (const char letter : std::string(text) + "\n") {
        if (letter != ',' && letter != ';' && letter != '\n') {
            line += letter;
            continue;
        }
        if (line.find_first_not_of(' ') != std::string::npos)
            if (const int error = lru_gen_command(world, line); error != 0) return error;
        line.clear();
    }
    return 0;
}

int write_shrinker_scan(World& world, Shrinker& shrinker, std::string_view text) {
    uint64_t cgroup = 0;
    uint32_t node = 0;
    uint64_t objects = 0;
    if (std::sscanf(std::string(text).c_str(), "%lu %u %lu", &cgroup, &node, &objects) != 3)
        return EINVAL;
    if (node >= world.nodes.size() || (!shrinker.by_cgroup && cgroup != 0)) return EINVAL;
    if (shrinker.by_cgroup && !shrinker.objects.contains({cgroup, node})) return ENOENT;
    free_objects(world, shrinker, {cgroup, node}, objects);
    pass_time(world, 100ns * static_cast<int64_t>(objects));
    return 0;
}

int write_drop_caches(World& world, std::string_view text) {
    unsigned bits = 0;
    if (std::sscanf(std::string(text).c_str(), "%u", &bits) != 1 || bits < 1 || bits > 4)
        return EINVAL;
    ++world.drops;
    if ((bits & 1) != 0) drop_page_cache(world);
    if ((bits & 2) != 0) drop_slab(world);
    return 0;
}

}  // namespace braidway::memory::fake
