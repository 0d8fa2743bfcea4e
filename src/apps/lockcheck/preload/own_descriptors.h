// SPDX-License-Identifier: Apache-2.0
// Descriptors of the library's own that stay open: few, far from those that programs expect, and
// safe from programs that close everything.
#pragma once

#include <cstdint>

namespace braidway::lockcheck {

/// What a kept descriptor is for.
enum class OwnDescriptor : uint8_t {
    document,  ///< The document's file.
    root,      ///< The root folder, before the program changed it.
    text,      ///< Where standard error went at start.
};
inline constexpr int own_descriptors = 3;

/// Keeps a duplicate of `fd`, close-on-exec, in place of an older one. False: no descriptor is
/// free.
bool keep_descriptor(OwnDescriptor which, int fd);

/// The kept descriptor, if it is there and still the same file; else -1.
int kept_descriptor(OwnDescriptor which);

/// Is `fd` one of them? As far as the program knows, it is not open.
bool is_own_descriptor(int fd);

/// The program wants this number for itself: what is kept there moves away.
void move_own_descriptor(int fd);

/// Calls `close_range(first, last)` for what lies in [first, last] between the library's own.
template <typename Close>
bool around_own_descriptors(unsigned first, unsigned last, const Close& close_range);

/// Keeps the root folder, which the program is about to change.
void keep_root();

/// Back to the kept root, if the process may and it is not there: for processes beside.
void go_to_kept_root();

template <typename Close>
bool around_own_descriptors(unsigned first, unsigned last, const Close& close_range) {
    unsigned at = first;
    while (at <= last) {
        // The next one of ours, or what follows the last.
        int64_t next = int64_t{last} + 1;
        for (int which = 0; which < own_descriptors; ++which) {
            const int fd = kept_descriptor(static_cast<OwnDescriptor>(which));
            if (fd >= 0 && static_cast<unsigned>(fd) >= at && fd < next) next = fd;
        }
        if (next > at && !close_range(at, static_cast<unsigned>(next - 1))) return false;
        if (next >= int64_t{last}) return true;
        at = static_cast<unsigned>(next) + 1;
    }
    return true;
}

}  // namespace braidway::lockcheck
