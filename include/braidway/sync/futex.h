// SPDX-License-Identifier: Apache-2.0
// The kernel's futex, with types: a thread sleeps for as long as a word has a value.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "braidway/sync/deadline.h"

namespace braidway::sync {

/// Who may wake the sleepers of a word.
enum class FutexScope : uint8_t {
    process_private,  ///< Threads of this process only. Cheaper; never for shared memory.
    process_shared,   ///< Every process that has mapped the memory.
};

/// Why a wait returned. After every one of them but `timed_out` the caller looks at the word again:
/// a wake may be meant for somebody who slept at this address before.
enum class FutexOutcome : uint8_t {
    woken,        ///< Somebody called wake, or nobody did (spurious).
    changed,      ///< The word did not have the expected value: nobody slept.
    interrupted,  ///< A signal handler ran.
    timed_out,    ///< The deadline has passed.
    fault,        ///< The word is in shared memory that is not there (any more), or cannot be now.
};

/// The most words that futex_wait_any() takes: the kernel's FUTEX_WAITV_MAX.
inline constexpr unsigned futex_waits_max = 128;

/// One word of futex_wait_any().
template <typename Word>
struct FutexWait {
    const Word* word;
    uint32_t expected;
    FutexScope scope;
};

/// Why a wait for several words returned, and for which.
struct FutexAnyOutcome {
    FutexOutcome outcome;
    unsigned index;  ///< Of a word that was woken, when `outcome` is woken; else 0.
};

/// Sleeps while `word` is `expected`, until woken, interrupted, or at the deadline. Comparing and
/// falling asleep are one step for every waker that changes the word before it wakes.
///
/// Errors:  see FutexOutcome; a misaligned word ends the process, and so does a filter of system
///          calls that forbids futexes.
/// Threads: any. Changes no errno.
FutexOutcome futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, FutexScope scope,
                        const Deadline& deadline = Deadline::never());

/// Wakes at most `count` sleepers of `word`, which may be gone already: only its address counts, so
/// a lock may be destroyed by whom it let in before the wake arrives. Returns how many it woke.
///
/// Errors:  a word in shared memory that is not there wakes nobody.
/// Threads: any. Changes no errno.
unsigned futex_wake(const std::atomic<uint32_t>* word, unsigned count, FutexScope scope);

/// Sleeps while each word has its expected value; at most futex_waits_max of them.
///
/// Errors:  see FutexOutcome. On kernels before 5.16, which cannot do it, where a filter of system
///          calls forbids it, or when the kernel is out of memory, it sleeps at most 1 ms on the
///          first word and returns `woken` with the index 0, so that callers poll.
/// Threads: any. Changes no errno.
FutexAnyOutcome futex_wait_any(std::span<const FutexWait<std::atomic<uint32_t>>> waits,
                               const Deadline& deadline = Deadline::never());

}  // namespace braidway::sync
