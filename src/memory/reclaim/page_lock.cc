// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/page_lock.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace braidway::memory {
namespace {

/// What one page table covers, and the largest folio.
constexpr uint64_t table_bytes = 2u << 20;
/// Address space only; small enough for a process with a limit on it.
constexpr size_t arena_bytes = size_t{1} << 30;

constexpr int populate_read = 22;  ///< MADV_POPULATE_READ, kernel 5.14.

}  // namespace

PageLock::PageLock() : page_bytes_(static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))) {
}

PageLock::~PageLock() {
    unlock_all();
}

PageLock::PageLock(PageLock&& other) noexcept
    : arenas_(std::exchange(other.arenas_, {})),
      bytes_(std::exchange(other.bytes_, 0)),
      page_bytes_(other.page_bytes_) {
}

PageLock& PageLock::operator=(PageLock&& other) noexcept {
    if (this == &other) return *this;
    unlock_all();
    arenas_ = std::exchange(other.arenas_, {});
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
}

int PageLock::lock(int file, const std::vector<PageRange>& ranges) {
    if (ranges.empty()) return 0;
    const uint64_t first = ranges.front().begin;
    const size_t size = (ranges.back().end - first) * page_bytes_;
    std::byte* base = place(first * page_bytes_, size);
    if (!base) return ENOMEM;
    if (::mmap(base, size, PROT_READ, MAP_SHARED | MAP_FIXED, file,
               static_cast<off_t>(first * page_bytes_)) == MAP_FAILED) {
        const int error = errno;
        take_back(base, size);
        return error;
    }
    // Otherwise all pages would count as used when the lock is gone.
    ::madvise(base, size, MADV_RANDOM);
    uint64_t locked = 0;
    for (const PageRange& range : ranges) {
        const size_t length = range.pages() * page_bytes_;
        if (populate(base + (range.begin - first) * page_bytes_, length)) locked += length;
    }
    // After the pages are there: then the kernel sees large folios as a whole and locks them.
    if (::mlock2(base, size, MLOCK_ONFAULT) != 0) {
        const int error = errno;
        take_back(base, size);
        return error;
    }
    bytes_ += locked;
    return 0;
}

void PageLock::unlock_all() {
    for (const Arena& arena : arenas_) {
        // munmap alone would leave the last folios in a batch that the CPU drains some time.
        ::munlock(arena.base, arena.used);
        ::munmap(arena.base, arena.size);
    }
    arenas_.clear();
    bytes_ = 0;
}

/// A place whose address is at the same distance from a page table's start as `offset`.
std::byte* PageLock::place(uint64_t offset, size_t size) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (!arenas_.empty()) {
            Arena& last = arenas_.back();
            const uint64_t next = reinterpret_cast<uint64_t>(last.base) + last.used;
            const size_t gap = (offset - next) % table_bytes;
            if (last.used + gap + size <= last.size) {
                std::byte* base = last.base + last.used + gap;
                last.used += gap + size;
                return base;
            }
        }
        const size_t wanted = std::max(size + table_bytes, arena_bytes);
        void* base =
            ::mmap(nullptr, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) return nullptr;
        arenas_.push_back({static_cast<std::byte*>(base), wanted, 0});
    }
    return nullptr;
}

/// Makes an area that could not be locked empty again; its addresses stay unused.
void PageLock::take_back(std::byte* base, size_t size) {
    ::mmap(base, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/// Brings pages that are in memory into our page table.
bool PageLock::populate(std::byte* base, size_t size) {
    if (::madvise(base, size, populate_read) == 0) return true;
    // Old kernels: mlock does it. The file may also have been cut meanwhile; then nothing is left.
    return errno == EINVAL && ::mlock(base, size) == 0;
}

}  // namespace braidway::memory
