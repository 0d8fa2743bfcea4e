// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/shrinker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/limits.h"
#include "memory/reclaim/node_state.h"
#include "memory/reclaim/proportion.h"

namespace braidway::memory {
namespace {

const std::string folder = "/sys/kernel/debug/shrinker";

/// Shrinkers whose objects are no slab: they split huge pages or write compressed ones to swap.
bool frees_slab(std::string_view shrinker) {
    return !shrinker.starts_with("thp-") && !shrinker.starts_with("mm-zswap");
}

template <typename Places>
uint64_t objects_of(const Places& places) {
    uint64_t objects = 0;
    for (const auto& place : places) objects += place.objects;
    return objects;
}

/// How many objects to scan for so many bytes, by what an object takes on this node on average.
uint64_t objects_for(uint64_t bytes, uint64_t slab, uint64_t objects) {
    if (slab == 0) return objects;
    // More bytes than there are is all of them, and keeps the quotient small.
    return proportion(objects, std::min(bytes, slab), slab);
}

}  // namespace

std::vector<ShrinkerCount> parse_shrinker_counts(std::string_view text) {
    std::vector<ShrinkerCount> counts;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        ShrinkerCount count;
        bool first = true;
        while (!line.empty()) {
            line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
            uint64_t number = 0;
            const auto [stop, error] =
                std::from_chars(line.data(), line.data() + line.size(), number);
            if (error != std::errc()) break;
            line.remove_prefix(static_cast<size_t>(stop - line.data()));
            if (first) {
                count.cgroup = number;
            } else {
                count.objects.push_back(number);
            }
            first = false;
        }
        if (!count.objects.empty()) counts.push_back(std::move(count));
    }
    return counts;
}

KindSet ShrinkerScan::kinds() const {
    return KindSet{}.add(Kind::slab);
}

Result<void> ShrinkerScan::probe() const {
    const auto shrinkers = machine_.list(folder);
    if (!shrinkers) {
        const int code = shrinkers.error().code;
        if (code == EACCES || code == EPERM)
            return fail(fmt::format("{} takes root, and a kernel that is not locked down", folder),
                        code);
        if (code != ENOENT) return std::unexpected(shrinkers.error());
        const auto mounted = machine_.list("/sys/kernel/debug");
        if (mounted && !mounted->empty())
            return fail("this kernel is built without files of shrinkers (CONFIG_SHRINKER_DEBUG)",
                        ENOENT);
        return fail("debugfs is not mounted; mount -t debugfs debugfs /sys/kernel/debug", ENOENT);
    }
    const auto one = std::ranges::find_if(*shrinkers, frees_slab);
    if (one == shrinkers->end())
        return fail(fmt::format("no shrinker of slab is in {}", folder), ENOENT);
    return machine_.writable(fmt::format("{}/{}/scan", folder, *one));
}

uint64_t ShrinkerScan::chunk_bytes_max(Kind) const {
    return limits::reclaim_slab_chunk;
}

Answer ShrinkerScan::reclaim(const Ask& ask) {
    const auto before = places(ask.node);
    const auto state = read_node_state(machine_, ask.node, Refresh::no);
    if (!before) return {.error = before.error().code, .note = before.error().message};
    if (!state) return {.error = state.error().code, .note = state.error().message};
    const uint64_t objects = objects_of(*before);
    if (objects == 0) return {.error = EAGAIN, .exhausted = true};
    const uint64_t wanted = objects_for(ask.bytes, state->slab_reclaimable, objects);
    uint64_t left = wanted;
    for (const Place& place : *before) {
        if (machine_.cancelled()) return {.error = EINTR};
        const uint64_t share = proportion(wanted, place.objects, objects);
        const uint64_t scan = std::min({share, place.objects, left});
        if (scan == 0) continue;
        const auto done = machine_.write(fmt::format("{}/{}/scan", folder, place.shrinker),
                                         fmt::format("{} {} {}\n", place.cgroup, ask.node, scan));
        // A filesystem that was unmounted or a cgroup that ended meanwhile takes its objects along.
        const int code = done ? 0 : done.error().code;
        if (code != 0 && code != ENOENT && code != EINVAL)
            return {.error = code, .note = done.error().message};
        left -= scan;
    }
    const auto after = places(ask.node);
    const bool fruitless = after && objects_of(*after) >= objects;
    return {.error = fruitless ? EAGAIN : 0, .exhausted = fruitless};
}

Result<std::vector<ShrinkerScan::Place>> ShrinkerScan::places(uint32_t node) const {
    const auto shrinkers = machine_.list(folder);
    if (!shrinkers) return std::unexpected(shrinkers.error());
    std::vector<Place> all;
    for (const std::string& shrinker : *shrinkers) {
        if (!frees_slab(shrinker)) continue;
        const auto text = machine_.read(fmt::format("{}/{}/count", folder, shrinker));
        if (!text) continue;  // It is gone since the folder was read.
        for (const ShrinkerCount& count : parse_shrinker_counts(*text))
            if (node < count.objects.size() && count.objects[node] > 0)
                all.push_back({shrinker, count.cgroup, count.objects[node]});
    }
    std::ranges::stable_sort(all, std::greater{}, &Place::objects);
    return all;
}

}  // namespace braidway::memory
