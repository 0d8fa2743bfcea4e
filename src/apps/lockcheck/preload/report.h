// SPDX-License-Identifier: Apache-2.0
// What was found in this process, and how it gets out: at once, and again at the end.
#pragma once

#include <cstdint>

#include "lockdep/finding.h"

namespace braidway::lockcheck {

/// How a process, or the program that it ran, went.
enum class ProcessEnd : uint8_t {
    running,  ///< It has not.
    exited,   ///< By exit() and its kin.
    ended,    ///< By a deadlock, or by becoming another program.
};

/// Reads where standard error goes, and opens the count that the tree of processes shares. Once, at
/// start.
void start_reports();

/// Keeps the finding and shows it: the renderer prints it and writes the document. Threads: any, in
/// in_validator().
void report_finding(const lockdep::Finding& finding);

/// Writes the document for the last time. True: something was found in the tree of processes. Call
/// it with all signals blocked.
bool finish_reports(ProcessEnd end);

/// Was anything found here, or does a document of this process wait for its end?
bool has_reports();

/// The process is about to lose the right to open the document's file, or the way to it: the file
/// is kept open, with a first document. Call it in in_validator().
void keep_reports_writable();

/// Around fork(). A child begins with an empty document.
void lock_reports();
void unlock_reports();
void reports_in_child();

}  // namespace braidway::lockcheck
