// SPDX-License-Identifier: Apache-2.0
// What to do after an access that failed: bring the memory in, with no lock held.
#pragma once

#include <cstddef>
#include <cstdint>

namespace braidway::sync {

/// What the memory is wanted for. They are not the same: a page that can be read proves nothing
/// about whether it can be written.
enum class Access : uint8_t { read, write };

/// A piece of shared memory that an access found missing.
struct MissingMemory {
    const void* address;
    size_t size_bytes;
    Access access;
};

/// How bringing memory in ended.
enum class FaultInOutcome : uint8_t {
    present,  ///< It was there a moment ago; the next access may still fail.
    fault,    ///< It is not there and will not come: truncated, unmapped, forbidden.
    gave_up,  ///< The kernel said "try again" too often.
};

/// Brings `missing` into memory, so that an access of the same kind does not fail for want of a
/// page. May sleep, so no lock is held: it calls may_sleep_here() first. Contents do not change.
///
/// Under a userfaultfd with UFFD_FEATURE_SIGBUS a missing page is `fault` here, too: whoever filled
/// that area has to fill the page.
///
/// Errors:  see FaultInOutcome. A range outside every UserWindow is `fault`, and is not touched.
/// Threads: any, with SIGSEGV and SIGBUS unblocked. Changes no errno.
/// Source:  MADV_POPULATE_READ and MADV_POPULATE_WRITE; before Linux 5.14 a touch of each page.
FaultInOutcome fault_in(const MissingMemory& missing);

}  // namespace braidway::sync
