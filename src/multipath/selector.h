// SPDX-License-Identifier: Apache-2.0
// What a priority group asks to pick one of its paths.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/io.h"
#include "base/time.h"

namespace braidway::multipath {

/// A path's arguments for its selector, as words of the table line ("1", "50").
using PathArguments = std::vector<std::string>;

/// What a selector is told besides its words.
struct SelectorOptions {
    /// As dm-multipath 1.14.0, its oddities included (docs/kernel-differences.md).
    bool kernel_strict = false;
    /// The NUMA node of each CPU, for io-affinity; CPUs beyond its end are on node 0.
    std::vector<uint32_t> node_of_cpu;
};

/// Picks the path for each I/O of one priority group. Paths are numbered from 0 in table order
/// within the group; all are up and idle at first.
///
/// Shapes:  the paths given at creation.
/// Errors:  pick() returns nothing when every path is down.
/// Threads: one lane. No allocation after creation but in the words for people.
class Selector {
  public:
    using Index = uint32_t;

    virtual ~Selector() = default;
    virtual std::string_view name() const = 0;
    virtual std::optional<Index> pick(const IoShape& io, Instant now) = 0;
    /// An I/O that pick() gave to `path` starts and ends there. `ended` comes for each `started`
    /// and each I/O carried over, also on paths that are down by then. With kernel_strict it comes
    /// a second time for an I/O that was held after its try and is then given up, as in the kernel:
    /// counts go below zero.
    virtual void started(Index path, uint64_t length_bytes, Instant now) = 0;
    virtual void ended(Index path, uint64_t length_bytes, Instant started_at, Instant now) = 0;
    /// Before the first pick(): `path` has this much in flight from the table before.
    virtual void carry_over(Index path, uint32_t in_flight, uint64_t in_flight_bytes) = 0;
    /// `path`, which was up, takes no I/O from now on.
    virtual void fail_path(Index path) = 0;
    /// `path`, which was down, takes I/O again.
    virtual void reinstate_path(Index path) = 0;

    /// The words of the table and status lines: the group's own (most have none), a path's in the
    /// status line, a path's in the table line as device-mapper prints it back. Every path has as
    /// many as the first.
    virtual PathArguments group_words() const { return {}; }
    virtual PathArguments info_words(Index path) const = 0;
    virtual PathArguments table_words(Index path) const = 0;

    /// A copy that decides the same from now on.
    virtual std::unique_ptr<Selector> clone() const = 0;
    /// Appends what decides its next choices, so that two selectors made alike with equal words
    /// choose alike; what only counts or tells is left out. For searches through all states.
    virtual void append_state(std::vector<uint64_t>& state) const = 0;
};

/// Makes the selector called `name` with the group's own words `group` for paths with these
/// arguments.
/// Errors: unknown selector, wrong arguments; the message begins with device-mapper's words for it,
/// names the path's place and says what is accepted.
Result<std::unique_ptr<Selector>> make_selector(std::string_view name, const PathArguments& group,
                                                const std::vector<PathArguments>& paths,
                                                const SelectorOptions& options = {});

/// The names that make_selector() knows: device-mapper's five, then our own.
std::vector<std::string> selector_names();

}  // namespace braidway::multipath
