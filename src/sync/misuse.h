// SPDX-License-Identifier: Apache-2.0
// Who hears of a lock that was misused before the process ends.
#pragma once

namespace braidway::sync {

/// Called by lock_misused() in this thread, in place of ending the process. It does not return.
/// nullptr: nobody. The explorer makes a finding of it.
using MisuseListener = void (*)(const char* what, const void* lock);

/// Takes the place of the listener of this thread; returns the former one.
MisuseListener set_misuse_listener(MisuseListener listener) noexcept;

}  // namespace braidway::sync
