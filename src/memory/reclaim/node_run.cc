// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/plan.h"

namespace braidway::memory {
namespace {

using namespace std::chrono_literals;

/// Each CPU may hold back this many pages of a count (the kernel's largest stat threshold).
constexpr uint64_t held_back_pages = 125;
/// Counts that are off by no more than this need no refresh for each call.
constexpr uint64_t drift_bytes = 1u << 20;
constexpr Duration swap_settle_max = 1s;
constexpr Duration swap_settle_poll = 10ms;

uint64_t less(uint64_t value, uint64_t part) {
    return value - std::min(value, part);
}

/// "some avg10=1.23 ..." -> 1.23; 0 where the kernel has no such file.
double memory_pressure(const Machine& machine) {
    const auto text = machine.read("/proc/pressure/memory");
    if (!text) return 0;
    constexpr std::string_view before = "some avg10=";
    const size_t at = text->find(before);
    double percent = 0;
    if (at != std::string::npos)
        (void)std::from_chars(text->data() + at + before.size(), text->data() + text->size(),
                              percent);
    return percent;
}

}  // namespace

NodeRun::NodeRun(NodeTools tools, uint32_t node, const Request& request)
    : tools_(std::move(tools)), node_(node), request_(request), kinds_(request.kind_set()) {
    report_.node = node;
    report_.asked = request.bytes;
}

NodeReport NodeRun::plan() {
    if (begin()) report_.after = report_.before;
    report_.length = tools_.machine.now() - started_;
    return std::move(report_);
}

NodeReport NodeRun::run() {
    if (begin() && report_.goal > 0) {
        if (tools_.write_back) write_back();
        free_parts();
    }
    finish();
    return std::move(report_);
}

bool NodeRun::begin() {
    started_ = tools_.machine.now();
    const auto state = read_node_state(tools_.machine, node_, Refresh::yes);
    if (!state) {
        report_.shortfall = Shortfall::failed;
        report_.reason = state.error().message;
        stopped_ = true;
        return false;
    }
    now_ = report_.before = report_.after = *state;
    gate_ = read_gate(tools_.machine, now_.total);
    report_.plan =
        make_plan(request_, now_, read_swap_state(tools_.machine).value_or(SwapState{}), gate_);
    report_.goal = report_.plan.goal;
    for (const Part part : parts()) {
        std::vector<std::string> names;
        for (const Mechanism* mechanism : chain(part)) names.emplace_back(mechanism->name());
        report_.plan.chains.emplace_back(part.kind, std::move(names));
    }
    refreshes_ = tools_.machine.cpus() * held_back_pages * tools_.machine.page_bytes() >
                 std::max(report_.goal / 100, drift_bytes);
    return true;
}

std::vector<NodeRun::Part> NodeRun::parts() const {
    std::vector<Part> parts;
    const bool both = kinds_.has(Kind::page_cache) && kinds_.has(Kind::mapped_page_cache);
    for (const Kind kind : kinds_all) {
        if (!kinds_.has(kind) || (both && kind == Kind::mapped_page_cache)) continue;
        parts.push_back({kind, both && kind == Kind::page_cache});
    }
    return parts;
}

void NodeRun::free_parts() {
    const auto share = [this](Part part) {
        return report_.plan.share[part.kind] +
               (part.both_caches ? report_.plan.share[Kind::mapped_page_cache] : 0);
    };
    for (const Part part : parts())
        if (share(part) > 0 && !stop()) free_part(part, share(part));
    // What one kind did not have, another may; anonymous memory is not asked for more than planned
    // unless it is the only one.
    for (const Part part : parts()) {
        const bool shared_out = parts().size() > 1 && part.kind != Kind::anonymous;
        if (shared_out && !is_done(report_.goal - remaining(), report_.goal) && !stop())
            free_part(part, remaining());
    }
}

void NodeRun::free_part(Part part, uint64_t target) {
    const uint64_t until = progress(part) + target;
    const std::vector<Mechanism*> mechanisms = chain(part);
    for (Mechanism* mechanism : mechanisms) {
        if (stop() || close_enough(less(until, progress(part)), report_.goal, lump_)) return;
        free_by(*mechanism, part, until);
    }
    if (!mechanisms.empty()) return;
    for (const auto& mechanism : tools_.mechanisms) {
        if (!mechanism->kinds().has(part.kind)) continue;
        if (const auto usable = mechanism->probe(); !usable)
            end(part, mechanism->name(),
                usable.error().code == EACCES || usable.error().code == EPERM
                    ? Shortfall::privilege
                    : Shortfall::no_mechanism,
                fmt::format("{}: {}", mechanism->name(), usable.error().message));
        else if (mechanism->reach() == Reach::global && !request_.allow_global)
            end(part, mechanism->name(), Shortfall::consent,
                fmt::format("{} would free {} on every node: --allow-global allows it",
                            mechanism->name(), name_of(part.kind)));
    }
    if (endings_.empty())
        end(part, "none", Shortfall::no_mechanism,
            fmt::format("nothing that is allowed here frees {} by node", name_of(part.kind)));
}

void NodeRun::free_by(Mechanism& mechanism, Part part, uint64_t until) {
    Series series{.mechanism = mechanism, .part = part};
    series.step = {.mechanism = std::string(mechanism.name()),
                   .kind = part.both_caches ? "page-cache,mapped-page-cache"
                                            : std::string(name_of(part.kind)),
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
    if (part.kind == Kind::anonymous) {
        const SwapState swap = read_swap_state(tools_.machine).value_or(SwapState{});
        const uint64_t room = swap_room(swap);
        if (room < std::min(bytes, limits::reclaim_chunk_min)) {
            end(part, name, Shortfall::no_swap,
                swap.total == 0
                    ? "there is no swap: anonymous memory has nowhere to go"
                    : fmt::format("swap is full: {} of {} is free, {} of that is kept",
                                  format_size(swap.free), format_size(swap.total),
                                  format_size(swap_margin(swap))));
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

bool NodeRun::call(Series& series, uint64_t bytes) {
    bytes = allowed_now(series, bytes);
    if (bytes == 0) return false;
    const bool cache = series.part.kind == Kind::page_cache;
    if (softened_ && cache && series.mechanism.takes_mapped())
        bytes = std::min(bytes, std::max(limits::reclaim_chunk_min,
                                         takeable_cache(now_, true, 0) / 2));
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
    if (tools_.progressed) tools_.progressed(report_.goal - remaining(), report_.goal);
    if (softened_ && cache && change.freed[Kind::mapped_page_cache] > mapped_fall_max) {
        end(series.part, series.mechanism.name(), Shortfall::mapped,
            "the kernel began to take what processes have mapped");
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
            .gate = open_gate_ ? Gate{} : gate_,
            .gated = series.mechanism.name() == "node-reclaim",
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
        case Next::again: return true;
        case Next::soften_guard:
            tools_.guard->release_mapped();
            softened_ = true;
            measure(Refresh::yes);
            return true;
        case Next::open_gate: {
            if (!tools_.open_gate || open_gate_) break;
            auto opened = tools_.open_gate(series.part.kind == Kind::anonymous);
            if (!opened) {
                end(series.part, name, Shortfall::gate, opened.error().message);
                return false;
            }
            open_gate_ = std::move(*opened);
            return true;
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
        case Next::next_mechanism: break;
    }
    end(series.part, name, judgement.because,
        answer.note.empty() && answer.error != 0
            ? fmt::format("{}: {}", name, errno_text(answer.error))
            : answer.note);
    return false;
}

bool NodeRun::wait(Duration length, std::string_view why) {
    if (tools_.waiting) tools_.waiting(why);
    const Duration left = started_ + request_.budget - tools_.machine.now();
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
    softened_ = false;
    const uint64_t unmapped = less(takeable_cache(now_, true, 0), gate_.unmapped_min);
    const GuardScope scope =
        target + std::max(guard_margin, target / 8) > unmapped ? GuardScope::all
                                                               : GuardScope::large;
    const auto held = tools_.guard->hold_mapped(scope);
    if (held) return true;
    end(series.part, series.mechanism.name(), Shortfall::privilege,
        fmt::format("{}: what processes have mapped could not be kept: {}",
                    series.mechanism.name(), held.error().message));
    return false;
}

std::vector<Mechanism*> NodeRun::chain(Part part) {
    std::vector<Mechanism*> chain;
    for (const auto& mechanism : tools_.mechanisms) {
        if (!mechanism->kinds().has(part.kind)) continue;
        if (mechanism->reach() == Reach::global && !request_.allow_global) continue;
        // It takes whatever page cache is oldest, mapped or not.
        if (part.kind == Kind::mapped_page_cache && mechanism->takes_mapped()) continue;
        if (mechanism->probe()) chain.push_back(mechanism.get());
    }
    // By node, the oldest goes first, whether tmpfs or private memory; by process, no tmpfs goes.
    if (part.kind == Kind::anonymous && now_.shmem > now_.anon_lru / 20)
        std::ranges::stable_partition(chain, [](const Mechanism* mechanism) {
            return mechanism->name() == "process-pageout";
        });
    return chain;
}

uint64_t NodeRun::moved(Part part, const Difference& change) const {
    return change.freed[part.kind] + (part.both_caches ? change.freed[Kind::mapped_page_cache] : 0);
}

uint64_t NodeRun::progress(Part part) const {
    return moved(part, difference(report_.before, now_));
}

uint64_t NodeRun::remaining() const {
    if (request_.goal == Goal::until_free) return less(request_.bytes, now_.free);
    return less(report_.goal, difference(report_.before, now_).freed.total(kinds_));
}

bool NodeRun::stop() {
    if (stopped_) return true;
    const auto stop_because = [this](Shortfall because, std::string text) {
        end({kinds_all.front()}, "", because, std::move(text));
        stopped_ = true;
        return true;
    };
    if (tools_.machine.cancelled()) return stop_because(Shortfall::cancelled, "cancelled");
    if (tools_.machine.now() - started_ >= request_.budget)
        return stop_because(Shortfall::budget, fmt::format("the time budget of {} is used up",
                                                           format_duration(request_.budget)));
    if (request_.pressure_percent_max > 0) {
        const double pressure = memory_pressure(tools_.machine);
        if (pressure > request_.pressure_percent_max)
            return stop_because(Shortfall::pressure,
                                fmt::format("memory pressure is {:.1f} %, above pressure-max "
                                            "({:.1f} %)",
                                            pressure, request_.pressure_percent_max));
    }
    return false;
}

void NodeRun::measure(Refresh refresh) {
    // A node that cannot be read any more (taken offline) keeps its last state.
    if (const auto state = read_node_state(tools_.machine, node_, refresh)) now_ = *state;
}

void NodeRun::write_back() {
    if (tools_.waiting) tools_.waiting("writing dirty pages back");
    const Instant begun = tools_.machine.now();
    const uint64_t dirty = now_.dirty + now_.writeback;
    const auto written = tools_.write_back();
    measure(Refresh::yes);
    report_.steps.push_back({.mechanism = "writeback",
                             .kind = "page-cache",
                             .asked = dirty,
                             .calls = 1,
                             .length = tools_.machine.now() - begun,
                             .outcome = written ? *written : written.error().message});
}

/// Pages on their way to swap are free only when they are written.
void NodeRun::await_swap() {
    if (!kinds_.has(Kind::anonymous)) return;
    const Instant until = tools_.machine.now() + swap_settle_max;
    while (now_.writeback > limits::reclaim_chunk_min && tools_.machine.now() < until &&
           tools_.machine.pause(swap_settle_poll))
        measure(Refresh::yes);
}

void NodeRun::finish() {
    open_gate_.reset();
    if (tools_.guard != nullptr) tools_.guard->release_mapped();
    if (report_.shortfall != Shortfall::failed) {
        if (report_.goal > 0) measure(Refresh::yes);
        await_swap();
        report_.after = now_;
        const Difference change = difference(report_.before, report_.after);
        for (const Kind kind : kinds_all)
            (kinds_.has(kind) ? report_.freed : report_.collateral)[kind] = change.freed[kind];
        report_.collateral_shmem = change.shmem;
        report_.demoted = change.demoted;
        report_.net_free = change.net_free;
        const Explanation explanation = explain(request_, report_, gate_, endings_);
        report_.shortfall = explanation.shortfall;
        report_.reason = explanation.text;
    }
    report_.length = tools_.machine.now() - started_;
}

void NodeRun::end(Part part, std::string_view mechanism, Shortfall because, std::string text) {
    endings_.push_back({part.kind, std::string(mechanism), because, std::move(text)});
}

}  // namespace braidway::memory
