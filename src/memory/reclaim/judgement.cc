// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/judgement.h"

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "memory/reclaim/proportion.h"

namespace braidway::memory {
namespace {

using namespace std::chrono_literals;

/// A call that did not even scan comes back within microseconds.
constexpr Duration refused_at_once = 1ms;
constexpr unsigned poor_calls_max = 3;
/// Less than this is what remains on per-CPU lists and in flight, not something to wait for.
constexpr uint64_t crumbs = 4u << 20;
/// Longer than any one reclaim; whoever holds the node for longer does not give it back.
constexpr Duration busy_patience = 10s;

constexpr uint64_t done_bytes = 2u << 20;

/// What is there of the kind that might be taken.
uint64_t left_of(const Evidence& evidence) {
    switch (evidence.kind) {
        case Kind::page_cache:
        case Kind::mapped_page_cache:
            return takeable_cache(evidence.state, evidence.spares_mapped, evidence.guarded);
        case Kind::anonymous:
            return evidence.state.anon_lru;
        case Kind::slab:
            return evidence.state.slab_reclaimable;
    }
    return 0;
}

Judgement wait_for_others(const Evidence& evidence) {
    const bool patient = evidence.busy_waited < busy_patience;
    return {patient ? Next::wait_others : Next::next_mechanism, Shortfall::busy};
}

Judgement go_on_without(Shortfall because) {
    return {Next::next_mechanism, because};
}

/// EAGAIN and nothing came.
Judgement judge_fruitless(const Evidence& evidence) {
    // The ballast counts for the gate but is not what is wanted.
    NodeState seen = evidence.state;
    seen.file_active += evidence.ballast;
    if (evidence.gated && evidence.gate.closed(seen)) return {Next::open_gate, Shortfall::gate};
    if (left_of(evidence) <= crumbs) return go_on_without(Shortfall::nothing_left);
    if (evidence.length < refused_at_once) return wait_for_others(evidence);
    if (evidence.stats_waits < limits::reclaim_stats_waits_max)
        return {Next::wait_statistics, Shortfall::active};
    return go_on_without(Shortfall::active);
}

}  // namespace

Judgement judge(const Evidence& evidence) {
    if (evidence.answer.exhausted) return go_on_without(Shortfall::nothing_left);
    switch (evidence.answer.error) {
        case 0:
        case EAGAIN:
        case EINTR:
            break;
        case EACCES:
        case EPERM:
            return go_on_without(Shortfall::privilege);
        case ENOENT:
        case ENODEV:
        case EOPNOTSUPP:
        case ENOSYS:
            return go_on_without(Shortfall::no_mechanism);
        case EBUSY:
            return wait_for_others(evidence);
        default:
            return go_on_without(Shortfall::failed);
    }
    const bool nothing =
        evidence.progress < std::min(evidence.asked / 16, limits::reclaim_chunk_min);
    // A trickle that others cause, who read while this runs, must not go on for ever.
    const bool trickle =
        evidence.progress < evidence.asked / 16 && evidence.poor_calls >= poor_calls_max;
    if (!nothing && !trickle) return {};
    if (!nothing && evidence.stats_waits > 0) return go_on_without(Shortfall::refilled);
    // A signal for the thread is no shortfall; signals without end must not spin.
    if (evidence.answer.error == EINTR)
        return evidence.poor_calls < poor_calls_max ? Judgement{} : wait_for_others(evidence);
    // It says that it did it, yet nothing is missing: slab went, or others read it back.
    if (evidence.answer.error == 0)
        return evidence.poor_calls < poor_calls_max ? Judgement{}
                                                    : go_on_without(Shortfall::refilled);
    return judge_fruitless(evidence);
}

uint64_t takeable_cache(const NodeState& state, bool spares_mapped, uint64_t guarded) {
    uint64_t left = less(state.file_lru(), state.dirty + state.writeback);
    if (!spares_mapped) return left;
    // What is mapped and evictable: neither the guard's nor locked by processes.
    const uint64_t locked = less(state.page_cache(), state.file_lru());
    return less(left, less(state.mapped_page_cache(), std::max(locked, guarded)));
}

bool close_enough(uint64_t remaining, uint64_t goal, uint64_t lump) {
    if (remaining == 0 || remaining <= goal / 200) return true;
    return remaining <= lump / 2 && is_done(goal - remaining, goal);
}

bool is_done(uint64_t progress, uint64_t goal) {
    return goal <= progress ||
           goal - progress <= std::max(goal / 50, std::min(done_bytes, goal / 2));
}

}  // namespace braidway::memory
