// SPDX-License-Identifier: Apache-2.0
// One way to make the kernel give memory back.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "memory/reclaim/kinds.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// What a mechanism is asked for in one call.
struct Ask {
    uint32_t node = 0;
    Kind kind = Kind::page_cache;
    uint64_t bytes = 0;  ///< More than 0.
    /// Mapped page cache may go with unmapped one, or the other way round.
    bool both_caches = false;
};

/// What the mechanism's own interface said. How much it freed is measured by the caller.
struct Answer {
    int error = 0;  ///< errno; 0 = it says that it did all that it was asked.
    /// It has nothing more for this kind on this node, whatever is asked next.
    bool exhausted = false;
    std::string note{};  ///< For the report, where there is something to say.
};

/// How far a mechanism's effect reaches.
enum class Reach : uint8_t {
    node,    ///< Only the node it is asked for.
    global,  ///< Every node: only with the user's consent.
};

/// A means of the kernel, made to look like the others. It does one call, or a bounded series, and
/// measures nothing: the engine looks at the node before and after.
///
/// Errors:  in the Answer.
/// Threads: one run on one node has mechanisms of its own.
class Mechanism {
  public:
    virtual ~Mechanism() = default;
    /// As reports name it: "node-reclaim".
    virtual std::string_view name() const = 0;
    virtual KindSet kinds() const = 0;
    virtual Reach reach() const { return Reach::node; }
    /// Whether it works here: the interface is there and this process may use it. Errors: one
    /// sentence that says what is missing; `code` is EACCES or EPERM where it is a privilege.
    virtual Result<void> probe() const = 0;
    /// The most it should be asked for in one call, so that a run can be cancelled.
    virtual uint64_t chunk_bytes_max(Kind kind) const = 0;
    /// Whether it takes mapped page cache when only unmapped one is asked for, so that what is
    /// mapped has to be guarded.
    virtual bool takes_mapped() const { return false; }
    /// Whether it swaps tmpfs with anonymous memory, the oldest first.
    virtual bool takes_tmpfs() const { return false; }
    /// Whether the kernel's gate stands before it (see Gate).
    virtual bool is_gated() const { return false; }
    virtual Answer reclaim(const Ask& ask) = 0;
};

using Mechanisms = std::vector<std::unique_ptr<Mechanism>>;

}  // namespace braidway::memory
