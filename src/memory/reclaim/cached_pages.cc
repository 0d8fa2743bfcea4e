// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/cached_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace braidway::memory {
namespace {

// Numbers and shapes from the kernel's documentation; headers may be older than kernels.
constexpr long cachestat_call = 451;
struct CachestatRange {
    uint64_t offset, length;
};
struct Cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/// Mapped at once: 1 GiB with pages of 4 KiB.
constexpr uint64_t window_pages = 256u << 10;

/// A part of a file in our address space, with nothing read and nothing marked as used.
class Window {
  public:
    Window(int file, PageRange pages, uint64_t page_bytes)
        : size_(pages.pages() * page_bytes),
          base_(::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file,
                       static_cast<off_t>(pages.begin * page_bytes))) {
        error_ = base_ == MAP_FAILED ? errno : 0;
        // Otherwise pages that were mapped here would count as used when they are unmapped.
        if (error_ == 0) ::madvise(base_, size_, MADV_RANDOM);
    }
    ~Window() {
        if (error_ == 0) ::munmap(base_, size_);
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;
    int error() const { return error_; }
    std::byte* base() const { return static_cast<std::byte*>(base_); }
    size_t size() const { return size_; }

  private:
    size_t size_;
    void* base_;
    int error_;
};

/// Whether mincore() tells us the truth of this file; to others it says that all is resident.
bool may_look(int file, const struct stat& status) {
    if (::geteuid() == 0 || ::geteuid() == status.st_uid) return true;
    return ::faccessat(file, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

/// The nodes of pages that are mapped; a negative number for one that is not.
int ask_nodes(std::vector<void*>& pages, std::vector<int>& nodes) {
    nodes.assign(pages.size(), -ENOENT);
    if (pages.empty()) return 0;
    return ::syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, nodes.data(), 0) == 0
               ? 0
               : errno;
}

/// Makes the kernel map pages here by reading a byte of them inside a system call: that marks no
/// page as used, as MADV_POPULATE_READ does, and a file that was cut meanwhile raises no signal.
class Toucher {
  public:
    Toucher() : sink_(::memfd_create("touch", MFD_CLOEXEC)) {}
    ~Toucher() {
        if (sink_ >= 0) ::close(sink_);
    }
    Toucher(const Toucher&) = delete;
    Toucher& operator=(const Toucher&) = delete;
    bool touch(const void* page) const { return ::pwrite(sink_, page, 1, 0) == 1; }

  private:
    int sink_;
};

/// Of what the kernel maps around a page that is touched, in pages.
constexpr size_t around = 16;

/// Maps all of `pages` and asks for their nodes.
int map_and_ask(const Toucher& toucher, std::vector<void*>& pages, std::vector<int>& nodes) {
    for (size_t i = 0; i < pages.size(); i += around) toucher.touch(pages[i]);
    if (const int error = ask_nodes(pages, nodes)) return error;
    // Those around that were not mapped with the touched one.
    std::vector<void*> rest;
    std::vector<size_t> places;
    for (size_t i = 0; i < pages.size(); ++i) {
        if (nodes[i] >= 0 || !toucher.touch(pages[i])) continue;
        rest.push_back(pages[i]);
        places.push_back(i);
    }
    std::vector<int> more;
    if (const int error = ask_nodes(rest, more)) return error;
    for (size_t i = 0; i < places.size(); ++i) nodes[places[i]] = more[i];
    return 0;
}

}  // namespace

CachedPages::CachedPages() : page_bytes_(static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))) {
}

int CachedPages::count(int file, PageRange within, CacheCounts& counts) const {
    counts = {};
    if (within.begin >= within.end) return 0;
    CachestatRange range{within.begin * page_bytes_, within.pages() * page_bytes_};
    Cachestat stat{};
    if (::syscall(cachestat_call, file, &range, &stat, 0) != 0) return errno;
    counts = {stat.cached, stat.dirty, stat.writeback};
    return 0;
}

int CachedPages::find(int file, std::vector<PageRange>& ranges) {
    ranges.clear();
    struct stat status{};
    if (::fstat(file, &status) != 0) return errno;
    const uint64_t pages = (static_cast<uint64_t>(status.st_size) + page_bytes_ - 1) / page_bytes_;
    return find(file, {0, pages}, ranges);
}

