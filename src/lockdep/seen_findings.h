// SPDX-License-Identifier: Apache-2.0
// What has been reported, so that it is reported once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/mixing.h"

namespace braidway::lockdep {

/// A set of keys of findings.
///
/// Shapes:  seen_max keys; when it is full nothing more is new, since who would read it?
/// Threads: one at a time.
class SeenFindings {
  public:
    static constexpr size_t seen_max = limits::lockdep_seen_findings_max;

    /// True when `key` is new; remembers it.
    bool is_new(uint64_t key) {
        key |= 1;
        size_t at = mixed(key) % slots;
        while (keys_[at] != 0) {
            if (keys_[at] == key) return false;
            at = (at + 1) % slots;
        }
        if (count_ == seen_max) {
            cut_ = true;
            return false;
        }
        ++count_;
        keys_[at] = key;
        return true;
    }

    /// Was there a new one when it was full?
    bool is_cut() const { return cut_; }

  private:
    static constexpr size_t slots = 2 * seen_max;

    size_t count_ = 0;
    bool cut_ = false;
    uint64_t keys_[slots] = {};
};

}  // namespace braidway::lockdep
