// SPDX-License-Identifier: Apache-2.0
// What a seccomp filter would say.
#pragma once

#include <cstdint>

// NOLINTNEXTLINE(readability-identifier-naming): the kernel's name.
struct sock_fprog;

namespace braidway::lockcheck {

/// A system call, as a filter sees it.
struct FilteredCall {
    long number = 0;
    uint64_t arguments[6] = {};
};

/// Would `filter` let this call through, as SECCOMP_RET_ALLOW or SECCOMP_RET_LOG do? Programs that
/// the kernel would not take are said to allow nothing.
/// Source: seccomp(2), and the instructions of Linux's Documentation/networking/filter.rst.
bool allows(const sock_fprog& filter, const FilteredCall& call);

}  // namespace braidway::lockcheck
