// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/file_advice.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

/// Where some pages of a part are dirty it is halved down to this; the rest stays with them.
constexpr uint64_t dirty_part_pages = 16;

}  // namespace

FileAdvice::FileAdvice(const Machine& machine, std::vector<std::string> files)
    : machine_(machine), named_(!files.empty()), walk_(std::move(files)) {
}

Result<void> FileAdvice::probe() const {
    if (!named_)
        return fail("fadvise: no files or trees were named whose page cache may be dropped");
    return {};
}

Answer FileAdvice::reclaim(const Ask& ask) {
    if (!knows_nodes_) {
        const auto nodes = nodes_with_memory(machine_);
        one_node_ = !nodes || nodes->size() <= 1;
        knows_nodes_ = true;
    }
    const uint64_t wanted = (ask.bytes + cached_.page_bytes() - 1) / cached_.page_bytes();
    uint64_t dropped = 0;
    uint64_t files = 0;
    while (dropped < wanted) {
        if (machine_.cancelled()) return {EINTR, false, note()};
        if (next_range_ < ranges_.size()) {
            dropped += drop_some(wanted - dropped);
            continue;
        }
        // A tree of uncached files must not keep a run from being cancelled or showing progress.
        if (files++ == limits::advice_files_per_call) return {EAGAIN, false, note()};
        if (!next_file(ask.node)) return {EAGAIN, true, note()};
    }
    return {0, false, note()};
}

/// False: that was the last one.
bool FileAdvice::next_file(uint32_t node) {
    ranges_.clear();
    next_range_ = 0;
    entry_ = walk_.next();
    if (!entry_) return false;
    int error = cached_.find(entry_->file, ranges_);
    if (error == 0 && !one_node_ && !ranges_.empty()) {
        std::vector<NodeRange> located;
        error = cached_.locate(entry_->file, ranges_, located);
        ranges_.clear();
        for (const NodeRange& range : located)
            if (range.node == node) ranges_.push_back(range.pages);
    }
    if (error != 0) {
        ranges_.clear();
        if (unknown_files_++ == 0) unknown_error_ = error;
    }
    return true;
}

/// Drops at most that many pages of the next range; returns how many went.
uint64_t FileAdvice::drop_some(uint64_t pages) {
    PageRange& range = ranges_[next_range_];
    const PageRange part = take_front(range, pages);
    if (range.begin == range.end) ++next_range_;
    return drop(entry_->file, part);
}

uint64_t FileAdvice::drop(int file, PageRange range) {
    CacheCounts before;
    const bool counted = cached_.count(file, range, before) == 0;
    if (counted && before.cached == 0) return 0;
    if (counted && before.dirty + before.writeback > 0) {
        // The call would start to write them, which nobody asked for.
        if (range.pages() <= dirty_part_pages) return 0;
        const uint64_t middle = range.begin + range.pages() / 2;
        return drop(file, {range.begin, middle}) + drop(file, {middle, range.end});
    }
    const uint64_t bytes = cached_.page_bytes();
    if (::posix_fadvise(file, static_cast<off_t>(range.begin * bytes),
                        static_cast<off_t>(range.pages() * bytes), POSIX_FADV_DONTNEED) != 0)
        return 0;
    CacheCounts after;
    if (!counted || cached_.count(file, range, after) != 0) return range.pages();
    return before.cached - std::min(before.cached, after.cached);
}

std::string FileAdvice::note() const {
    std::string text;
    const auto add = [&](std::string_view what, uint64_t count, int error) {
        if (count == 0) return;
        fmt::format_to(std::back_inserter(text), "{}{}: {}", text.empty() ? "" : "; ", what, count);
        if (error != 0) text += " (" + errno_text(error) + ")";
    };
    add("files that could not be opened", walk_.missed(), walk_.missed_error());
    add("files whose pages could not be looked up", unknown_files_, unknown_error_);
    add("paths on filesystems in memory, which is no page cache", walk_.in_memory(), 0);
    return text;
}

PageRange take_front(PageRange& range, uint64_t pages) {
    const PageRange front{range.begin, range.begin + std::min(range.pages(), pages)};
    range.begin = front.end;
    return front;
}

}  // namespace braidway::memory
