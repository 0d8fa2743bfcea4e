// SPDX-License-Identifier: Apache-2.0
// Seeded pseudo-random numbers: the same seed gives the same numbers on every machine.
#pragma once

#include <cstdint>

namespace braidway {

/// splitmix64: small, fast, good enough for tests, jitter and fault injection; not for secrets.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        uint64_t mixed = state_ += 0x9E3779B97F4A7C15ULL;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
        return mixed ^ (mixed >> 31);
    }

    /// A number in [0, below). `below` must not be 0. The bias is below 2^-32 for the small ranges
    /// this is used with.
    uint64_t below(uint64_t below) { return next() % below; }

    /// True with the given chance, in millionths.
    bool chance_ppm(uint32_t ppm) { return below(1'000'000) < ppm; }

  private:
    uint64_t state_;
};

}  // namespace braidway
