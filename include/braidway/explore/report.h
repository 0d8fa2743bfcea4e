// SPDX-License-Identifier: Apache-2.0
// What the explorer found, for people: as text, as a picture, and as JSON for other programs.
#pragma once

#include <string>
#include <string_view>

#include "braidway/explore/explorer.h"

namespace braidway::explore {

/// How much of a trace a report shows.
struct ReportOptions {
    /// Rows of steps; of a longer trace the middle is left out, with a row that says how much. At
    /// least 4.
    unsigned rows_max = 200;
    /// Every step. When false, the steps of a thread inside a lock that tells what happens to it
    /// (wants, acquires, releases) are one row that says how many they were.
    bool detail = true;
    /// A text that would be wider, in columns, lists the steps below each other instead.
    unsigned width_max = 120;
};

/// The summary, the message, the steps of the failing execution with a column for each thread, who
/// holds and who awaits what at its end, why nobody goes on, and how to run it again. A clean
/// verdict is its summary alone. Names that are not printable are escaped.
///
/// Threads: any.
std::string report_text(const Verdict& verdict, const ReportOptions& options = {});

/// The changes of report_json() that rename, remove or redefine a member.
inline constexpr int report_schema = 1;

/// One line of JSON with everything that the verdict says and "schema": see docs/explorer.md.
///
/// Threads: any.
std::string report_json(const Verdict& verdict);

/// The failing execution as an SVG picture: a lane for each thread, arrows from a wake to whom it
/// woke, and below the lanes who waits for whom. Stands for itself: no fonts or styles from
/// elsewhere, readable on light and dark pages.
///
/// Threads: any.
std::string trace_svg(const Verdict& verdict, std::string_view title,
                      const ReportOptions& options = {.rows_max = 60, .detail = false});

}  // namespace braidway::explore
