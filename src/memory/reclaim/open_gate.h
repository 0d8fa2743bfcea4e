// SPDX-License-Identifier: Apache-2.0
// What keeps the kernel's gate open for a while.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"

namespace braidway::memory {

/// A change that opens the gate of node reclaim, and that is undone when the object goes.
class OpenGate {
  public:
    virtual ~OpenGate() = default;
    /// Page cache of the node that is there only for this, now.
    virtual uint64_t bytes() const { return 0; }
};

/// One way to open it.
struct GateOpener {
    std::string name;  ///< Of the step in the report: "ballast", "sysctl".
    /// `anonymous`: for anonymous memory, too; `bytes`: how much page cache would be enough.
    std::function<Result<std::unique_ptr<OpenGate>>(bool anonymous, uint64_t bytes)> open;
};

}  // namespace braidway::memory
