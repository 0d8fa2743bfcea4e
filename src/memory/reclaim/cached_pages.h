// SPDX-License-Identifier: Apache-2.0
// Which pages of a file lie in memory, and on which node.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "memory/reclaim/range_set.h"

namespace braidway::memory {

/// Pages of a file or of a part of it.
struct CacheCounts {
    uint64_t cached = 0;
    uint64_t dirty = 0;
    uint64_t writeback = 0;
};

/// Pages that lie on one node.
struct NodeRange {
    PageRange pages{};
    uint32_t node = 0;
};

/// Pages by node, from a sample: shares of what is cached.
using NodeShares = std::map<uint32_t, uint64_t>;

/// Looks at the cached pages of open files, and leaves everything as it was: nothing is read, no
/// page counts as used, and none stays mapped.
///
/// Errors:  every function returns 0 or an errno; EPERM: the kernel tells only the owner, or who
/// may
///          write the file.
/// Threads: one at a time.
class CachedPages {
  public:
    CachedPages();

    /// Uses cachestat (kernel 6.5). Errors: ENOSYS before that.
    int count(int file, PageRange within, CacheCounts& counts) const;
    /// Replaces `ranges` with those that are cached, sorted.
    int find(int file, std::vector<PageRange>& ranges);
    int find(int file, PageRange within, std::vector<PageRange>& ranges);
    /// Splits ranges that are cached by the node on which they lie.
    int locate(int file, const std::vector<PageRange>& ranges, std::vector<NodeRange>& located);
    /// Asks for at most `samples` pages, evenly spread over `ranges`, and adds to `shares` what
    /// that means for all of them.
    int sample(int file, const std::vector<PageRange>& ranges, size_t samples, NodeShares& shares);

    uint64_t page_bytes() const { return page_bytes_; }

  private:
    uint64_t page_bytes_;
    std::vector<unsigned char> residency_;

    int find_in_window(int file, PageRange window, std::vector<PageRange>& ranges);
};

/// Takes the runs of resident pages out of what mincore() says, the first byte being page `first`,
/// and joins them to the last range if they continue it.
void take_residency(const std::vector<unsigned char>& residency, size_t count, uint64_t first,
                    std::vector<PageRange>& ranges);

/// At most `samples` page numbers, evenly spread over the pages of `ranges`.
std::vector<uint64_t> sample_pages(const std::vector<PageRange>& ranges, size_t samples);

}  // namespace braidway::memory
