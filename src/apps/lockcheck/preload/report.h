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

/// The process becomes another program, if the kernel lets it: as finish_reports(), but a program
/// that never found anything leaves no document. If the exec failed: program_stays().
void program_goes();
void program_stays();

/// The process is about to lose the right to open the document's file, or the way to it: what is
/// needed is kept open. Call it in in_validator().
void keep_reports_writable();

/// The process will not be able to write to the document's file: its line is mapped, and written so
/// from here on, with addresses only. Call it in in_validator().
void fix_reports();

/// The process will not be able to start the renderer, nor, unless `files_stay`, to use files: what
/// there is of the document goes to a place where it can be added to all the same. Call it in
/// in_validator().
void confine_reports(bool files_stay);

/// Around fork(). A child begins with an empty document.
void lock_reports();
void unlock_reports();
void reports_in_child();

}  // namespace braidway::lockcheck
