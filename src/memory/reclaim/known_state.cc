// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/known_state.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "base/limits.h"
#include "memory/reclaim/node_state.h"
#include "memory/reclaim/run_place.h"
#include "memory/reclaim/writeback.h"

namespace braidway::memory {
namespace {

const std::string drop_caches = "/proc/sys/vm/drop_caches";
const std::string compact_all = "/proc/sys/vm/compact_memory";

std::unexpected<Error> cancelled_in(std::string_view step) {
    return fail(fmt::format("cancelled at the step {}", step), ECANCELED);
}

/// The steps, and what they share.
class KnownStateRun {
  public:
    KnownStateRun(Machine& machine, const NodeList& nodes,
                  const std::function<void(std::string_view)>& began)
        : machine_(machine), nodes_(nodes), began_(began) {}

    Result<void> take_turns();
    Result<void> write_dirty_back();
    Result<void> drop();
    Result<void> compact();
    std::vector<KnownStateStep> take_steps() { return std::move(steps_); }

  private:
    /// Tells that the step begins and returns when.
    Instant begin(std::string_view mechanism) const {
        if (began_) began_(mechanism);
        return machine_.now();
    }
    void add(std::string mechanism, Instant begun, uint64_t freed, std::string outcome) {
        steps_.push_back({std::move(mechanism), machine_.now() - begun, freed, std::move(outcome)});
    }
    Result<std::vector<NodeState>> states() const;
    Result<uint64_t> drop_once(const std::vector<NodeState>& before);

    Machine& machine_;
    const NodeList& nodes_;
    const std::function<void(std::string_view)>& began_;
    std::vector<KnownStateStep> steps_{};
    std::vector<FileLock> locks_{};
};

/// Caches go on all nodes, so no run may be measuring one of them.
Result<void> KnownStateRun::take_turns() {
    const auto place = run_place(machine_.root());
    if (!place) return std::unexpected(place.error());
    const auto all = nodes_with_memory(machine_);
    if (!all) return std::unexpected(all.error());
    for (const uint32_t node : *all) {
        bool told = false;
        while (true) {
            auto lock = FileLock::try_take(fmt::format("{}/node{}.lock", *place, node));
            if (lock) {
                locks_.push_back(std::move(*lock));
                break;
            }
            if (lock.error().code != EWOULDBLOCK) return std::unexpected(lock.error());
            if (!told && began_) began_(fmt::format("wait for another run on node {}", node));
            told = true;
            if (!machine_.pause(limits::reclaim_lock_poll)) return cancelled_in("wait");
        }
    }
    return {};
}

Result<void> KnownStateRun::write_dirty_back() {
    const Instant begun = begin("writeback");
    auto written = write_back(machine_, {});
    if (machine_.cancelled()) return cancelled_in("writeback");
    if (!written) return std::unexpected(written.error());
    add("writeback", begun, 0, std::move(*written));
    return {};
}

Result<std::vector<NodeState>> KnownStateRun::states() const {
    std::vector<NodeState> all;
    for (const uint32_t node : nodes_) {
        auto state = read_node_state(machine_, node, all.empty() ? Refresh::yes : Refresh::no);
        if (!state) return std::unexpected(state.error());
        all.push_back(*state);
    }
    return all;
}

Result<uint64_t> KnownStateRun::drop_once(const std::vector<NodeState>& before) {
    // Inodes with cached pages are skipped when slab is dropped, so pages go first.
    for (const std::string_view what : {"1", "2"}) {
        if (machine_.cancelled()) return cancelled_in("drop-caches");
        if (auto dropped = machine_.write(drop_caches, what); !dropped)
            return std::unexpected(dropped.error());
    }
    const auto after = states();
    if (!after) return std::unexpected(after.error());
    uint64_t freed = 0;
    for (size_t at = 0; at < before.size(); ++at)
        freed += difference(before[at], (*after)[at])
                     .freed.total(KindSet(KindSet::bits_all & ~KindSet::bit(Kind::anonymous)));
    return freed;
}

Result<void> KnownStateRun::drop() {
    for (unsigned pass = 1; pass <= limits::known_state_passes_max; ++pass) {
        const Instant begun = begin("drop-caches");
        const auto before = states();
        if (!before) return std::unexpected(before.error());
        const auto freed = drop_once(*before);
        if (!freed) return std::unexpected(freed.error());
        const bool last = *freed < limits::known_state_pass_min;
        add("drop-caches", begun, *freed,
            last ? "next to nothing was left" : fmt::format("pass {}", pass));
        if (last) break;
    }
    return {};
}

Result<void> KnownStateRun::compact() {
    const Instant begun = begin("compact");
    std::string done;
    for (const uint32_t node : nodes_) {
        if (machine_.cancelled()) return cancelled_in("compact");
        const auto written = machine_.write(node_file_path(node, "compact"), "1");
        if (!written) {
            // A kernel without files for nodes may still do it for the whole machine.
            const auto all = machine_.write(compact_all, "1");
            done = all ? "the whole machine" : "this kernel cannot: " + all.error().message;
            break;
        }
        done += fmt::format("{}node {}", done.empty() ? "" : ", ", node);
    }
    add("compact", begun, 0, std::move(done));
    return machine_.cancelled() ? Result<void>(cancelled_in("compact")) : Result<void>();
}

}  // namespace

Result<void> may_reach_known_state(const Machine& machine) {
    if (const auto may = machine.writable(drop_caches); !may)
        return fail(fmt::format("{}; a known state needs root, and nothing was changed (without "
                                "it, --check-only measures)",
                                may.error().message),
                    may.error().code);
    return {};
}

Result<KnownState> reach_known_state(Machine& machine, const NodeList& nodes, bool compact,
                                     const std::function<void(std::string_view)>& began) {
    if (auto may = may_reach_known_state(machine); !may) return std::unexpected(may.error());
    const Instant begun = machine.now();
    KnownStateRun run(machine, nodes, began);
    auto done = run.take_turns();
    if (done) done = run.write_dirty_back();
    if (done) done = run.drop();
    if (done && compact) done = run.compact();
    if (!done) return std::unexpected(done.error());
    auto fingerprint = read_fingerprint(machine, nodes);
    if (!fingerprint) return std::unexpected(fingerprint.error());
    return KnownState{.steps = run.take_steps(),
                      .fingerprint = std::move(*fingerprint),
                      .differences = {},
                      .length = machine.now() - begun};
}

}  // namespace braidway::memory
