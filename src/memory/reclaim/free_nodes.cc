// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/free_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <mutex>
#include <thread>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/ballast.h"
#include "memory/reclaim/judgement.h"
#include "memory/reclaim/locked_pages.h"
#include "memory/reclaim/node_run.h"
#include "memory/reclaim/run_place.h"
#include "memory/reclaim/sysctl_gate.h"
#include "memory/reclaim/tools.h"
#include "memory/reclaim/writeback.h"

namespace braidway::memory {
namespace {

/// What the nodes of one run share.
struct Run {
    Machine& machine;
    const Request& request;
    ReclaimObserver* observer;
    std::string root;
    Result<std::string> place;
    Instant began;
    std::mutex lock{};  ///< Of `observer`.

    void waiting(uint32_t node, std::string_view why) {
        if (observer == nullptr) return;
        const std::lock_guard guard(lock);
        observer->waiting(node, why);
    }
    void progressed(uint32_t node, uint64_t freed, uint64_t goal) {
        if (observer == nullptr) return;
        const std::lock_guard guard(lock);
        observer->progressed(node, freed, goal);
    }
};

Result<void> check(const Machine& machine, const NodeList& nodes, const Request& request) {
    if (request.kinds.empty()) return fail("no kind of memory was named", EINVAL);
    if (nodes.empty()) return fail("no node was named", EINVAL);
    for (const uint32_t node : nodes)
        if (auto there = check_node(machine, node); !there) return there;
    return {};
}

/// Waits its turn. Errors: cancelled, the budget, a lock that cannot be had.
Result<FileLock> take_turn(Run& run, uint32_t node) {
    const Instant until = run.began + run.request.budget;
    bool told = false;
    while (true) {
        auto lock = FileLock::try_take(fmt::format("{}/node{}.lock", *run.place, node));
        if (lock || lock.error().code != EWOULDBLOCK) return lock;
        if (!told) run.waiting(node, "another run frees memory of this node");
        told = true;
        if (!run.machine.pause(limits::reclaim_lock_poll)) return fail("cancelled", ECANCELED);
        if (run.machine.now() >= until)
            return fail(fmt::format("another run has held node {} for {}", node,
                                    format_duration(run.request.budget)),
                        EBUSY);
    }
}

NodeTools tools_for(Run& run, uint32_t node, PageGuard* guard) {
    NodeTools tools{.machine = run.machine,
                    .mechanisms = make_mechanisms(run.machine, node, run.request),
                    .guard = guard,
                    .began = run.began};
    const Instant until = run.began + run.request.budget;
    // Where it is allowed, cheaper than ballast.
    if (run.request.allow_sysctl && run.place)
        tools.gate_openers.push_back({"sysctl", [&run, until](bool anonymous, uint64_t) {
                                          return open_sysctl_gate(run.machine, run.root, *run.place,
                                                                  anonymous, until);
                                      }});
    if (run.machine.is_here())
        tools.gate_openers.push_back({"ballast", [&run, node](bool, uint64_t bytes) {
                                          return load_ballast(run.machine, node, bytes,
                                                              run.request.keep_free);
                                      }});
    if (run.request.writeback)
        tools.write_back = [&run, until] {
            return write_back(run.machine, run.request.writeback_paths, until);
        };
    tools.progressed = [&run, node](uint64_t freed, uint64_t goal) {
        run.progressed(node, freed, goal);
    };
    tools.waiting = [&run, node](std::string_view why) { run.waiting(node, why); };
    return tools;
}

NodeReport not_run(const Run& run, uint32_t node, Shortfall because, std::string why) {
    NodeReport report = NodeRun({.machine = run.machine}, node, run.request).plan();
    report.shortfall = because;
    report.reason = std::move(why);
    return report;
}

NodeReport free_node(Run& run, uint32_t node) {
    if (run.request.bytes == 0)
        return NodeRun(tools_for(run, node, nullptr), node, run.request).run();
    FileLock lock;
    if (run.place) {
        auto turn = take_turn(run, node);
        if (!turn) {
            const bool cancelled = turn.error().code == ECANCELED;
            const bool busy = turn.error().code == EBUSY;
            return not_run(run, node,
                           cancelled ? Shortfall::cancelled
                           : busy    ? Shortfall::busy
                                     : Shortfall::privilege,
                           turn.error().message);
        }
        lock = std::move(*turn);
    }
    // Elsewhere there is nothing that could be locked.
    if (!run.machine.is_here())
        return NodeRun(tools_for(run, node, nullptr), node, run.request).run();
    LockedPages guard(run.machine, run.request.protect);
    if (!guard.missed().empty() && !run.request.protect.empty())
        return not_run(run, node, Shortfall::privilege,
                       "what is to be protected could not be locked: " + guard.missed());
    return NodeRun(tools_for(run, node, &guard), node, run.request).run();
}

/// Nothing that the standard library throws may leave a thread: it would end the host program.
NodeReport free_or_fail(Run& run, uint32_t node) {
    try {
        return free_node(run, node);
    } catch (const std::exception& problem) {
        NodeReport report;
        report.node = node;
        report.asked = run.request.bytes;
        report.shortfall = Shortfall::failed;
        report.reason = problem.what();
        return report;
    }
}

/// What a run that was refused sees others free meanwhile.
bool as_good_as_nothing(const NodeReport& node) {
    const uint64_t freed = std::min(node.freed.total(), node.goal);
    return is_done(node.goal - freed, node.goal);
}

}  // namespace

Result<Report> free_nodes(Machine& machine, const NodeList& nodes, const Request& request,
                          ReclaimObserver* observer) {
    if (auto good = check(machine, nodes, request); !good) return std::unexpected(good.error());
    const Instant begun = machine.now();
    Run run{.machine = machine,
            .request = request,
            .observer = observer,
            .root = machine.root(),
            .place = run_place(machine.root()),
            .began = begun};
    // Without locks only he may run who can free nothing but his own: two runs of root would each
    // count what the other freed.
    if (!run.place && run_place_is_shared() && request.bytes > 0)
        return std::unexpected(run.place.error());
    if (run.place)
        if (auto restored = restore_sysctls(machine, *run.place); !restored)
            return std::unexpected(restored.error());
    Report report;
    report.nodes.resize(nodes.size());
    {
        std::vector<std::jthread> threads;
        for (size_t at = 1; at < nodes.size(); ++at)
            threads.emplace_back([&, at] { report.nodes[at] = free_or_fail(run, nodes[at]); });
        report.nodes[0] = free_or_fail(run, nodes[0]);
    }
    report.length = machine.now() - begun;
    return report;
}

Result<Report> plan_nodes(Machine& machine, const NodeList& nodes, const Request& request) {
    if (auto good = check(machine, nodes, request); !good) return std::unexpected(good.error());
    const Instant begun = machine.now();
    Report report;
    for (const uint32_t node : nodes)
        report.nodes.push_back(
            NodeRun({.machine = machine, .mechanisms = make_mechanisms(machine, node, request)},
                    node, request)
                .plan());
    report.length = machine.now() - begun;
    return report;
}

Outcome outcome_of(const Report& report) {
    Outcome worst = Outcome::done;
    for (const NodeReport& node : report.nodes) {
        if (node.shortfall == Shortfall::none) continue;
        const bool refused = is_refusal(node.shortfall) && as_good_as_nothing(node);
        worst = std::max(worst, refused ? Outcome::refused : Outcome::fell_short);
    }
    return worst;
}

}  // namespace braidway::memory
