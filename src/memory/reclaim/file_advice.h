// SPDX-License-Identifier: Apache-2.0
// Page cache of named files and trees, dropped file by file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memory/reclaim/cached_pages.h"
#include "memory/reclaim/file_walk.h"
#include "memory/reclaim/mechanism.h"

namespace braidway::memory {

/// "fadvise": POSIX_FADV_DONTNEED on the ranges of files that were proven to lie on the node.
///
/// Works on every kernel and on files of one's own without privilege. What is mapped or dirty stays
/// by nature; no writeback is started, where cachestat (kernel 6.5) tells what is dirty. Each file
/// is visited once in the life of the object: a call goes on where the last one ended.
/// Errors:  EAGAIN when less was dropped than asked.
class FileAdvice : public Mechanism {
  public:
    /// `files`: Request::files. `machine` must outlive it.
    FileAdvice(const Machine& machine, std::vector<std::string> files);

    std::string_view name() const override { return "fadvise"; }
    KindSet kinds() const override { return KindSet().add(Kind::page_cache); }
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind) const override { return limits::reclaim_file_chunk; }
    Answer reclaim(const Ask& ask) override;

  private:
    const Machine& machine_;
    bool named_;
    CachedPages cached_;
    FileWalk walk_;
    std::optional<FileWalk::Entry> entry_{};  ///< The file that is being worked on.
    std::vector<PageRange> ranges_{};         ///< Its pages on the node, and how far we are.
    size_t next_range_ = 0;
    bool one_node_ = false;
    bool knows_nodes_ = false;
    uint64_t unknown_files_ = 0;  ///< Whose pages could not be looked up.
    int unknown_error_ = 0;

    bool next_file(uint32_t node);
    uint64_t drop_some(uint64_t pages);
    uint64_t drop(int file, PageRange range);
    std::string note() const;
};

/// Takes at most `pages` pages from the front of `range`.
PageRange take_front(PageRange& range, uint64_t pages);

}  // namespace braidway::memory
