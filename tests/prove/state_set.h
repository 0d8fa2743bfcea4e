// SPDX-License-Identifier: Apache-2.0
// The states seen so far, by a fingerprint, numbered as they came.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace braidway::prove {

/// A set of long keys of which 128 bits are kept.
class StateSet {
  public:
    StateSet();
    /// The number of `key`, and whether it is new.
    std::pair<uint32_t, bool> insert(std::span<const uint64_t> key);
    std::optional<uint32_t> find(std::span<const uint64_t> key) const;
    size_t size() const { return prints_.size(); }

  private:
    struct Print {
        uint64_t low = 0;
        uint64_t high = 0;
        friend bool operator==(const Print&, const Print&) = default;
    };
    std::vector<Print> prints_;    ///< By number.
    std::vector<uint32_t> slots_;  ///< Number + 1; 0 = free. A power of two, at most half full.

    static Print print_of(std::span<const uint64_t> key);
    size_t slot_of(const Print& print) const;
    void grow();
};

}  // namespace braidway::prove
