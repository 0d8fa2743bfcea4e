// SPDX-License-Identifier: Apache-2.0
// Places that may sleep say so, and whoever knows which locks are held may listen.
#pragma once

#include <atomic>

namespace braidway::sync {

/// Called at a place that may sleep; `where` names it for a report and is a literal.
using MaySleepHook = void (*)(const char* where);

/// The hook in force; set it through set_may_sleep_hook(). One for the process: it is in the
/// library.
extern std::atomic<MaySleepHook> may_sleep_hook;

/// Says that the caller may sleep here and therefore holds no lock: the hook, when there is one,
/// decides whether that is true. Without one it costs a load.
///
/// Threads: any.
/// Source:  the kernel's might_sleep() and might_fault(), which are the same idea.
inline void may_sleep_here(const char* where) {
    if (const MaySleepHook hook = may_sleep_hook.load(std::memory_order_acquire)) [[unlikely]]
        hook(where);
}

/// Puts a hook in, or takes it out with nullptr. Returns the one that was there, so that a second
/// listener can call it. A thread that is inside the old hook may still be there on return.
///
/// Threads: any.
MaySleepHook set_may_sleep_hook(MaySleepHook hook);

}  // namespace braidway::sync
