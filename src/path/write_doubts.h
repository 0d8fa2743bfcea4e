// SPDX-License-Identifier: Apache-2.0
// Changes that may still happen although nobody waits for their answer.
#pragma once

#include <cstdint>
#include <functional>

#include "loop/loop.h"

namespace braidway::path {

/// Remembers that changes have ended with an unknown outcome, until they are known to be over or
/// the quiesce time has passed since the last of them.
///
/// Threads: one lane.
class WriteDoubts {
  public:
    /// `at_risk`: nothing is known; only the time is over.
    using Settled = std::function<void(bool at_risk)>;

    WriteDoubts(loop::Loop& loop, Duration quiesce, Settled settled);
    ~WriteDoubts();
    WriteDoubts(const WriteDoubts&) = delete;
    WriteDoubts& operator=(const WriteDoubts&) = delete;

    /// A change has ended with an unknown outcome.
    void add();
    /// None of them can happen any more. Says so if there was any.
    void clear();
    bool any() const { return open_ > 0; }

    uint64_t added() const { return added_; }    ///< Since the beginning.
    uint64_t risked() const { return risked_; }  ///< Of these, ended by the time alone.

  private:
    void expired();

    loop::Loop& loop_;
    Duration quiesce_;
    Settled settled_;
    loop::Timer timer_;
    uint64_t open_ = 0;
    uint64_t added_ = 0;
    uint64_t risked_ = 0;
};

}  // namespace braidway::path
