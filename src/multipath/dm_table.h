// SPDX-License-Identifier: Apache-2.0
// Table lines of device-mapper's multipath target: text <-> MultipathSpec.
//
//   <#features> [feature [argument]]* <#handler words> [handler [argument]*] <#groups> <initial>
//   { <selector> <#words> [word]* <#paths> <#words per path> { <device> [word]* }+ }*
//
// Accepts and refuses what dm-multipath 1.14.0 does, and finds the same problem first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "multipath/dm_line.h"
#include "multipath/dm_words.h"
#include "multipath/selector.h"
#include "multipath/spec.h"

namespace braidway::multipath {

/// A whole table line.
struct DmTarget {
    DmLine line;
    MultipathSpec map;
    /// What is accepted and has no effect, one sentence each: words said twice, handler words in
    /// bio mode.
    std::vector<std::string> warnings;
};

/// Reads what stands behind the word `multipath` in a table line.
///
/// `no_path.queue` is whether queue_if_no_path is there, and there is no timeout: the table has no
/// word for it. Words for selectors stay as they were written, a handler's too, but in bio mode,
/// which has no handler. Without groups `initial_group` is 0. `lookup` is asked for each path in
/// turn, before the path's words are looked at. The defaults of what a table does not say are
/// MultipathSpec's.
/// Errors: EINVAL, or the code of `lookup`. The message begins with the kernel's words, then says
/// which word (counted from 1), group and path it is about, and what is expected there.
Result<MultipathSpec> parse_dm_table(std::string_view parameters, const DeviceLookup& lookup,
                                     const SelectorOptions& options = {});

/// Reads a whole line of a table, "[NAME:] START LENGTH multipath ...", words counted from its
/// start.
Result<DmTarget> parse_dm_target(std::string_view line, const DeviceLookup& lookup,
                                 const SelectorOptions& options = {});

/// The parameters as device-mapper prints them back: features in its order, a handler without its
/// arguments, the selectors' words with their defaults filled in and repeat counts above 1 as 1, an
/// initial group beyond the last as 1. For a map that runs, `initial_group` is to be the current
/// group, and `no_path.queue` off while it is suspended. Every group's selector accepts its
/// words.
std::string dm_table_text(const MultipathSpec& map);

}  // namespace braidway::multipath
