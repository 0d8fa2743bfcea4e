// SPDX-License-Identifier: Apache-2.0
#include "lockdep/internal_lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace braidway::lockdep {

void InternalLock::wait() {
    const int kept_errno = errno;
    while (word_.exchange(2, std::memory_order_acquire) != 0)
        ::syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
    errno = kept_errno;
}

void InternalLock::wake() {
    const int kept_errno = errno;
    ::syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    errno = kept_errno;
}

}  // namespace braidway::lockdep
