// SPDX-License-Identifier: Apache-2.0
// The mutex inside a lock.
#pragma once

#include <type_traits>

#include "braidway/sync/mutex.h"
#include "braidway/sync/policy.h"

namespace braidway::sync {

/// The same policy, unwatched: the lock inside a lock is nobody's business.
template <typename Policy>
struct Unobserved : Policy {
    static constexpr bool is_watched = false;
    static void observe(LockEvent /*event*/, LockMode /*mode*/, const void* /*lock*/,
                        LockKind /*kind*/) noexcept {}
};

/// The lock inside a lock, of 4 bytes: BasicMutex, but where a policy brings one of its own along
/// as a member InnerMutex (explore::ProvenMutexPolicy).
template <typename Policy, typename = void>
struct InnerMutexOf {
    using Type = BasicMutex<Unobserved<Policy>>;
};

/// The lock inside a lock that the policy itself names.
template <typename Policy>
struct InnerMutexOf<Policy, std::void_t<typename Policy::InnerMutex>> {
    using Type = typename Policy::InnerMutex;
};

}  // namespace braidway::sync
