// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/shared_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"

// Of Linux 6.3; the C library's headers may be older than the kernel.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace braidway::sync {
namespace {

using Admission = std::expected<SharedMemory, SharedMemoryRefusal>;

std::unexpected<SharedMemoryRefusal> refuse(std::string message, int code = 0) {
    return std::unexpected(SharedMemoryRefusal{std::move(message), code});
}

/// What a mapping of the file is a multiple of: its page, which may be a huge one. The kernel
/// rounds the length up when it maps, but unmaps no part of a huge page.
std::expected<size_t, SharedMemoryRefusal> page_bytes_of(int fd) {
    struct statfs status{};
    if (fstatfs(fd, &status) != 0) return refuse("shared memory: fstatfs failed", errno);
    // Elsewhere the block is the file system's own affair.
    if (status.f_type == HUGETLBFS_MAGIC) return static_cast<size_t>(status.f_bsize);
    return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

/// Maps `size_bytes`, which the file has, and the rest of the last page.
std::expected<std::span<std::byte>, SharedMemoryRefusal> map(int fd, size_t size_bytes) {
    const auto page_bytes = page_bytes_of(fd);
    if (!page_bytes) return std::unexpected(page_bytes.error());
    const size_t mapped_bytes = (size_bytes + *page_bytes - 1) / *page_bytes * *page_bytes;
    void* const address = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        const int code = errno;
        return refuse("shared memory: " + std::to_string(size_bytes) +
                          " bytes cannot be mapped for reading and writing: " + errno_text(code),
                      code);
    }
    return std::span(static_cast<std::byte*>(address), mapped_bytes);
}

void unmap(std::span<std::byte> mapped) {
    // A process with as many mappings as it may have cannot split one: then the memory stays.
    const bool gone = munmap(mapped.data(), mapped.size()) == 0 || errno == ENOMEM;
    CHECK(gone, "shared memory is unmapped in whole pages");
}

/// A memory file that may be sealed; not executable, where the kernel knows of that.
int new_memory_file(const char* name) {
    const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd >= 0 || errno != EINVAL) return fd;
    return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

}  // namespace

Admission admit_shared_memory(int fd, size_t size_bytes) {
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 && errno == EBADF)
        return refuse("shared memory: the peer passed no open file", EBADF);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
        return refuse(
            "shared memory: the peer's file is not sealed against shrinking; create it with "
            "memfd_create(MFD_ALLOW_SEALING) and add F_SEAL_SHRINK, or use reads and writes on a "
            "file instead");
    }
    // Only now: with the seal on it, a length that is enough stays enough.
    struct stat status{};
    if (fstat(fd, &status) != 0) return refuse("shared memory: fstat failed", errno);
    if (size_bytes == 0 || std::cmp_less(status.st_size, size_bytes)) {
        return refuse("shared memory: " + std::to_string(size_bytes) +
                      " bytes were announced and the peer's file has " +
                      std::to_string(status.st_size) + "; make it as long before sealing it");
    }
    const auto mapped = map(fd, size_bytes);
    if (!mapped) return std::unexpected(mapped.error());
    auto window = UserWindow::add(mapped->first(size_bytes));
    if (!window) {
        unmap(*mapped);
        return refuse("shared memory: " + window.error());
    }
    return SharedMemory(*mapped, size_bytes, std::move(*window));
}

Admission create_sealed_memory(const char* name, size_t size_bytes) {
    const int fd = new_memory_file(name);
    if (fd < 0) {
        const int code = errno;
        return refuse("shared memory: memfd_create: " + errno_text(code), code);
    }
    constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (!std::in_range<off_t>(size_bytes) || ftruncate(fd, static_cast<off_t>(size_bytes)) != 0 ||
        fcntl(fd, F_ADD_SEALS, seals) != 0) {
        const int code = std::in_range<off_t>(size_bytes) ? errno : EFBIG;
        close(fd);
        return refuse("shared memory: a sealed file of " + std::to_string(size_bytes) +
                          " bytes cannot be made: " + errno_text(code),
                      code);
    }
    Admission memory = admit_shared_memory(fd, size_bytes);
    if (memory) {
        memory->fd_ = fd;
    } else {
        close(fd);
    }
    return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : mapped_(std::exchange(other.mapped_, {})),
      bytes_(std::exchange(other.bytes_, {})),
      window_(std::move(other.window_)),
      fd_(std::exchange(other.fd_, -1)) {
}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
    if (this == &other) return *this;
    { const SharedMemory ended = std::move(*this); }
    mapped_ = std::exchange(other.mapped_, {});
    bytes_ = std::exchange(other.bytes_, {});
    window_ = std::move(other.window_);
    fd_ = std::exchange(other.fd_, -1);
    return *this;
}

SharedMemory::~SharedMemory() {
    if (fd_ >= 0) close(fd_);
    if (mapped_.empty()) return;
    // The window ends before its addresses may be given to something else.
    { const UserWindow ended = std::move(window_); }
    unmap(mapped_);
}

}  // namespace braidway::sync
