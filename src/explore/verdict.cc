// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/explorer.h"

namespace braidway::explore {

std::string Verdict::summary() const {
    const std::string count = std::to_string(executions) + " executions";
    std::string words = "clean";
    if (finding == Finding::failed_check) words = "FAILED CHECK";
    if (finding == Finding::deadlock) words = "DEADLOCK";
    if (finding == Finding::livelock) words = "LIVELOCK";
    if (finding == Finding::endless) words = "ENDLESS";
    std::string how = "sampled(" + std::to_string(executions) + ")";
    if (coverage == Coverage::exhaustive) how = "exhaustive";
    if (coverage == Coverage::bounded) how = "bounded";
    return words + " after " + count + " (" + how + ")";
}

}  // namespace braidway::explore
