// SPDX-License-Identifier: Apache-2.0
// Memory of processes, paged out process by process.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "memory/reclaim/mechanism.h"
#include "memory/reclaim/present_pages.h"
#include "memory/reclaim/process_maps.h"

namespace braidway::memory {

/// "process-pageout": process_madvise(MADV_PAGEOUT), kernel 5.10, on what processes have on the
/// node. The biggest process first; every page at most once in the life of the object, so a call
/// goes on where the last one ended.
///
/// Anonymous memory goes to swap. Of mapped page cache the kernel takes only pages that one process
/// has mapped, of files that we might write. Locked memory, this process and threads of the kernel
/// are passed over.
/// Errors:  ENOSPC: no free swap for anonymous memory; EAGAIN: less was advised than asked. The
/// call
///          tells what was advised, not what was freed.
class ProcessPageout : public Mechanism {
  public:
    using Processes = std::function<Result<std::vector<pid_t>>()>;

    /// `processes` are those that may be touched. `machine` must outlive it.
    explicit ProcessPageout(const Machine& machine, Processes processes = other_processes);
    ~ProcessPageout() override;

    std::string_view name() const override { return "process-pageout"; }
    KindSet kinds() const override {
        return KindSet().add(Kind::anonymous).add(Kind::mapped_page_cache);
    }
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind) const override { return limits::reclaim_anon_chunk; }
    Answer reclaim(const Ask& ask) override;

  private:
    /// Addresses in pages.
    struct Area {
        PageRange pages;
        bool all_on_node;
    };
    /// Where the work on one kind is.
    struct Work {
        bool started = false;
        std::vector<pid_t> processes{};  ///< The next one at the end.
        pid_t process = 0;
        int descriptor = -1;  ///< A pidfd.
        PresentPages present{};
        std::vector<Area> areas{};        ///< Of the process; the next one at the end.
        std::vector<PageRange> ranges{};  ///< Of the area; the next one at the end.
    };

    const Machine& machine_;
    Processes processes_;
    uint64_t page_bytes_;
    bool one_node_ = true;
    Work anonymous_;
    Work mapped_;
    std::string text_;
    std::map<std::pair<uint32_t, uint32_t>, bool> page_cache_devices_;
    uint64_t refused_ = 0;  ///< Processes that we may not touch.
    int refused_error_ = 0;

    void start(Work& work, Kind kind);
    bool next_process(Work& work, const Ask& ask);
    void find_areas(Work& work, const Ask& ask);
    void next_area(Work& work, const Ask& ask);
    uint64_t advise(Work& work, uint64_t pages);
    bool is_wanted(pid_t process, const Mapping& mapping, Kind kind);
    void refuse(Work& work, int error);
    void close_process(Work& work);
    std::string note() const;
};

/// The pages of `range` for which `nodes`, one for each page, says `node`; added to `chosen`.
void choose_on_node(PageRange range, const std::vector<int>& nodes, uint32_t node,
                    std::vector<PageRange>& chosen);

/// Whether a "CapEff:" line of /proc/PID/status has a capability. No such line: no.
bool has_capability(std::string_view status, unsigned capability);

}  // namespace braidway::memory
