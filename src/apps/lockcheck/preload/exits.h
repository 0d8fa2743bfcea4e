// SPDX-License-Identifier: Apache-2.0
// The ways out of the process.
#pragma once

namespace braidway::lockcheck {

/// Registers what runs at the very end of exit() and quick_exit(). Once, at start.
void watch_exits();

/// A deadlock was reported, and the settings say that it ends the process: at once.
[[noreturn]] void end_after_hang();

}  // namespace braidway::lockcheck
