// SPDX-License-Identifier: Apache-2.0
// Which process owns something in shared memory, and whether it still lives.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "braidway/sync/deadline.h"

namespace braidway::sync {

/// The identity of a process in 64 bits, so that shared memory names an owner by one atomic store:
/// 22 bits of pid (the kernel's largest is 2^22) and 41 bits of start time (some 690 years of
/// uptime). The topmost bit is 0: it is for marks of those who keep identities. 0 names nobody.
///
/// Two processes of one machine, since it was started, never have the same: a pid is used again
/// only long after the clock tick in which its first owner was started.
///
/// Units:   the start time in clock ticks since boot, as in field 22 of /proc/PID/stat.
using ProcessIdentity = uint64_t;

inline constexpr unsigned process_pid_bits = 22;

constexpr ProcessIdentity process_identity(uint64_t pid, uint64_t start_ticks) {
    return ((start_ticks << process_pid_bits) & (UINT64_MAX >> 1)) |
           (pid & ((uint64_t{1} << process_pid_bits) - 1));
}
constexpr uint64_t pid_of(ProcessIdentity process) {
    return process & ((uint64_t{1} << process_pid_bits) - 1);
}
constexpr uint64_t start_ticks_of(ProcessIdentity process) {
    return process >> process_pid_bits;
}

/// Until when a waiter sleeps before it looks whether those it waits for are alive.
struct Look {
    Deadline until;
    bool is_last;  ///< `until` is the deadline of the caller: after it there is no further look.
};

/// What a waiter waits for, which says how often it looks.
enum class LookAt : uint8_t {
    guard,  ///< Somebody who is inside for a few instructions.
    turn,   ///< Its turn with the lock.
};

/// A waiter for the guard looks at its owner after so long.
inline constexpr int64_t guard_look_period_ns = 10'000'000;
/// A waiter for the lock looks at those before it after so long.
inline constexpr int64_t turn_look_period_ns = 100'000'000;

/// The processes of this machine, as /proc and kill(2) show them.
///
/// The explorer's tests have another one, whose processes are killed at any step.
///
/// Threads: any.
struct SystemProcesses {
    /// This process. Right in a child of fork() as well.
    ProcessIdentity self() const;

    /// Whether this process has ended: there is none of its pid, or it is a zombie, or the one of
    /// its pid was started at another time. A stopped process has not ended.
    ///
    /// Errors:  a process that this one may not look at (hidepid), or a machine without /proc,
    ///          counts as living for as long as its pid is in use.
    bool ended(ProcessIdentity process) const;

    /// A number for what makes identities comparable: this start of the machine, the pid namespace
    /// and the time namespace. Processes for which it differs must not judge each other.
    uint64_t place() const;

    /// The next look of somebody who waits until `deadline`.
    Look next_look(const Deadline& deadline, LookAt what) const;

    /// The next look at LookAt::turn of one of many waiters of which one looks for all. `looked`
    /// is when somebody last did, in nanoseconds of the monotonic clock: a word that they share.
    ///
    /// Whoever waits sees a look begin no later than a period after he began to wait, and after
    /// every look: the next is due a period after the last, and he sleeps no longer.
    template <typename Word>
    Look next_turn_look(const Deadline& deadline, const Word& looked) const {
        const Look look = next_look(deadline, LookAt::turn);
        const int64_t last_ns = static_cast<int64_t>(looked.load(std::memory_order_relaxed));
        const int64_t now_ns = monotonic_ns();
        if (look.is_last || !is_recent(last_ns, now_ns)) return look;
        const std::chrono::nanoseconds due(last_ns + turn_look_period_ns);
        return {
            Deadline(
                std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>(due)),
            false};
    }

    /// Whether the caller is the one to look now; notes it in `looked`.
    template <typename Word>
    bool begin_look(Word& looked) const {
        uint64_t last = looked.load(std::memory_order_relaxed);
        const int64_t now_ns = monotonic_ns();
        return !is_recent(static_cast<int64_t>(last), now_ns) &&
               looked.compare_exchange_strong(last, static_cast<uint64_t>(now_ns),
                                              std::memory_order_relaxed, std::memory_order_relaxed);
    }

  private:
    static int64_t monotonic_ns() {
        return Deadline::after(std::chrono::nanoseconds(0)).nanoseconds();
    }
    /// Scribbling makes it the future, which is not recent.
    static bool is_recent(int64_t last_ns, int64_t now_ns) {
        return last_ns > 0 && last_ns <= now_ns && now_ns - last_ns < turn_look_period_ns;
    }
};

}  // namespace braidway::sync
