// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fake_world.h"

#include <algorithm>

#include "base/check.h"

namespace braidway::memory::fake {

uint64_t shrinker_pages(const World& world, uint32_t node) {
    uint64_t pages = 0;
    for (const Shrinker& shrinker : world.shrinkers) {
        uint64_t objects = 0;
        for (const auto& [place, count] : shrinker.objects)
            if (place.second == node) objects += count;
        pages += (objects + shrinker.objects_per_page - 1) / shrinker.objects_per_page;
        const auto held = shrinker.held.find(node);
        if (held != shrinker.held.end()) pages += held->second;
    }
    return pages;
}

uint64_t free_pages(const World& world, uint32_t number) {
    const Node& node = world.nodes[number];
    if (!node.has_memory) return 0;
    uint64_t used = node.kernel + node.slab_reclaimable + node.slab_unreclaimable +
                    shrinker_pages(world, number);
    for (const Pages& pages : node.lru) used += pages.pages;
    for (const SwapCache& cached : node.swap_cache) used += cached.pages;
    if (world.swap.kind == SwapKind::zram && world.swap.zram_node == number)
        used += world.swap.used * world.swap.zram_percent / 100;
    return used < node.total ? node.total - used : 0;
}

uint64_t cgroup_pages(const World& world, uint32_t cgroup, uint32_t node) {
    uint64_t sum = 0;
    for (uint32_t number = 0; number < world.nodes.size(); ++number) {
        if (node != any_node && node != number) continue;
        for (const Pages& pages : world.nodes[number].lru)
            if (pages.cgroup == cgroup) sum += pages.pages;
    }
    return sum;
}

void fill(World& world, uint32_t number, Pages pages) {
    CHECK(pages.pages <= free_pages(world, number), "a test fills more than the node has");
    CHECK(pages.folio > 0 && pages.pages % pages.folio == 0, "a test fills half a folio");
    Node& node = world.nodes[number];
    const Generations& generations = node.generations[pages.cgroup];
    // What was read once is near the old end at once; what was used again, and anonymous memory
    // whose table entry is young, is at the other.
    const bool young = pages.active || pages.what != What::file;
    pages.generation = young ? generations.youngest : generations.youngest - 2;
    pages.filled = world.now;
    node.lru.push_back(pages);
}

namespace {

void write_swap_cache(World& world, Node& node) {
    std::erase_if(node.swap_cache,
                  [&](const SwapCache& cached) { return cached.freed_at <= world.now; });
}

void refill(World& world, uint32_t number, Duration length) {
    Node& node = world.nodes[number];
    node.refill_rest +=
        static_cast<double>(node.refill_per_second) * std::chrono::duration<double>(length).count();
    const auto wanted = static_cast<uint64_t>(node.refill_rest);
    node.refill_rest -= static_cast<double>(wanted);
    const uint64_t pages = std::min(wanted, free_pages(world, number));
    if (pages > 0) fill(world, number, {.pages = pages});
}

}  // namespace

void pass_time(World& world, Duration length) {
    world.now = world.now + length;
    for (uint32_t number = 0; number < world.nodes.size(); ++number) {
        write_swap_cache(world, world.nodes[number]);
        if (world.nodes[number].refill_per_second > 0) refill(world, number, length);
    }
}

}  // namespace braidway::memory::fake
