// SPDX-License-Identifier: Apache-2.0
// A device-mapper multipath table in words, for people.
#pragma once

#include <string>
#include <vector>

#include "multipath/dm_table.h"

namespace braidway::apps {

/// The line as `dmsetup table` would show it once it is loaded, with its name if it has one.
std::string dm_target_text(const multipath::DmTarget& target);

/// What a table says that has no effect, hardly does what was meant, or is dangerous; one sentence
/// or two each.
std::vector<std::string> dm_target_warnings(const multipath::DmTarget& target);

/// What the table means, in lines: what happens without a path, its handler, each group with its
/// selector and paths, what the kernel prints back if that is different from `line` (as it was
/// given), and the warnings.
std::string explain_dm_target(const multipath::DmTarget& target, const std::string& line);

}  // namespace braidway::apps
