// SPDX-License-Identifier: Apache-2.0
// An execution as a list of decisions, and the list as a line of text.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "explore/chooser.h"

namespace braidway::explore {

/// Names an execution: `b1:` and a group for each run of steps of one slot, a letter (`a` is the
/// first thread, after `z` comes `A`) and how many steps, unless it is one. A step with several
/// outcomes that took another than the first stands alone: `b.2` took the third.
///
/// `b1:a3b.1a` is three steps of the first thread, one of the second with its second outcome, one
/// of the first.
std::string replay_text(const Decisions& decisions);

/// The longest execution that a text may name: a short text could name a very long one.
inline constexpr unsigned replay_steps_max = 1'000'000;

/// Reads what replay_text() wrote.
///
/// Errors:  a line that names the position, counted from 1.
Result<Decisions> parse_replay(std::string_view text);

/// Takes the decisions of a list; when they are used up, the last thread goes on as long as it can,
/// then the first that can, and outcomes are the first.
///
/// Threads: one.
class Replayer final : public Chooser {
  public:
    explicit Replayer(const Decisions& decisions) : decisions_(decisions) {}

    void begin(const Execution& /*execution*/) override { misfit_ = -1; }
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& execution, unsigned count) override;
    bool next() override { return false; }

    /// The first decision that could not be taken, or -1.
    int misfit() const { return misfit_; }

  private:
    const Decisions& decisions_;
    int misfit_ = -1;
};

/// As Replayer, but passes over what cannot be taken: a thread that cannot go on, and the number of
/// an outcome that the step does not have.
///
/// Threads: one.
class LenientReplayer final : public Chooser {
  public:
    explicit LenientReplayer(std::span<const Decision> decisions) : decisions_(decisions) {}

    void begin(const Execution& /*execution*/) override { at_ = 0; }
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& execution, unsigned count) override;
    bool next() override { return false; }

  private:
    std::span<const Decision> decisions_;
    size_t at_ = 0;
    unsigned choice_ = 0;  ///< Of the decision that was taken last.
};

}  // namespace braidway::explore
