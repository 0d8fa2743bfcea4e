// SPDX-License-Identifier: Apache-2.0
// A report as JSON; docs/node-memory.md describes the fields.
#pragma once

#include <string>

#include "memory/reclaim/request.h"

namespace braidway::memory {

/// One document, indented, with a newline at its end. The same fields in every run.
/// `dry_run`: the report is a plan.
std::string report_json(const Report& report, const Request& request, bool dry_run);

/// The same in one line of words for people and control files:
/// "node 0: freed 100M of 100M in 0.004 s".
std::string report_text(const NodeReport& report, const Request& request);

}  // namespace braidway::memory
