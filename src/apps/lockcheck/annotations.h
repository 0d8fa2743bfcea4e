// SPDX-License-Identifier: Apache-2.0
// Findings as GitHub Actions shows them beside the code.
#pragma once

#include <string>
#include <string_view>

#include "apps/lockcheck/document.h"

namespace braidway::lockcheck {

/// One workflow command: "::error file=F,line=N,title=lockcheck%3A order::MESSAGE", or ::notice for
/// a note. Files below `workspace` are named from there on, as GitHub wants them.
/// Source: GitHub's documentation "Workflow commands", and its toolkit's rules of escaping.
std::string annotation(const Finding& finding, bool is_note, std::string_view workspace);

}  // namespace braidway::lockcheck
