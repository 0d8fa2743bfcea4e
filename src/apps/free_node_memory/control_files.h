// SPDX-License-Identifier: Apache-2.0
// What the files of the mount mean: texts in, errno values and texts out. Knows no FUSE.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "memory/reclaim/cancel.h"
#include "memory/reclaim/node_list.h"
#include "memory/reclaim/node_state.h"
#include "memory/reclaim/request.h"
#include "memory/reclaim/settings.h"
#include "sync/mutex.h"

namespace braidway::apps {

/// What one node holds.
using NodeStates = std::vector<std::pair<uint32_t, memory::NodeState>>;

/// What the files set in motion. Threads: `states` and `line` any; `run` one call at a time.
struct ControlActions {
    /// All nodes with memory. Errors: the machine says nothing of its nodes.
    std::function<Result<NodeStates>()> states;
    /// Frees; see memory::free_nodes().
    std::function<Result<memory::Report>(const memory::NodeList&, const memory::Request&,
                                         const memory::Cancel&)>
        run;
    /// One line of words about one node's report; see memory::report_text().
    std::function<std::string(const memory::NodeReport&, const memory::Request&)> line;
};

/// The files, besides the directory itself.
enum class ControlFile : uint8_t {
    /// Takes a node list "1,3,9-12" and frees all clean, unmapped page cache of those nodes, as the
    /// file of that name in /proc/sys/vm of SLES9 did; reads as the last list.
    toss_page_cache_nodes,
    /// Takes a line "node=1 pages=25600 what=page-cache"; reads as the last result.
    free_node_memory,
    /// Reads as what lies on each node, and the last result.
    status,
};
inline constexpr std::array control_files_all{ControlFile::toss_page_cache_nodes,
                                              ControlFile::free_node_memory, ControlFile::status};
std::string_view name_of(ControlFile file);

/// The files' behaviour.
///
/// A write is done when it returns. Its errors: EINVAL for bad text (then nothing was done) and for
/// a node that is not there, EMSGSIZE for too much text, EPERM where the machine or the owner of
/// the mount does not allow it, EINTR when it was cancelled. A shortfall is no error: the result
/// says how much was freed and why not more. Threads: any; write() one call at a time.
class ControlFiles {
  public:
    /// `base` is what the owner of the mount has set: bounds, consents, and which nodes and kinds
    /// may be named at all.
    ControlFiles(memory::Settings base, ControlActions actions);

    std::string read(ControlFile file) const;
    /// Returns 0 or an errno value.
    int write(ControlFile file, std::string_view text, const memory::Cancel& cancel);

  private:
    int toss_nodes(std::string_view text, const memory::Cancel& cancel);
    int obey_line(std::string_view text, const memory::Cancel& cancel);
    /// Runs, keeps the result and says what the writer is told.
    int run(const memory::NodeList& nodes, const memory::Request& request,
            const memory::Cancel& cancel);
    int refuse(const Error& error, int code);
    void keep_result(std::string text);

    const memory::Settings base_;
    const ControlActions actions_;
    mutable sync::Mutex mutex_;
    std::string last_list_ GUARDED_BY(mutex_);
    std::string last_result_ GUARDED_BY(mutex_);
};

/// A table of nodes: a header and one line for each.
std::string states_text(const NodeStates& states);

}  // namespace braidway::apps
