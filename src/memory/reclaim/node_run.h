// SPDX-License-Identifier: Apache-2.0
// One run on one node: the order of things, and measuring after each.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memory/reclaim/gate.h"
#include "memory/reclaim/judgement.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/mechanism.h"
#include "memory/reclaim/open_gate.h"
#include "memory/reclaim/page_guard.h"
#include "memory/reclaim/request.h"
#include "memory/reclaim/shortfall.h"

namespace braidway::memory {

/// What a run on a node works with. All outlive it.
struct NodeTools {
    Machine& machine;
    Mechanisms mechanisms{};                 ///< In the order of preference.
    PageGuard* guard = nullptr;              ///< Null: nothing can be guarded, nothing has to be.
    std::vector<GateOpener> gate_openers{};  ///< In the order in which they are tried.
    /// Writes back; returns the bytes and what to say. Null: not wanted.
    std::function<Result<std::string>()> write_back{};
    std::optional<Instant> began{};  ///< When the budget began to run, if not with NodeRun.
    std::function<void(uint64_t freed, uint64_t goal)> progressed{};
    std::function<void(std::string_view why)> waiting{};
};

/// Frees on one node what a request asks for.
///
/// Anonymous memory goes first, then page cache, then slab; each kind by the mechanisms that have
/// it, in their order, in chunks, until its share is reached as measured from the node's counters.
/// What one kind could not give is then asked of the others.
///
/// Errors:  in the report.
/// Threads: one.
class NodeRun {
  public:
    NodeRun(NodeTools tools, uint32_t node, const Request& request);

    NodeReport run();
    /// The plan alone.
    NodeReport plan();

  private:
    /// Kinds that are freed together: both kinds of page cache, when both were asked for.
    struct Part {
        Kind kind;
        bool both_caches = false;
    };
    struct Series;  ///< The calls of one mechanism.

    bool begin();
    void finish();
    std::vector<Part> parts() const;
    void free_parts();
    void free_part(Part part, uint64_t target);
    void free_by(Mechanism& mechanism, Part part, uint64_t until);
    uint64_t next_bytes(const Series& series, uint64_t rest) const;
    bool call(Series& series, uint64_t bytes);
    uint64_t allowed_now(const Series& series, uint64_t bytes);
    Evidence evidence_of(const Series& series, uint64_t asked, const Answer& answer,
                         Duration length, uint64_t progress) const;
    bool act_on(Series& series, Judgement judgement, const Answer& answer);
    bool open_gate(Series& series);
    bool wait(Duration length, std::string_view why);
    bool guard(Series& series, uint64_t target);
    std::vector<Mechanism*> chain(Part part);
    uint64_t moved(Part part, const Difference& change) const;
    uint64_t progress(Part part) const;
    uint64_t remaining() const;
    bool stop();
    void measure(Refresh refresh);
    void keep_rate(uint64_t freed, Instant since);
    void write_back();
    void await_swap();
    void note_full_swap();
    /// Whether a mechanism, or any, has no more of the kind.
    bool has_ended(Part part, std::string_view mechanism = {}) const;
    void end(Part part, std::string_view mechanism, Shortfall because, std::string text);

    NodeTools tools_;
    uint32_t node_;
    const Request& request_;
    KindSet kinds_;
    std::vector<Mechanism*> usable_{};  ///< Of the tools, as probed when the run began.
    NodeReport report_{};
    Gate gate_{};
    NodeState now_{};
    Instant started_{};
    Instant budget_began_{};
    uint64_t lump_ = 0;       ///< The largest piece by which a call overshot.
    bool refreshes_ = false;  ///< Counts are so far off that each call needs exact ones.
    std::vector<std::unique_ptr<OpenGate>> open_gates_{};
    size_t openers_tried_ = 0;
    uint64_t ballast_ = 0;  ///< Page cache of our own, left out of `now_`.
    bool stopped_ = false;  ///< The whole run: an ending without a mechanism is among them.
    std::vector<Ending> endings_{};
};

}  // namespace braidway::memory
