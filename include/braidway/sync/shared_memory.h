// SPDX-License-Identifier: Apache-2.0
// Which shared memory is let in: memory that nobody can cut short behind our back.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>

#include "braidway/sync/user_window.h"

namespace braidway::sync {

/// Why shared memory was not let in: one line for the peer's operator that says what to do instead,
/// and an errno value where one is known, else 0.
struct SharedMemoryRefusal {
    std::string message;
    int code = 0;
};

/// A mapping of sealed memory, readable and writable, with a UserWindow over it.
///
/// The seal keeps it from shrinking, so that no load can run past its end. It may still be missing:
/// a hole that the peer punches comes back as zeros (in hugetlbfs as a fault when no huge page is
/// free), and memory may be short. So it is touched through user_access.h only.
///
/// Shapes:  in hugetlbfs the mapping ends with a huge page; bytes() is what was asked for.
/// Threads: a value; bytes() may be used by any.
class SharedMemory {
  public:
    SharedMemory(SharedMemory&& other) noexcept;
    /// Ends the memory that was here: its window, its mapping, its descriptor.
    SharedMemory& operator=(SharedMemory&& other) noexcept;
    ~SharedMemory();

    std::span<std::byte> bytes() const { return bytes_; }

    /// The file to pass to the peer, for memory that we created; else -1. It stays ours.
    int fd() const { return fd_; }

  private:
    friend std::expected<SharedMemory, SharedMemoryRefusal> admit_shared_memory(int, size_t);
    friend std::expected<SharedMemory, SharedMemoryRefusal> create_sealed_memory(const char*,
                                                                                 size_t);

    SharedMemory(std::span<std::byte> mapped, size_t size_bytes, UserWindow window)
        : mapped_(mapped), bytes_(mapped.first(size_bytes)), window_(std::move(window)) {}

    std::span<std::byte> mapped_;  ///< `bytes_` and the rest of its last page.
    std::span<std::byte> bytes_;
    UserWindow window_;
    int fd_ = -1;
};

/// Maps the first `size_bytes` of a peer's memory file, if it is sealed against shrinking
/// (F_SEAL_SHRINK) and that long. The descriptor stays the caller's and may be closed afterwards.
///
/// F_SEAL_GROW is not asked for: growing takes nothing away from us. Seals are never taken off, so
/// the length is looked at after them and holds.
///
/// Errors:  a refusal for what has no such seal: a file on a disk or in /dev/shm, a device, a memfd
///          that the peer did not seal. Such a peer is served with pread() and pwrite() on its
///          file.
/// Threads: any.
std::expected<SharedMemory, SharedMemoryRefusal> admit_shared_memory(int fd, size_t size_bytes);

/// Makes zeroed memory to be shared with a peer, sealed against shrinking, growing and further
/// seals, close-on-exec. `name` is seen in /proc/PID/maps only.
///
/// Errors:  no memory or no descriptors, as the kernel says.
/// Threads: any.
std::expected<SharedMemory, SharedMemoryRefusal> create_sealed_memory(const char* name,
                                                                      size_t size_bytes);

}  // namespace braidway::sync
