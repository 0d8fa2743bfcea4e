// SPDX-License-Identifier: Apache-2.0
// A trace as rows: what reports and pictures draw below each other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "braidway/explore/report.h"

namespace braidway::explore {

/// One row: a step, or several that are not shown.
struct Row {
    enum class Kind : uint8_t {
        step,      ///< Step number `step`.
        folded,    ///< `steps` steps of `thread` inside a lock.
        left_out,  ///< `steps` steps of anybody, because the trace is long.
    };
    Kind kind = Kind::step;
    size_t step = 0;  ///< Counted from 0.
    size_t steps = 1;
    unsigned thread = 0;
    std::optional<size_t> waker;  ///< The step that ended this one's sleep.
    std::string words;
};

/// The rows of `trace`, at most options.rows_max of them.
std::vector<Row> rows_of(const Trace& trace, const ReportOptions& options);

}  // namespace braidway::explore
