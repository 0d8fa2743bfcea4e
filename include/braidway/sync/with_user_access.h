// SPDX-License-Identifier: Apache-2.0
// Lock, try, unlock, bring the memory in, start over: how shared memory is used under a lock.
//
// A thread that takes a page fault with a lock held may sleep in it, or come back for the same
// lock: a fair reader/writer lock with a writer in between is a deadlock then (the futex of Linux
// before 2.6.11). So the access under the lock fails instead, and what may sleep is done without
// the lock.
#pragma once

#include <cstdint>
#include <expected>
#include <mutex>
#include <shared_mutex>
#include <type_traits>
#include <utility>

#include "braidway/sync/annotations.h"
#include "braidway/sync/fault_in.h"

namespace braidway::sync {

/// How often with_user_access() runs the attempt before it gives up on memory that keeps vanishing.
inline constexpr unsigned user_access_attempts_max = 8;

/// What one attempt under the lock comes to: its result, or the memory that it missed.
template <typename T>
using UserAttempt = std::expected<T, MissingMemory>;

/// Why an access did not succeed.
enum class UserAccessError : uint8_t {
    fault,    ///< The memory is not there and will not come: an error of the client.
    gave_up,  ///< It vanished again after each of user_access_attempts_max attempts.
};

/// Brings memory in on the real machine; the explorer has another one, for pages that it models.
struct SystemFaultIn {
    FaultInOutcome operator()(const MissingMemory& missing) const { return fault_in(missing); }
};

/// Implementation: one attempt with the lock held.
template <typename Guard, typename Lock, typename Attempt>
BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS auto attempt_with(Lock& lock, Attempt& attempt) {
    const Guard guard(lock);
    return attempt();
}

/// Implementation of the two functions below.
template <typename Guard, typename Lock, typename Attempt, typename FaultIn>
auto retry_user_access(Lock& lock, Attempt& attempt, FaultIn& bring_in)
    -> std::expected<typename std::invoke_result_t<Attempt&>::value_type, UserAccessError> {
    for (unsigned left = user_access_attempts_max;;) {
        auto result = attempt_with<Guard>(lock, attempt);
        if (result) {
            if constexpr (std::is_void_v<typename decltype(result)::value_type>) {
                return {};
            } else {
                return std::move(*result);
            }
        }
        // Nobody tries again: to fault in would be to sleep for nothing.
        if (--left == 0) return std::unexpected(UserAccessError::gave_up);
        switch (bring_in(result.error())) {
            case FaultInOutcome::present:
                break;
            case FaultInOutcome::fault:
                return std::unexpected(UserAccessError::fault);
            case FaultInOutcome::gave_up:
                return std::unexpected(UserAccessError::gave_up);
        }
    }
}

/// Runs `attempt()` with `lock` held until it succeeds: lock, attempt, unlock; when memory was
/// missing, bring it in with no lock held and start over.
///
/// `attempt` returns UserAttempt<T> and uses only try_...() on shared memory. It begins anew each
/// time: everything it learnt under the lock before, pointers into a map included, may be wrong by
/// then, so it keeps nothing from one run to the next, and changes nothing before its last access
/// has succeeded (or changes it in a way that can be done twice).
///
/// Shapes:  at most user_access_attempts_max runs; each holds the lock once.
/// Errors:  UserAccessError; the lock is not held on return, also when `attempt` throws.
/// Threads: the caller holds no lock: bringing memory in may sleep.
/// Source:  the retry loop of the kernel's futex code since 2.6.11, with a bound.
template <typename Lock, typename Attempt, typename FaultIn = SystemFaultIn>
auto with_user_access(Lock& lock, Attempt&& attempt, FaultIn&& bring_in = {}) {
    return retry_user_access<std::lock_guard<Lock>>(lock, attempt, bring_in);
}

/// As with_user_access(), with the lock held for reading.
template <typename Lock, typename Attempt, typename FaultIn = SystemFaultIn>
auto with_user_access_shared(Lock& lock, Attempt&& attempt, FaultIn&& bring_in = {}) {
    return retry_user_access<std::shared_lock<Lock>>(lock, attempt, bring_in);
}

}  // namespace braidway::sync
