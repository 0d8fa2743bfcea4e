// SPDX-License-Identifier: Apache-2.0
// Opening a file: everything about a file path that may sleep.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "path/file.h"

namespace braidway::path {
namespace {

/// What O_DIRECT asks for. 0 = not possible.
struct DirectNeeds {
    uint32_t offset_bytes = 0;
    uint32_t memory_bytes = 0;
};

/// Tries a direct read of the first block with ever larger blocks. For kernels and file systems
/// that do not tell.
DirectNeeds probe_direct(int fd) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 4096, 4096) != 0) return {};
    const std::unique_ptr<void, decltype(&std::free)> owner(memory, &std::free);
    for (const uint32_t bytes : {512u, 4096u})
        if (pread(fd, memory, bytes, 0) == static_cast<ssize_t>(bytes)) return {bytes, 4096};
    return {};
}

DirectNeeds direct_needs(int fd) {
#ifdef STATX_DIOALIGN
    struct statx answer{};
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &answer) == 0 &&
        (answer.stx_mask & STATX_DIOALIGN) != 0)
        return {answer.stx_dio_offset_align, answer.stx_dio_mem_align};
#endif
    return probe_direct(fd);
}

/// Looks for the holes of a sparse regular file from its start.
void learn_holes(const OpenFile& file, HoleMap& holes) {
    const uint64_t size = file.geometry.size_bytes;
    off_t at = 0;
    for (int found = 0; found < limits::holes_learnt_max && static_cast<uint64_t>(at) < size;
         ++found) {
        const off_t hole = lseek(file.fd, at, SEEK_HOLE);
        if (hole < 0 || static_cast<uint64_t>(hole) >= size) return;
        off_t data = lseek(file.fd, hole, SEEK_DATA);
        if (data < 0) {
            if (errno != ENXIO) return;
            data = static_cast<off_t>(size);
        }
        holes.add(static_cast<uint64_t>(hole), static_cast<uint64_t>(data - hole));
        at = data;
    }
}

Result<void> measure(OpenFile& file, const std::string& path) {
    struct stat info{};
    if (fstat(file.fd, &info) != 0)
        return fail(fmt::format("{}: {}", path, errno_text(errno)), errno);
    block::Geometry& geometry = file.geometry;
    if (S_ISREG(info.st_mode)) {
        file.identity = {info.st_dev, info.st_ino};
        geometry.size_bytes = static_cast<uint64_t>(info.st_size);
        geometry.can_discard = geometry.can_write_zeroes = geometry.can_fast_zero = true;
        geometry.can_block_status = true;
    } else if (S_ISBLK(info.st_mode)) {
        file.block_device = true;
        file.identity = {info.st_rdev, 0};
        if (ioctl(file.fd, BLKGETSIZE64, &geometry.size_bytes) != 0)
            return fail(fmt::format("{}: cannot read its size: {}", path, errno_text(errno)),
                        errno);
        int logical = 512;
        if (ioctl(file.fd, BLKSSZGET, &logical) == 0 && logical > 0)
            geometry.block_bytes = static_cast<uint32_t>(logical);
        unsigned short rotational = 0;
        if (ioctl(file.fd, BLKROTATIONAL, &rotational) == 0) geometry.rotational = rotational != 0;
        geometry.can_discard = geometry.can_write_zeroes = true;
    } else {
        return fail(fmt::format("{}: expected a regular file or a block device", path), EINVAL);
    }
    return {};
}

void choose_mode(OpenFile& file, const std::string& path, int refused_code) {
    block::Geometry& geometry = file.geometry;
    DirectNeeds needs;
    if (file.mode == FileMode::direct) needs = direct_needs(file.fd);
    const bool fits = needs.offset_bytes != 0 && needs.offset_bytes <= 4096 &&
                      needs.memory_bytes <= 4096 && std::has_single_bit(needs.offset_bytes) &&
                      geometry.size_bytes >= needs.offset_bytes;
    if (fits) {
        geometry.block_bytes = std::max({geometry.block_bytes, 512u, needs.offset_bytes});
        geometry.memory_alignment = std::max(1u, needs.memory_bytes);
        return;
    }
    file.mode = FileMode::buffered;
    if (refused_code != 0)
        file.remark = fmt::format("{}: buffered, because direct I/O is refused: {}", path,
                                  errno_text(refused_code));
    else if (needs.offset_bytes == 0)
        file.remark = fmt::format("{}: buffered, because direct I/O does not work on it", path);
    else
        file.remark = fmt::format("{}: buffered, because direct I/O needs blocks of {} bytes", path,
                                  needs.offset_bytes);
}

}  // namespace

OpenFile::OpenFile(OpenFile&& other) noexcept {
    *this = std::move(other);
}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
    std::swap(fd, other.fd);
    mode = other.mode;
    block_device = other.block_device;
    identity = other.identity;
    std::swap(store, other.store);
    geometry = other.geometry;
    remark.swap(other.remark);
    return *this;
}

OpenFile::~OpenFile() {
    if (fd >= 0) close(fd);
}

Result<OpenFile> open_file(const std::string& path, bool read_only, FileStores& stores) {
    OpenFile file;
    const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    int refused_code = 0;
    file.fd = open(path.c_str(), flags | O_DIRECT);
    if (file.fd < 0 && errno == EINVAL) {
        refused_code = EINVAL;
        file.mode = FileMode::buffered;
        file.fd = open(path.c_str(), flags);
    }
    if (file.fd < 0) return fail(fmt::format("{}: {}", path, errno_text(errno)), errno);
    if (auto measured = measure(file, path); !measured) return std::unexpected(measured.error());
    choose_mode(file, path, refused_code);
    // O_NONBLOCK kept the open of a FIFO from hanging; io_uring would take it for every read.
    fcntl(file.fd, F_SETFL, file.mode == FileMode::direct ? O_DIRECT : 0);
    block::Geometry& geometry = file.geometry;
    geometry.read_only = read_only;
    const uint64_t rest = geometry.size_bytes % geometry.block_bytes;
    if (rest != 0) {
        geometry.size_bytes -= rest;
        file.remark +=
            fmt::format("{}{}: its last {} bytes are not used, they fill no block of {}",
                        file.remark.empty() ? "" : "; ", path, rest, geometry.block_bytes);
    }
    if (geometry.size_bytes == 0)
        return fail(fmt::format("{}: holds no whole block of {} bytes; make it larger, for example "
                                "with truncate -s 1G",
                                path, geometry.block_bytes),
                    EINVAL);
    // Only the first path to a file looks for its holes: the lane owns what is known after that.
    auto store =
        stores.find_or_lock(file.fd, file.identity, read_only, path, [&](FileStore& fresh) {
            if (geometry.can_block_status) learn_holes(file, fresh.holes);
        });
    if (!store) return std::unexpected(store.error());
    file.store = std::move(*store);
    return file;
}

}  // namespace braidway::path
