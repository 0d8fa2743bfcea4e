// SPDX-License-Identifier: Apache-2.0
// Of node_run.h: the calls of one mechanism, what each answer means and what is done about it.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/node_run.h"
#include "memory/reclaim/plan.h"
#include "memory/reclaim/proportion.h"

namespace braidway::memory {
namespace {

/// From this on, the last big call stops that much short of the goal.
constexpr uint64_t approach_from = 64u << 20;
constexpr uint64_t approach_short = 8u << 20;
/// Less page cache than this is not worth opening the gate.
constexpr uint64_t gate_worth = 4u << 20;
/// Ballast above what opens the gate, for what others do meanwhile.
constexpr uint64_t gate_slack = 16u << 20;
/// Whoever asks for nearly all there is makes the kernel look at mapped pages, too.
constexpr uint64_t guard_margin = 64u << 20;

constexpr const char* statistics_files[] = {"/sys/fs/cgroup/memory.stat",
                                            "/sys/fs/cgroup/memory/memory.stat"};

}  // namespace

struct NodeRun::Series {
    Mechanism& mechanism;
    Part part;
    Step step{};
    uint64_t credit = 0;  ///< Freed by the kernel's word, filled again by others since.
    uint64_t wanted = 0;  ///< At the begin.
    uint64_t freed = 0;   ///< By all calls, also what others have filled again since.
    unsigned poor_calls = 0;
    unsigned stats_waits = 0;
    bool stats_flushed = false;
    Duration busy_waited{};
    Duration busy_wait = limits::reclaim_busy_wait_min;
};

void NodeRun::free_by(Mechanism& mechanism, Part part, uint64_t until) {
    Series series{.mechanism = mechanism, .part = part, .wanted = less(until, progress(part))};
    series.step = {
        .mechanism = std::string(mechanism.name()),
        .kind = part.both_caches ? "page-cache,mapped-page-cache" : std::string(name_of(part.kind)),
        .outcome = {}};
    const Instant begun = tools_.machine.now();
    const NodeState before = now_;
    const size_t endings = endings_.size();
    bool exact = refreshes_;
    if (guard(series, less(until, progress(part)))) {
        while (!stop()) {
            const uint64_t rest =
                std::min(less(until, progress(part) + series.credit), remaining());
            if (close_enough(rest, report_.goal, lump_)) {
                if (exact) break;
                measure(Refresh::yes);
                exact = true;
                continue;
            }
            exact = refreshes_;
            if (series.freed / 2 >= series.wanted + lump_ / 2) {
                end(part, mechanism.name(), Shortfall::refilled, "");
                break;
            }
            if (!call(series, rest)) break;
        }
    }
    series.step.length = tools_.machine.now() - begun;
    series.step.change = difference(before, now_);
    series.step.outcome =
        endings_.size() == endings ? "done" : std::string(name_of(endings_.back().because));
    if (series.step.calls > 0) report_.steps.push_back(std::move(series.step));
}

/// How much may be asked for in one call; 0 when nothing, and then why is noted.
uint64_t NodeRun::allowed_now(const Series& series, uint64_t bytes) {
    const Part part = series.part;
    const std::string_view name = series.mechanism.name();
    bytes = std::min(bytes, series.mechanism.chunk_bytes_max(part.kind));
    // In pieces of a tenth of a second, rather than all at once and then a long rest.
    if (request_.bytes_per_second_max > 0)
        bytes = std::min(bytes,
                         std::max(limits::reclaim_chunk_min, request_.bytes_per_second_max / 10));
    if (part.kind == Kind::anonymous) {
        const SwapState swap = read_swap_state(tools_.machine).value_or(SwapState{});
        const uint64_t room = swap_room(swap);
        if (room < std::min(bytes, limits::reclaim_chunk_min)) {
            end(part, name, Shortfall::no_swap, describe_full_swap(swap));
            return 0;
        }
        if (now_.free < request_.keep_free) {
            end(part, name, Shortfall::floor,
                fmt::format("{} is free on node {}, less than keep-free ({}): swapping needs "
                            "memory itself",
                            format_size(now_.free), node_, format_size(request_.keep_free)));
            return 0;
        }
        return std::min(bytes, room);
    }
    if (part.kind == Kind::slab || request_.keep_cache == 0) return bytes;
    const uint64_t above = less(now_.page_cache(), request_.keep_cache);
    if (above == 0)
        end(part, name, Shortfall::floor,
            fmt::format("keep-cache: {} of page cache stays", format_size(request_.keep_cache)));
    return std::min(bytes, above);
}

/// How much of `rest` is asked for in the next call.
uint64_t NodeRun::next_bytes(const Series& series, uint64_t rest) const {
    const uint64_t chunk = series.mechanism.chunk_bytes_max(series.part.kind);
    // The kernel frees whole folios, of up to 8 MiB, and more than one above what was asked for in
    // one call. What lacks then is a small call, which overshoots by one folio at most.
    const bool last = rest <= chunk && series.mechanism.reach() == Reach::node;
    const bool cache = series.part.kind == Kind::page_cache;
    return last && cache && rest >= approach_from ? rest - approach_short : rest;
}

bool NodeRun::call(Series& series, uint64_t bytes) {
    bytes = allowed_now(series, next_bytes(series, bytes));
    if (bytes == 0) return false;
    const bool cache = series.part.kind == Kind::page_cache;
    // Our own ballast is not what is to go.
    if (ballast_ > 0 && cache)
        bytes = std::min(bytes, std::max(limits::reclaim_chunk_min,
                                         takeable_cache(now_, request_.spares_mapped(), 0)));
    const NodeState before = now_;
    const Instant begun = tools_.machine.now();
    const Answer answer = series.mechanism.reclaim({.node = node_,
                                                    .kind = series.part.kind,
                                                    .bytes = bytes,
                                                    .both_caches = series.part.both_caches});
    const Duration length = tools_.machine.now() - begun;
    measure(refreshes_ ? Refresh::yes : Refresh::no);
    const Difference change = difference(before, now_);
    const uint64_t freed = moved(series.part, change);
    ++series.step.calls;
    series.step.asked += bytes;
    if (freed > bytes && series.mechanism.reach() == Reach::node)
        lump_ = std::max(lump_, freed - bytes);
    if (answer.error == 0 && freed < bytes / 2)
        series.credit += less(bytes / 2, freed + change.freed[Kind::slab]);
    series.freed += freed;
    if (tools_.progressed) tools_.progressed(less(report_.goal, remaining()), report_.goal);
    if (change.demoted > freed) {
        end(series.part, series.mechanism.name(), Shortfall::demoted,
            "the kernel moves it to a slower tier of memory instead of freeing it");
        return false;
    }
    const Evidence evidence = evidence_of(series, bytes, answer, length, freed);
    const Judgement judgement = judge(evidence);
    if (judgement.next == Next::again) {
        series.poor_calls = freed < bytes / 16 ? series.poor_calls + 1 : 0;
        if (freed >= bytes / 2) series.stats_waits = 0;
        keep_rate(freed, begun);
    }
    return act_on(series, judgement, answer);
}

Evidence NodeRun::evidence_of(const Series& series, uint64_t asked, const Answer& answer,
                              Duration length, uint64_t progress) const {
    return {.kind = series.part.kind,
            .asked = asked,
            .progress = progress,
            .answer = answer,
            .length = length,
            .state = now_,
            .gate = gate_,
            .ballast = ballast_,
            .gated = series.mechanism.is_gated(),
            .spares_mapped = request_.spares_mapped(),
            .guarded = tools_.guard ? tools_.guard->bytes() : 0,
            .poor_calls = series.poor_calls,
            .stats_waits = series.stats_waits,
            .busy_waited = series.busy_waited};
}

/// Returns whether the mechanism is asked again.
bool NodeRun::act_on(Series& series, Judgement judgement, const Answer& answer) {
    const std::string_view name = series.mechanism.name();
    switch (judgement.next) {
        case Next::again:
            return true;
        case Next::open_gate: {
            const size_t endings = endings_.size();
            if (open_gate(series)) return true;
            if (stop() || endings_.size() > endings) return false;
            break;
        }
        case Next::wait_statistics:
            // Whoever reads the statistics of cgroups makes the kernel bring them up to date.
            if (!series.stats_flushed) {
                series.stats_flushed = true;
                bool flushed = false;
                for (const char* file : statistics_files)
                    flushed = tools_.machine.read(file).has_value() || flushed;
                if (flushed) return true;
            }
            ++series.stats_waits;
            return wait(limits::reclaim_stats_age,
                        "the kernel does not know yet which page cache is in use");
        case Next::wait_others: {
            const Duration length = series.busy_wait;
            series.busy_waited += length;
            series.busy_wait = std::min(2 * series.busy_wait, limits::reclaim_busy_wait_max);
            return wait(length, "another reclaimer holds the node");
        }
        case Next::next_mechanism:
            break;
    }
    // Given, and gone again: not the kernel's refusal.
    if (judgement.because == Shortfall::active && series.freed / 2 > progress(series.part))
        judgement.because = Shortfall::refilled;
    end(series.part, name, judgement.because,
        answer.note.empty() && answer.error != 0
            ? fmt::format("{}: {}", name, errno_text(answer.error))
            : answer.note);
    return false;
}

/// The gate is closed: tries what opens it. Returns whether something did.
bool NodeRun::open_gate(Series& series) {
    const bool anonymous = series.part.kind == Kind::anonymous;
    // Behind the gate the kernel meets the dirty pages and begins to write them back, which nobody
    // asked for: not for a little of what is clean.
    const uint64_t clean = takeable_cache(now_, request_.spares_mapped(), 0);
    if (!anonymous && clean < std::max(gate_worth, now_.dirty + now_.writeback)) return false;
    while (openers_tried_ < tools_.gate_openers.size() && !stop()) {
        const GateOpener& opener = tools_.gate_openers[openers_tried_++];
        const Instant begun = tools_.machine.now();
        // Enough even when all that can be taken is gone: mapped pages count against it.
        const uint64_t enough = gate_.unmapped_min + now_.mapped + gate_slack;
        auto opened = opener.open(anonymous, enough);
        Step step{.mechanism = opener.name,
                  .kind = std::string(name_of(series.part.kind)),
                  .calls = 1,
                  .length = tools_.machine.now() - begun,
                  .outcome = opened ? "opened the kernel's gate" : opened.error().message};
        if (opened) open_gates_.push_back(std::move(*opened));
        measure(Refresh::yes);
        gate_ = read_gate(tools_.machine, now_.total);
        report_.steps.push_back(std::move(step));
        if (opened) return true;
        const int code = opened.error().code;
        if (code == EACCES || code == EPERM)
            end(series.part, opener.name, Shortfall::privilege, opened.error().message);
    }
    return false;
}

bool NodeRun::wait(Duration length, std::string_view why) {
    if (tools_.waiting) tools_.waiting(why);
    const Duration left = budget_began_ + request_.budget - tools_.machine.now();
    if (left <= Duration::zero() || !tools_.machine.pause(std::min(length, left))) {
        stop();
        return false;
    }
    measure(Refresh::yes);
    return true;
}

/// Returns whether the mechanism may be used: what must not go is held.
bool NodeRun::guard(Series& series, uint64_t target) {
    const bool wanted = request_.spares_mapped() && series.part.kind == Kind::page_cache &&
                        series.mechanism.takes_mapped();
    if (!wanted || tools_.guard == nullptr) return true;
    const uint64_t unmapped = less(takeable_cache(now_, true, 0), gate_.unmapped_min);
    const GuardScope scope = target + std::max(guard_margin, target / 8) > unmapped
                                 ? GuardScope::all
                                 : GuardScope::large_only;
    // Where so little is mapped at all, no process has much: no need to look.
    if (scope == GuardScope::large_only && now_.mapped <= limits::guard_large_bytes) return true;
    const auto held = tools_.guard->hold_mapped(scope);
    if (held) return true;
    end(series.part, series.mechanism.name(), Shortfall::privilege,
        fmt::format("{}: what processes have mapped could not be kept: {} "
                    "(with mapped-page-cache in --what it may go)",
                    series.mechanism.name(), held.error().message));
    return false;
}

void NodeRun::keep_rate(uint64_t freed, Instant since) {
    if (request_.bytes_per_second_max == 0) return;
    const auto length = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
        static_cast<double>(freed) / static_cast<double>(request_.bytes_per_second_max)));
    const Duration rest = length - (tools_.machine.now() - since);
    const Duration left = budget_began_ + request_.budget - tools_.machine.now();
    if (rest > Duration::zero()) (void)tools_.machine.pause(std::min(rest, left));
}

}  // namespace braidway::memory
