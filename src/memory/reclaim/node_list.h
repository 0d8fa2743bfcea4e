// SPDX-License-Identifier: Apache-2.0
// Lists of NUMA nodes: "0,2-3".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace braidway::memory {

/// Sorted, each once.
using NodeList = std::vector<uint32_t>;

/// Reads a list as the kernel prints and takes it: numbers and ranges, separated by commas. A node
/// named twice counts once.
/// Errors: empty text, a range that runs backwards, a node above limits::node_max; the sentence
/// names the part that is wrong.
Result<NodeList> parse_node_list(std::string_view text);

/// "0,2-3".
std::string format_node_list(const NodeList& nodes);

}  // namespace braidway::memory
