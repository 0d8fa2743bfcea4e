// SPDX-License-Identifier: Apache-2.0
// Whether a fault is forgiven: what the handler asks.
#pragma once

#include <cstdint>

namespace braidway::sync {

/// Where a fault of the instruction at `instruction`, on the memory at `address`, goes on; 0 when
/// the instruction is no accessor or the address in no window.
///
/// Threads: any; async-signal-safe. At most user_windows_max windows and every accessor of the
///          process are looked at, about a nanosecond each.
uintptr_t user_access_fixup(uintptr_t instruction, uintptr_t address) noexcept;

}  // namespace braidway::sync
