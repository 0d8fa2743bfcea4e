// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fake_reclaim.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

namespace braidway::memory::fake {
namespace {

constexpr uint64_t batch_min = 32;
constexpr unsigned fruitless_max = 16;
constexpr int swappiness_of_max = 201;

uint64_t sum(const Node& node, const Filter& filter) {
    uint64_t pages = 0;
    for (const Pages& run : node.lru)
        if (filter(run)) pages += run.pages;
    return pages;
}

/// What protection of its cgroup leaves to take of a run.
uint64_t unprotected(const World& world, const Pages& run) {
    for (const Cgroup& cgroup : world.cgroups) {
        if (cgroup.id != run.cgroup || cgroup.protection == 0) continue;
        const uint64_t used = cgroup_pages(world, cgroup.id);
        return used > cgroup.protection ? used - cgroup.protection : 0;
    }
    return run.pages;
}

/// Moves `pages` from the run to where they go.
void let_go(World& world, Node& node, const Pages& run, uint64_t pages) {
    if (node.demotes_to >= 0) {
        Pages moved = run;
        moved.pages = pages;
        node.demoted += pages;
        world.nodes[static_cast<size_t>(node.demotes_to)].lru.push_back(moved);
        return;
    }
    if (run.what == What::file) return;
    world.swap.used += pages;
    world.swap.out += pages;
    if (world.swap.kind == SwapKind::file && world.swap.write_time > 0ms)
        node.swap_cache.push_back({pages, world.now + world.swap.write_time});
}

uint64_t takeable(const World& world, const Node& node, const Pages& run) {
    if (run.mlocked || (run.what == What::file && run.dirty)) return 0;
    uint64_t pages = std::min(run.pages, unprotected(world, run));
    if (run.what != What::file && node.demotes_to < 0) {
        if (world.swap.kind == SwapKind::none) return 0;
        pages = std::min(pages, world.swap.total - world.swap.used);
    }
    return pages / run.folio * run.folio;
}

struct Command {
    uint64_t pages = 0;
    std::optional<int> swappiness{};
};

std::optional<uint64_t> read_number(std::string_view& text) {
    const std::string copy(text);
    char* end = nullptr;
    if (copy.empty() || copy[0] < '0' || copy[0] > '9') return {};
    const uint64_t number = std::strtoull(copy.c_str(), &end, 0);
    text.remove_prefix(static_cast<size_t>(end - copy.c_str()));
    return number;
}

std::string_view strip(std::string_view text) {
    constexpr std::string_view blanks = " \t\n\r\v\f";
    const size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

/// "N[KMGTPE] [swappiness=N|max]..." as reclaim files read it; nothing: bad text.
std::optional<Command> read_command(std::string_view text) {
    text = strip(text);
    auto bytes = read_number(text);
    if (!bytes) return {};
    if (!text.empty()) {
        const size_t power = std::string_view("kmgtpe").find(static_cast<char>(text[0] | 0x20));
        if (power != std::string_view::npos) {
            *bytes <<= 10 * (power + 1);
            text.remove_prefix(1);
        }
    }
    Command command{.pages = *bytes / page_size};
    text = strip(text);
    while (!text.empty()) {
        const size_t end = std::min(text.find(' '), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word.empty()) continue;
        constexpr std::string_view key = "swappiness=";
        if (!word.starts_with(key)) return {};
        word.remove_prefix(key.size());
        if (word == "max") {
            command.swappiness = swappiness_of_max;
            continue;
        }
        const auto number = read_number(word);
        if (!number || !word.empty() || *number > 200) return {};
        command.swappiness = static_cast<int>(*number);
    }
    return command;
}

bool is_file(const Pages& run) {
    return run.what == What::file;
}

bool swap_has_room(const World& world) {
    return world.swap.kind != SwapKind::none && world.swap.used < world.swap.total;
}

/// Whether the kernel knows by now that these pages were not used again.
bool may_deactivate(const World& world, const Node& node, const Pages& run) {
    return !run.active || node.stats_since >= run.filled ||
           world.now >= run.filled + world.stats_age;
}

uint64_t take_file(World& world, uint32_t number, uint64_t wanted, const Filter& filter) {
    uint64_t taken = 0;
    // The inactive list first, and what is mapped last: reclaim turns those pages round once.
    for (const bool mapped : {false, true})
        for (const bool active : {false, true}) {
            if (taken >= wanted) return taken;
            taken += take(world, number, wanted - taken, [&](const Pages& run) {
                return is_file(run) && run.mapped == mapped && run.active == active &&
                       filter(run) && may_deactivate(world, world.nodes[number], run);
            });
        }
    return taken;
}

uint64_t take_anonymous(World& world, uint32_t number, uint64_t wanted, const Filter& filter) {
    return take(world, number, wanted,
                [&](const Pages& run) { return !is_file(run) && filter(run); });
}

uint64_t take_slab(World& world, uint32_t number, uint64_t from_lists, uint64_t wanted) {
    Node& node = world.nodes[number];
    const uint64_t pages = from_lists > 0 ? from_lists * world.slab_percent / 100 : wanted / 2;
    const uint64_t taken = std::min(node.slab_reclaimable, pages);
    node.slab_reclaimable -= taken;
    return taken;
}

/// One pass over a node's lists. Returns the pages that are gone, slab too.
uint64_t shrink(World& world, uint32_t number, int swappiness, uint64_t wanted,
                const Filter& filter) {
    const Node& node = world.nodes[number];
    const bool room = swap_has_room(world) || node.demotes_to >= 0;
    const uint64_t file = sum(node, [](const Pages& run) { return is_file(run) && !run.mlocked; });
    const bool tiny = file + free_pages(world, number) <= world.high_watermark;
    uint64_t taken = 0;
    if (swappiness >= 200 && room) {
        taken = take_anonymous(world, number, wanted, filter);
    } else if (swappiness != swappiness_of_max || world.max_without_swap_takes_file) {
        taken = take_file(world, number, wanted, filter);
        if (taken < wanted && room && (swappiness > 0 || tiny))
            taken += take_anonymous(world, number, wanted - taken, filter);
    }
    return taken + take_slab(world, number, taken, wanted);
}

bool below(const World& world, uint32_t cgroup, const std::string& path) {
    if (path == "/") return true;
    for (const Cgroup& one : world.cgroups)
        if (one.id == cgroup) return one.path == path || one.path.starts_with(path + "/");
    return false;
}

}  // namespace

uint64_t take(World& world, uint32_t number, uint64_t wanted, const Filter& filter) {
    uint64_t taken = 0;
    Duration length{};
    // Where pages are demoted to may be the same list of runs, which then grows at its end.
    for (size_t at = 0; at < world.nodes[number].lru.size() && taken < wanted; ++at) {
        Node& node = world.nodes[number];
        const Pages run = node.lru[at];
        if (!filter(run)) continue;
        const uint64_t folios = (wanted - taken + run.folio - 1) / run.folio;
        const uint64_t pages = std::min(takeable(world, node, run), folios * run.folio);
        if (pages == 0) continue;
        node.lru[at].pages -= pages;
        node.stolen += pages;
        let_go(world, node, run, pages);
        length += (is_file(run) ? world.page_time : world.swap_time) * static_cast<int64_t>(pages);
        taken += pages;
    }
    std::erase_if(world.nodes[number].lru, [](const Pages& run) { return run.pages == 0; });
    pass_time(world, length);
    return taken;
}

bool gate_open(const World& world, uint32_t number) {
    const Node& node = world.nodes[number];
    const uint64_t dirty = sum(node, [](const Pages& run) { return run.dirty; });
    const uint64_t mapped =
        sum(node, [](const Pages& run) { return run.mapped && run.what != What::anonymous; });
    uint64_t cache = 0;
    if ((world.zone_reclaim_mode & 4) != 0) {
        cache = sum(node, [](const Pages& run) { return run.what != What::anonymous; });
    } else {
        const uint64_t lru =
            sum(node, [](const Pages& run) { return is_file(run) && !run.mlocked; });
        cache = lru > mapped ? lru - mapped : 0;
    }
    if ((world.zone_reclaim_mode & 2) == 0) cache = cache > dirty ? cache - dirty : 0;
    const uint64_t slab = node.slab_reclaimable + shrinker_pages(world, number);
    return cache > node.total * world.min_unmapped_ratio / 100 ||
           slab > node.total * world.min_slab_ratio / 100;
}

int write_node_reclaim(World& world, uint32_t number, std::string_view text) {
    if (text.empty()) return 0;
    const auto command = read_command(text);
    if (!command) return EAGAIN;
    const int swappiness = command->swappiness.value_or(static_cast<int>(world.swappiness));
    uint64_t reclaimed = 0;
    unsigned fruitless = 0;
    while (reclaimed < command->pages) {
        if (world.nodes[number].busy_until > world.now) {
            pass_time(world, 1ms);
            return EAGAIN;
        }
        const uint64_t batch = std::max((command->pages - reclaimed) / 4, batch_min);
        const bool open = gate_open(world, number);
        const uint64_t got =
            open ? shrink(world, number, swappiness, batch, [](const Pages&) { return true; }) : 0;
        reclaimed += got;
        if (got == 0) {
            // Passes over lists of which nothing goes take a while; a shut gate takes none.
            pass_time(world, open ? 500us : 2us);
            if (++fruitless == fruitless_max) return EAGAIN;
        }
    }
    return 0;
}

int write_memory_reclaim(World& world, size_t index, std::string_view text) {
    const std::string path = world.cgroups[index].path;
    const auto command = read_command(text);
    if (!command || (command->swappiness && !world.reclaim_takes_swappiness)) return EINVAL;
    if (command->swappiness == swappiness_of_max && !world.reclaim_takes_max) return EINVAL;
    const int swappiness = command->swappiness.value_or(static_cast<int>(world.swappiness));
    uint64_t reclaimed = 0;
    while (reclaimed < command->pages) {
        const uint64_t before = reclaimed;
        const auto mine = [&](const Pages& run) { return below(world, run.cgroup, path); };
        uint64_t all = 0;
        for (const Node& node : world.nodes) all += sum(node, mine);
        const uint64_t left = command->pages - before;
        for (uint32_t number = 0; number < world.nodes.size() && all > 0; ++number) {
            const uint64_t share = left * sum(world.nodes[number], mine) / all;
            if (share > 0 || left < batch_min)
                reclaimed += shrink(world, number, swappiness, std::max<uint64_t>(share, 1), mine);
        }
        if (reclaimed == before) return EAGAIN;
    }
    return 0;
}

}  // namespace braidway::memory::fake
