// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/fault_in.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "braidway/sync/may_sleep.h"
#include "braidway/sync/user_access.h"

// Of Linux 5.14; the C library's headers may be older than the kernel.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace braidway::sync {
namespace {

// Each means that the kernel made no progress for a reason of its own; a signal is the usual one.
constexpr unsigned kernel_retries_max = 100;

uintptr_t page_bytes() {
    static const auto bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

/// One byte of each page, with the accessors; a write that changes nothing.
FaultInOutcome touch(uintptr_t begin, uintptr_t end, Access access) {
    for (uintptr_t at = begin; at < end; at = at / page_bytes() * page_bytes() + page_bytes()) {
        auto* const byte = reinterpret_cast<uint8_t*>(at);
        const bool there = access == Access::read ? try_load(byte).has_value()
                                                  : try_fetch_add(byte, uint8_t{0}).has_value();
        if (!there) return FaultInOutcome::fault;
    }
    return FaultInOutcome::present;
}

FaultInOutcome populate(uintptr_t begin, uintptr_t end, Access access) {
    const uintptr_t first_page = begin / page_bytes() * page_bytes();
    const int advice = access == Access::read ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
    for (unsigned turn = 0; turn < kernel_retries_max; ++turn) {
        if (madvise(reinterpret_cast<void*>(first_page), end - first_page, advice) == 0)
            return FaultInOutcome::present;
        switch (errno) {
            case EAGAIN:
            case EINTR:
                break;
            case EINVAL:
                // An older kernel, a device's memory, or no permission: a touch tells which.
                return touch(begin, end, access);
            default:
                return FaultInOutcome::fault;
        }
    }
    return FaultInOutcome::gave_up;
}

}  // namespace

FaultInOutcome fault_in(const MissingMemory& missing) {
    may_sleep_here("fault_in");
    if (!UserWindow::covers(missing.address, missing.size_bytes)) return FaultInOutcome::fault;
    if (missing.size_bytes == 0) return FaultInOutcome::present;
    const int errno_before = errno;
    const auto begin = reinterpret_cast<uintptr_t>(missing.address);
    const FaultInOutcome outcome = populate(begin, begin + missing.size_bytes, missing.access);
    errno = errno_before;
    return outcome;
}

}  // namespace braidway::sync
