// SPDX-License-Identifier: Apache-2.0
// The two words that a map and a monitor exchange, so that neither includes the other.
#pragma once

#include <cstdint>
#include <string>

namespace braidway::multipath {

/// Where a monitor's verdicts go. A map implements it: only the map talks to the brain.
/// Threads: the map's lane.
class VerdictSink {
  public:
    /// A check of the path with this index in the map's table has ended.
    virtual void path_checked(uint32_t path, bool good, const std::string& reason) = 0;

  protected:
    ~VerdictSink() = default;
};

/// Who wants to know that I/O failed a path, or that an operator did. A monitor implements it and
/// then looks at the path at its shortest interval.
/// Threads: the map's lane.
class FailureListener {
  public:
    virtual void path_failed(uint32_t path) = 0;

  protected:
    ~FailureListener() = default;
};

}  // namespace braidway::multipath
