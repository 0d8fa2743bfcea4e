// SPDX-License-Identifier: Apache-2.0
// Interleavings by chance.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "explore/chooser.h"

namespace braidway::explore {

/// At each step any slot that can move, each as likely as the other.
///
/// Threads: one.
class RandomWalk final : public Chooser {
  public:
    explicit RandomWalk(uint64_t seed) : random_(seed) {}

    void begin(const Execution& /*execution*/) override {}
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& /*execution*/, unsigned count) override {
        return static_cast<unsigned>(random_.below(count));
    }
    bool next() override { return true; }

  private:
    Random random_;
};

/// Probabilistic concurrency testing: slots have random priorities, and the highest that can move
/// does. At depth - 1 random steps the one that moves falls below all others. A bug that needs
/// `depth` ordering constraints, in a program of n threads and k steps, is found by one execution
/// with a chance of at least 1 / (n * k^(depth - 1)).
///
/// k is the longest execution so far; 16 is the guess before the first. A slot that yields falls to
/// the bottom, too: otherwise a thread that polls might starve whom it waits for.
///
/// Threads: one.
/// Source:  Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic
///          guarantees of finding bugs", ASPLOS 2010.
class Pct final : public Chooser {
  public:
    Pct(uint64_t seed, unsigned depth) : random_(seed), depth_(depth) {}

    void begin(const Execution& execution) override;
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& /*execution*/, unsigned count) override {
        return static_cast<unsigned>(random_.below(count));
    }
    bool next() override { return true; }

  private:
    Random random_;
    const unsigned depth_;
    std::array<int64_t, slots_max> priority_{};
    std::vector<unsigned> falls_;  ///< The steps at which the one that moves falls, sorted.
    size_t next_fall_ = 0;
    int64_t bottom_ = 0;
    unsigned longest_ = 0;
};

}  // namespace braidway::explore
