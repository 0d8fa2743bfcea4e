// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "memory/reclaim/judgement.h"
#include "memory/reclaim/proportion.h"

namespace braidway::memory {
namespace {

constexpr uint64_t swap_margin_min = 16u << 20;

std::vector<std::string> blockers_of(const Request& request, const NodeState& state,
                                     const SwapState& swap, const Gate& gate) {
    std::vector<std::string> blockers;
    const KindSet kinds = request.kind_set();
    const auto block = [&](uint64_t bytes, std::string_view what) {
        if (bytes > 0) blockers.push_back(fmt::format("{} {}", format_size(bytes), what));
    };
    const bool cache = kinds.has(Kind::page_cache) || kinds.has(Kind::mapped_page_cache);
    if (cache) {
        if (!request.writeback)
            block(state.dirty, "dirty: stays until it is written back (--writeback)");
        block(state.writeback, "under writeback");
        if (request.spares_mapped())
            block(state.mapped_page_cache(),
                  "mapped by processes: stays mapped (--what mapped-page-cache takes it)");
        block(state.mlocked, "mlocked by processes: stays");
        block(state.shmem, "tmpfs and shared memory: not page cache");
        block(gate.unmapped_min,
              "of unmapped page cache is the kernel's minimum for node-reclaim "
              "(vm.min_unmapped_ratio); ballast or --allow-sysctl opens it");
    }
    if (kinds.has(Kind::anonymous) && swap.total == 0)
        blockers.emplace_back("no swap: anonymous memory has nowhere to go");
    else if (kinds.has(Kind::anonymous) && swap_room(swap) < state.anon_pages)
        blockers.push_back(fmt::format("{} of swap may be used for {} of anonymous memory",
                                       format_size(swap_room(swap)),
                                       format_size(state.anon_pages)));
    return blockers;
}

}  // namespace

uint64_t swap_margin(const SwapState& swap) {
    return std::max(swap_margin_min, swap.total / 20);
}

uint64_t swap_room(const SwapState& swap) {
    return less(swap.free, swap_margin(swap));
}

std::string describe_full_swap(const SwapState& swap) {
    if (swap.total == 0) return "there is no swap: anonymous memory has nowhere to go";
    return fmt::format("swap is full: {} of {} is free, {} of that is kept", format_size(swap.free),
                       format_size(swap.total), format_size(swap_margin(swap)));
}

Plan make_plan(const Request& request, const NodeState& state, const SwapState& swap,
               const Gate& gate) {
    Plan plan;
    plan.goal = request.goal == Goal::free_more ? request.bytes : less(request.bytes, state.free);
    plan.dirty = state.dirty;
    plan.writeback = state.writeback;
    plan.clean = less(state.page_cache(), state.dirty + state.writeback);
    plan.mapped = state.mapped_page_cache();
    plan.mlocked = state.mlocked;
    plan.shmem = state.shmem;
    plan.swap_free = swap.free;

    const uint64_t all = takeable_cache(state, false, 0);
    const uint64_t unmapped = takeable_cache(state, true, 0);
    const uint64_t kept = less(request.keep_cache, state.page_cache() - all);
    const uint64_t written = request.writeback ? state.dirty + state.writeback : 0;
    plan.available[Kind::page_cache] = less(unmapped + written, kept);
    plan.available[Kind::mapped_page_cache] = all - unmapped;
    plan.available[Kind::anonymous] = std::min({state.anon_pages, state.anon_lru, swap_room(swap)});
    plan.available[Kind::slab] = state.slab_reclaimable;

    uint64_t rest = plan.goal;
    for (const Kind kind : request.kinds) {
        plan.share[kind] = std::min(rest, plan.available[kind]);
        rest -= plan.share[kind];
    }
    // What nobody seems to have is asked of the first all the same: estimates are estimates.
    if (rest > 0 && !request.kinds.empty()) {
        const auto cache =
            std::ranges::find_if(request.kinds, [](Kind kind) { return kind != Kind::anonymous; });
        plan.share[cache == request.kinds.end() ? request.kinds.front() : *cache] += rest;
    }
    plan.blockers = blockers_of(request, state, swap, gate);
    return plan;
}

}  // namespace braidway::memory
