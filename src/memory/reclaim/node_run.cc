// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/plan.h"
#include "memory/reclaim/proportion.h"

namespace braidway::memory {
namespace {

using namespace std::chrono_literals;

/// Each CPU may hold back this many pages of a count (the kernel's largest stat threshold).
constexpr uint64_t held_back_pages = 125;
/// Counts that are off by no more than this need no refresh for each call.
constexpr uint64_t drift_bytes = 1u << 20;
constexpr Duration swap_settle_max = 1s;
constexpr Duration swap_settle_poll = 10ms;

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
    for (const auto& mechanism : tools_.mechanisms)
        if (mechanism->probe()) usable_.push_back(mechanism.get());
    budget_began_ = tools_.began.value_or(started_);
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
    // What one kind did not have, another may; anonymous memory is not asked for more than planned.
    // And what was freed may not be free yet, or taken by others meanwhile.
    const bool until_free = request_.goal == Goal::until_free;
    if (until_free) await_swap();
    for (const Part part : parts()) {
        const bool again = (parts().size() > 1 || until_free) && part.kind != Kind::anonymous;
        if (again && !is_done(less(report_.goal, remaining()), report_.goal) && !stop())
            free_part(part, remaining());
    }
    note_full_swap();
}

/// Anonymous memory that was not even planned for want of swap is a reason, too.
void NodeRun::note_full_swap() {
    const Part anonymous{Kind::anonymous};
    if (!kinds_.has(Kind::anonymous) || has_ended(anonymous)) return;
    const SwapState swap = read_swap_state(tools_.machine).value_or(SwapState{});
    if (swap_room(swap) < std::min(report_.goal, now_.anon_pages))
        end(anonymous, "swap", Shortfall::no_swap, describe_full_swap(swap));
}

void NodeRun::free_part(Part part, uint64_t target) {
    const uint64_t until = progress(part) + target;
    const std::vector<Mechanism*> mechanisms = chain(part);
    for (Mechanism* mechanism : mechanisms) {
        // It has said already that it has no more.
        if (has_ended(part, mechanism->name())) continue;
        if (stop() || close_enough(less(until, progress(part)), report_.goal, lump_)) return;
        free_by(*mechanism, part, until);
    }
    if (!mechanisms.empty() || has_ended(part)) return;
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
    if (!has_ended(part))
        end(part, "none", Shortfall::no_mechanism,
            fmt::format("nothing that is allowed here frees {} by node", name_of(part.kind)));
}

std::vector<Mechanism*> NodeRun::chain(Part part) {
    std::vector<Mechanism*> chain;
    for (Mechanism* mechanism : usable_) {
        if (!mechanism->kinds().has(part.kind)) continue;
        if (mechanism->reach() == Reach::global && !request_.allow_global) continue;
        // It takes whatever page cache is oldest, mapped or not.
        if (part.kind == Kind::mapped_page_cache && mechanism->takes_mapped()) continue;
        chain.push_back(mechanism);
    }
    // By node, the oldest goes first, whether tmpfs or private memory; by process, no tmpfs goes.
    if (part.kind == Kind::anonymous && now_.shmem > now_.anon_lru / 20)
        std::ranges::stable_partition(
            chain, [](const Mechanism* mechanism) { return !mechanism->takes_tmpfs(); });
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
    if (tools_.machine.now() - budget_began_ >= request_.budget)
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
    const auto state = read_node_state(tools_.machine, node_, refresh);
    if (!state) return;
    now_ = *state;
    ballast_ = 0;
    for (const auto& open : open_gates_) ballast_ += open->bytes();
    ballast_ = std::min(ballast_, now_.page_cache());
    now_.file_pages -= ballast_;
    now_.free += ballast_;
    const uint64_t active = std::min(ballast_, now_.file_active);
    now_.file_active -= active;
    now_.file_inactive -= std::min(ballast_ - active, now_.file_inactive);
}

void NodeRun::write_back() {
    if (tools_.waiting) tools_.waiting("writing dirty pages back");
    const Instant begun = tools_.machine.now();
    const uint64_t dirty = now_.dirty + now_.writeback;
    const auto written = tools_.write_back();
    measure(Refresh::yes);
    if (!written) end({Kind::page_cache}, "writeback", Shortfall::failed, written.error().message);
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
    const Instant until =
        std::min(tools_.machine.now() + swap_settle_max, budget_began_ + request_.budget);
    while (now_.writeback > limits::reclaim_chunk_min && tools_.machine.now() < until &&
           tools_.machine.pause(swap_settle_poll))
        measure(Refresh::yes);
}

void NodeRun::finish() {
    open_gates_.clear();
    ballast_ = 0;
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

bool NodeRun::has_ended(Part part, std::string_view mechanism) const {
    return std::ranges::any_of(endings_, [&](const Ending& ending) {
        return ending.kind == part.kind && !ending.mechanism.empty() &&
               ending.mechanism != "writeback" &&
               (mechanism.empty() || ending.mechanism == mechanism);
    });
}

void NodeRun::end(Part part, std::string_view mechanism, Shortfall because, std::string text) {
    endings_.push_back({part.kind, std::string(mechanism), because, std::move(text)});
}

}  // namespace braidway::memory
