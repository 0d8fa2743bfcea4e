// SPDX-License-Identifier: Apache-2.0
// Who holds a node's memory, for people and for programs.
#pragma once

#include <string>

#include "memory/reclaim/holders.h"

namespace braidway::memory {

/// Tables, a section for each node; the notes at the end, one line each.
std::string holders_text(const Holders& holders);

/// One indented JSON document with a newline at its end; the same fields in every run. Bytes that
/// are no UTF-8 in paths are replaced.
std::string holders_json(const Holders& holders);

}  // namespace braidway::memory
