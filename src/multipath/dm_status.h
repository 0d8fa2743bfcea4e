// SPDX-License-Identifier: Apache-2.0
// Status lines of device-mapper's multipath target (`dmsetup status`, its INFO): text <-> struct.
//
//   2 <queue_io> <pg_init_count> 0 <#groups> <group>
//   { D|A|E <#words> [word]* <#paths> <#words per path> { <device> A|F <fail_count> [word]* }+ }*
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "multipath/selector.h"
#include "multipath/spec.h"

namespace braidway::multipath {

/// One path in a status line.
struct DmInfoPath {
    std::string name;
    PathState state = PathState::up;  ///< A or F.
    uint32_t fail_count = 0;
    PathArguments words;  ///< Selector::info_words().

    bool operator==(const DmInfoPath&) const = default;
};

/// One priority group in a status line.
struct DmInfoGroup {
    GroupState state = GroupState::enabled;  ///< E, A or D.
    PathArguments words;                     ///< Selector::group_words().
    std::vector<DmInfoPath> paths;           ///< All with the same number of words.

    bool operator==(const DmInfoGroup&) const = default;
};

/// What a status line says. It does not name the selectors.
struct DmInfo {
    bool queue_io = true;  ///< All I/O waits for the activation of a group.
    /// Activations since the current group was chosen. multipath-tools shows it as "queued I/O".
    uint32_t pg_init_count = 0;
    /// The current group, else the one asked for, else 1; 0 without groups.
    GroupNumber group = 0;
    std::vector<DmInfoGroup> groups;

    bool operator==(const DmInfo&) const = default;
};

/// Reads what stands behind the word `multipath` in a status line; `words_before` is how many words
/// of the line come before it. The words of selectors are counted, not understood.
/// Errors: EINVAL; the message says which word (from 1), group and path it is about, and what is
/// expected there.
Result<DmInfo> parse_dm_info(std::string_view text, size_t words_before = 0);

/// The line as the kernel prints it, without the blank at its end.
std::string dm_info_text(const DmInfo& info);

}  // namespace braidway::multipath
