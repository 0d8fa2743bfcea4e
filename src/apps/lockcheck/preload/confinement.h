// SPDX-License-Identifier: Apache-2.0
// Seccomp: what the process will still be able to do, known before the kernel says it.
#pragma once

// NOLINTNEXTLINE(readability-identifier-naming): the kernel's name.
struct sock_fprog;

namespace braidway::lockcheck {

/// The calling thread is about to give itself seccomp's strict mode, or a filter. What it will not
/// allow is not tried any more (see raw_call()): the validator goes on in memory that is taken now,
/// reports are written in plain words to a descriptor that is open, and the document into a line
/// that is mapped. Call before_confinement() before, and confinement_refused() when the kernel said
/// no. Threads: any; what one thread may not do, none of ours does any more.
void before_strict_mode();
void before_filter(const sock_fprog* filter);
void confinement_refused();

/// May the renderer be started, as far as is known? It would inherit the filter.
bool may_start_programs();

/// May the document's file be opened and written?
bool may_write_files();

}  // namespace braidway::lockcheck