int CachedPages::find(int file, PageRange within, std::vector<PageRange>& ranges) {
    ranges.clear();
    if (within.begin >= within.end) return 0;
    // Most files of a tree are not cached at all, or in whole: one cheap call tells.
    CacheCounts counts;
    if (count(file, within, counts) == 0) {
        if (counts.cached == 0) return 0;
        if (counts.cached >= within.pages()) {
            ranges.push_back(within);
            return 0;
        }
    }
    struct stat status{};
    if (::fstat(file, &status) != 0) return errno;
    if (!may_look(file, status)) return EPERM;
    for (uint64_t begin = within.begin; begin < within.end; begin += window_pages) {
        const PageRange window{begin, std::min(within.end, begin + window_pages)};
        if (count(file, window, counts) == 0 && counts.cached == 0) continue;
        if (const int error = find_in_window(file, window, ranges)) return error;
    }
    return 0;
}

int CachedPages::find_in_window(int file, PageRange pages, std::vector<PageRange>& ranges) {
    const Window window(file, pages, page_bytes_);
    if (window.error() != 0) return window.error();
    residency_.resize(std::max<size_t>(residency_.size(), pages.pages()));
    if (::mincore(window.base(), window.size(), residency_.data()) != 0) return errno;
    take_residency(residency_, pages.pages(), pages.begin, ranges);
    return 0;
}

int CachedPages::locate(int file, const std::vector<PageRange>& ranges,
                        std::vector<NodeRange>& located) {
    located.clear();
    const Toucher toucher;
    std::vector<void*> pages;
    std::vector<int> nodes;
    for (const PageRange& range : ranges) {
        for (uint64_t begin = range.begin; begin < range.end; begin += window_pages) {
            const PageRange part{begin, std::min(range.end, begin + window_pages)};
            const Window window(file, part, page_bytes_);
            if (window.error() != 0) return window.error();
            pages.clear();
            for (uint64_t i = 0; i < part.pages(); ++i)
                pages.push_back(window.base() + i * page_bytes_);
            if (const int error = map_and_ask(toucher, pages, nodes)) return error;
            for (uint64_t i = 0; i < part.pages(); ++i) {
                if (nodes[i] < 0) continue;
                const auto node = static_cast<uint32_t>(nodes[i]);
                const uint64_t page = part.begin + i;
                if (!located.empty() && located.back().node == node &&
                    located.back().pages.end == page)
                    ++located.back().pages.end;
                else
                    located.push_back({{page, page + 1}, node});
            }
        }
    }
    return 0;
}

int CachedPages::sample(int file, const std::vector<PageRange>& ranges, size_t samples,
                        NodeShares& shares) {
    uint64_t total = 0;
    for (const PageRange& range : ranges) total += range.pages();
    if (total == 0) return 0;
    const std::vector<uint64_t> chosen = sample_pages(ranges, samples);
    const Window window(file, {chosen.front(), chosen.back() + 1}, page_bytes_);
    if (window.error() != 0) return window.error();
    const Toucher toucher;
    std::vector<void*> pages;
    for (const uint64_t page : chosen) {
        std::byte* address = window.base() + (page - chosen.front()) * page_bytes_;
        if (toucher.touch(address)) pages.push_back(address);
    }
    std::vector<int> nodes;
    if (const int error = ask_nodes(pages, nodes)) return error;
    NodeShares found;
    uint64_t known = 0;
    for (const int node : nodes) {
        if (node < 0) continue;
        ++found[static_cast<uint32_t>(node)];
        ++known;
    }
    for (const auto& [node, hits] : found)
        shares[node] += static_cast<uint64_t>(static_cast<__uint128_t>(total) * hits / known);
    return 0;
}

void take_residency(const std::vector<unsigned char>& residency, size_t count, uint64_t first,
                    std::vector<PageRange>& ranges) {
    for (size_t i = 0; i < count; ++i) {
        if ((residency[i] & 1u) == 0) continue;
        const uint64_t page = first + i;
        if (!ranges.empty() && ranges.back().end == page)
            ++ranges.back().end;
        else
            ranges.push_back({page, page + 1});
    }
}

std::vector<uint64_t> sample_pages(const std::vector<PageRange>& ranges, size_t samples) {
    uint64_t total = 0;
    for (const PageRange& range : ranges) total += range.pages();
    const uint64_t count = std::min<uint64_t>(total, samples);
    std::vector<uint64_t> chosen;
    uint64_t passed = 0;  // Pages of the ranges before this one.
    auto range = ranges.begin();
    for (uint64_t i = 0; i < count; ++i) {
        const auto wanted = static_cast<uint64_t>(static_cast<__uint128_t>(total) * i / count);
        while (wanted >= passed + range->pages()) passed += (range++)->pages();
        chosen.push_back(range->begin + (wanted - passed));
    }
    return chosen;
}

}  // namespace braidway::memory
