// SPDX-License-Identifier: Apache-2.0
// Writes whose answers were lost with their connection, until they surely cannot happen any more.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "loop/loop.h"

namespace braidway::path {

/// What a device knows of changes that ended with outcome_unknown.
struct DoubtCounters {
    uint64_t writes = 0;     ///< That ever did.
    uint32_t unsettled = 0;  ///< Of them, those that may still happen.
    uint64_t at_risk = 0;    ///< Those that nothing but the passing of time has settled.
    Duration held{};         ///< How long there was doubt, all times together.
};

/// The changes of one device that are in doubt, by the connection that lost them. When the last
/// group is settled, by proof or by time, the owner is told once for all of them: whoever holds the
/// requests cannot tell them apart.
///
/// Threads: one lane.
class WritesInDoubt {
  public:
    using Group = uint64_t;
    using Settled = std::function<void(bool at_risk)>;

    /// `quiesce`: after so long a write is taken for dead without proof. `settled` is called from
    /// the loop or from settle().
    WritesInDoubt(loop::Loop& loop, Duration quiesce, Settled settled);
    ~WritesInDoubt();
    WritesInDoubt(const WritesInDoubt&) = delete;
    WritesInDoubt& operator=(const WritesInDoubt&) = delete;

    /// So many writes are in doubt from now on. Their requests may end after this.
    Group add(uint32_t writes);
    /// It is known that none of `group` can happen any more. A group that is settled already is no
    /// error.
    void settle(Group group);
    bool any() const { return !groups_.empty(); }
    DoubtCounters counters() const;

  private:
    struct Doubt {
        Group group = 0;
        uint32_t writes = 0;
        Instant until;
    };
    void time_out(Instant now);
    void end_if_last();

    loop::Loop& loop_;
    Duration quiesce_;
    Settled settled_;
    std::vector<Doubt> groups_;  ///< By time.
    Group next_ = 1;
    bool risky_ = false;  ///< A group of this time of doubt was settled without proof.
    Instant since_;
    DoubtCounters counters_;
    loop::Timer timer_;
};

}  // namespace braidway::path
