// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "braidway/explore/explorer.h"
#include "explore/words.h"

namespace braidway::explore {
namespace {

std::string counted(uint64_t executions) {
    return fmt::format("{} execution{}", executions, executions == 1 ? "" : "s");
}

}  // namespace

std::string Verdict::summary() const {
    const std::string_view looked_at = coverage_name(coverage);
    if (clean() && states > 0) return fmt::format("clean ({}): {} states", looked_at, states);
    if (clean()) return fmt::format("clean ({}): {}", looked_at, counted(executions));
    const uint64_t first = first_failure != 0 ? first_failure : executions;
    if (failures > 1)
        return fmt::format("{} in {} of {}, first in number {} ({})", finding_title(finding),
                           failures, counted(executions), first, looked_at);
    return fmt::format("{} after {} ({})", finding_title(finding), counted(first), looked_at);
}

}  // namespace braidway::explore
