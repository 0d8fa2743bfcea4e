// SPDX-License-Identifier: Apache-2.0
// Locks for tests of what is remembered beside them.
#pragma once

#include <deque>

#include "lockdep/lock.h"

namespace braidway::lockcheck {

/// A lock with an id of its own that is there for good, as the validator's are: what a test lets
/// remember of it is of the whole process, and looked at by later tests.
inline lockdep::Lock& make_lock() {
    static std::deque<lockdep::Lock> locks;
    lockdep::Lock& lock = locks.emplace_back();
    lock.id = static_cast<lockdep::LockId>(1000 + locks.size());
    return lock;
}

}  // namespace braidway::lockcheck
