// SPDX-License-Identifier: Apache-2.0
// The text that people read.
#pragma once

#include <string>
#include <vector>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/explain.h"

namespace braidway::lockcheck {

/// How a report is written.
struct Style {
    bool colours = false;  ///< For a terminal.
    bool is_note = false;
    bool suppression = false;  ///< A ready block of a suppression file behind each finding.
};

/// One finding with its story, both chains with their stacks, its locks and what to do.
std::string report(const Finding& finding, const Process& process, const Style& style);

/// The steps of a story in columns, at most `width` characters wide.
std::string story_text(const Story& story, size_t width);

/// "2 findings (1 order, 1 relock), 1 note, 1 suppressed", or "nothing found". `others` are
/// findings of the other processes of the tree.
std::string summary(const Document& document, size_t others);

}  // namespace braidway::lockcheck
