// SPDX-License-Identifier: Apache-2.0
// The ways out of the process.
#pragma once

namespace braidway::lockcheck {

/// Registers what runs at the very end of exit() and quick_exit(). Once, at start.
void watch_exits();

/// The process is about to end by a system call with `status`: writes its document for the last
/// time and returns the status that it is to end with.
int status_at_end(int status);

/// A deadlock was reported, and the settings say that it ends the process: at once.
[[noreturn]] void end_after_hang();

}  // namespace braidway::lockcheck
