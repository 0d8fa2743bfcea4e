// SPDX-License-Identifier: Apache-2.0
// Cuts a fuzzer's input into pieces, as a network would.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/random.h"

namespace braidway::fuzz {

/// Hands out `bytes` in pieces whose sizes follow from `seed`: mostly tiny, sometimes all.
class Pieces {
  public:
    Pieces(std::span<const std::byte> bytes, uint64_t seed) : bytes_(bytes), random_(seed) {}

    bool empty() const { return arrived_ == bytes_.size() && taken_ == arrived_; }
    /// What has arrived and was not taken; more of it each time.
    std::span<const std::byte> next() {
        const size_t left = bytes_.size() - arrived_;
        const uint64_t most = uint64_t{1} << random_.below(12);
        arrived_ += static_cast<size_t>(std::min<uint64_t>(left, 1 + random_.below(most)));
        return bytes_.subspan(taken_, arrived_ - taken_);
    }
    bool all_arrived() const { return arrived_ == bytes_.size(); }
    void take(size_t count) { taken_ += count; }

  private:
    std::span<const std::byte> bytes_;
    Random random_;
    size_t arrived_ = 0;
    size_t taken_ = 0;
};

}  // namespace braidway::fuzz
