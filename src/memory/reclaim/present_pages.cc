// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/present_pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "memory/reclaim/process_maps.h"

namespace braidway::memory {
namespace {

// The kernel's call PAGEMAP_SCAN as its documentation (admin-guide/mm/pagemap) lays it out; the
// headers of the systems we build on may be older than the kernels we run on.
struct ScanArguments {
    uint64_t size, flags, begin, end, walk_end, regions, regions_max, pages_max;
    uint64_t inverted, mask, any_of_mask, return_mask;
};
constexpr unsigned long scan_call = _IOWR('f', 16, ScanArguments);
constexpr uint64_t scan_file = 1u << 2;
constexpr uint64_t scan_present = 1u << 3;

constexpr uint64_t entry_present = uint64_t{1} << 63;
constexpr uint64_t entry_file = uint64_t{1} << 61;

constexpr size_t regions_at_once = 1024;
constexpr size_t region_words = 3;  ///< First address, address after the last one, categories.

void append(std::vector<PageRange>& found, PageRange range) {
    if (!found.empty() && found.back().end == range.begin)
        found.back().end = range.end;
    else
        found.push_back(range);
}

}  // namespace

PresentPages::PresentPages() : page_bytes_(static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))) {
    buffer_.resize(regions_at_once * region_words);
}

PresentPages::~PresentPages() {
    if (pagemap_ >= 0) ::close(pagemap_);
}

int PresentPages::open(pid_t process) {
    if (pagemap_ >= 0) ::close(pagemap_);
    pagemap_ = ::open(ProcessPath(process, "pagemap").text(), O_RDONLY | O_CLOEXEC);
    return pagemap_ < 0 ? errno : 0;
}

int PresentPages::find(PageRange within, Backing backing, std::vector<PageRange>& found) {
    found.clear();
    if (scan_works_) {
        const int error = scan(within, backing, found);
        if (error != ENOTTY && error != EINVAL) return error;
        scan_works_ = false;
        found.clear();
    }
    return read_entries(within, backing, found);
}

int PresentPages::scan(PageRange within, Backing backing, std::vector<PageRange>& found) {
    ScanArguments arguments{};
    arguments.size = sizeof(arguments);
    arguments.begin = within.begin * page_bytes_;
    arguments.end = within.end * page_bytes_;
    arguments.regions = reinterpret_cast<uint64_t>(buffer_.data());
    arguments.regions_max = regions_at_once;
    arguments.mask = scan_file | scan_present;
    if (backing == Backing::anonymous) arguments.inverted = scan_file;
    arguments.return_mask = scan_file | scan_present;
    while (arguments.begin < arguments.end) {
        const int count = ::ioctl(pagemap_, scan_call, &arguments);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno;
        for (size_t at = 0; at < static_cast<size_t>(count) * region_words; at += region_words)
            append(found, {buffer_[at] / page_bytes_, buffer_[at + 1] / page_bytes_});
        if (arguments.walk_end <= arguments.begin) break;
        arguments.begin = arguments.walk_end;
    }
    return 0;
}

int PresentPages::read_entries(PageRange within, Backing backing, std::vector<PageRange>& found) {
    while (within.begin < within.end) {
        const size_t count = std::min<uint64_t>(within.pages(), buffer_.size());
        const ssize_t got = ::pread(pagemap_, buffer_.data(), count * sizeof(uint64_t),
                                    static_cast<off_t>(within.begin * sizeof(uint64_t)));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        const size_t entries = static_cast<size_t>(got) / sizeof(uint64_t);
        if (entries == 0) return 0;
        take_entries(std::span(buffer_).first(entries), within.begin, backing, found);
        within.begin += entries;
    }
    return 0;
}

void take_entries(std::span<const uint64_t> entries, uint64_t first, Backing backing,
                  std::vector<PageRange>& found) {
    const uint64_t wanted = entry_present | (backing == Backing::file ? entry_file : 0);
    for (size_t i = 0; i < entries.size(); ++i)
        if ((entries[i] & (entry_present | entry_file)) == wanted)
            append(found, {first + i, first + i + 1});
}

}  // namespace braidway::memory
