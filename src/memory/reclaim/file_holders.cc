// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/file_holders.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "memory/reclaim/cached_pages.h"
#include "memory/reclaim/file_walk.h"
#include "memory/reclaim/process_maps.h"

namespace braidway::memory {
namespace {

/// Counts files, each inode once.
class FileSearch {
  public:
    FileSearch(const Machine& machine, const HoldersOptions& options, Instant end,
               const MemoryPaths& in_memory, Holders& found)
        : machine_(machine),
          options_(options),
          end_(end),
          in_memory_(in_memory),
          found_(found),
          one_node_(nodes_with_memory(machine).value_or(NodeList()).size() <= 1) {}

    void run() {
        find_in_use();
        find_below_paths();
        if (limited_)
            found_.notes.push_back(fmt::format(
                "files: the limit of {} files or the time allowed was reached; there may be more",
                options_.files_max));
        if (hidden_processes_ > 0)
            found_.notes.push_back(
                fmt::format("processes whose files could not be seen: {} (needs CAP_SYS_PTRACE)",
                            hidden_processes_));
        if (hidden_files_ > 0)
            found_.notes.push_back(fmt::format("files that could not be looked at: {} ({})",
                                               hidden_files_, errno_text(hidden_error_)));
    }

  private:
    const Machine& machine_;
    const HoldersOptions& options_;
    Instant end_;
    const MemoryPaths& in_memory_;
    Holders& found_;
    bool one_node_;
    CachedPages cached_;
    std::set<std::pair<dev_t, ino_t>> seen_;  ///< In use: a tree that is named may hold them too.
    std::set<FileKey> mapped_;                ///< So that a library is opened once.
    bool limited_ = false;
    uint64_t hidden_processes_ = 0;
    uint64_t hidden_files_ = 0;
    int hidden_error_ = 0;

    bool ended() {
        if (machine_.cancelled()) return true;
        if (found_.files_seen >= options_.files_max || machine_.now() >= end_) limited_ = true;
        return limited_;
    }

    void hide(int error) {
        if (hidden_files_++ == 0) hidden_error_ = error;
    }

    void find_in_use() {
        const auto processes = other_processes();
        if (!processes) return;
        for (const pid_t process : *processes) {
            if (ended()) return;
            const int opened = find_open(process);
            const int mapped = find_mapped(process);
            hidden_processes_ += opened == EACCES || mapped == EACCES;
        }
    }

    /// Returns 0 or an errno.
    int find_open(pid_t process) {
        const std::string directory = ProcessPath(process, "fd").text();
        const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), ::closedir);
        if (!listing) return errno;
        while (const dirent* entry = ::readdir(listing.get())) {
            if (entry->d_name[0] == '.') continue;
            if (ended()) return 0;
            const std::string link = directory + "/" + entry->d_name;
            char target[4096];
            const ssize_t size = ::readlink(link.c_str(), target, sizeof(target));
            if (size > 0 && target[0] == '/') add_in_use(link, {target, static_cast<size_t>(size)});
        }
        return 0;
    }

    int find_mapped(pid_t process) {
        std::string text;
        if (const int error = read_process_file(ProcessPath(process, "maps").text(), text))
            return error;
        std::string_view rest = text;
        Mapping mapping;
        while (next_mapping(rest, mapping)) {
            if (!mapping.is_file() || !mapped_.insert(mapping.file).second) continue;
            if (ended()) return 0;
            std::string link =
                ProcessPath(process, fmt::format("map_files/{:x}-{:x}", mapping.begin, mapping.end))
                    .text();
            // Those need a privilege of their own; the path is as good for a file that has one.
            if (::access(link.c_str(), R_OK) != 0) link = mapping.path;
            add_in_use(link, mapping.path);
        }
        return 0;
    }

    void add_in_use(const std::string& link, std::string_view path) {
        if (in_memory_.holds(path) || path.starts_with("/dev/")) return;
        struct stat status{};
        if (::stat(link.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
        if (!seen_.insert({status.st_dev, status.st_ino}).second) return;
        const int file = open_quietly(link.c_str());
        if (file < 0) return hide(errno);
        if (is_page_cache(file))
            add(file, static_cast<uint64_t>(status.st_size), std::string(path), true);
        ::close(file);
    }

    void find_below_paths() {
        if (options_.paths.empty()) return;
        FileWalk walk(options_.paths);
        while (!ended()) {
            const auto entry = walk.next();
            if (!entry) break;
            struct stat status{};
            if (::fstat(entry->file, &status) == 0 &&
                !seen_.contains({status.st_dev, status.st_ino}))
                add(entry->file, entry->bytes, entry->path, false);
        }
        if (walk.missed() > 0) {
            if (hidden_files_ == 0) hidden_error_ = walk.missed_error();
            hidden_files_ += walk.missed();
        }
        if (walk.in_memory() > 0)
            found_.notes.push_back("paths on filesystems in memory hold no page cache: left out");
    }

    void add(int file, uint64_t bytes, const std::string& path, bool in_use) {
        ++found_.files_seen;
        const uint64_t page_bytes = cached_.page_bytes();
        CacheCounts counts;
        std::vector<PageRange> ranges;
        int error = cached_.count(file, {0, (bytes + page_bytes - 1) / page_bytes}, counts);
        const bool counted = error == 0;
        if (error == ENOSYS || (counted && counts.cached > 0 && !one_node_)) {
            error = cached_.find(file, ranges);
            if (!counted)
                for (const PageRange& range : ranges) counts.cached += range.pages();
        }
        if (error != 0) return hide(error);
        if (counts.cached == 0) return;
        NodeShares shares;
        if (one_node_)
            shares[found_.nodes.front().node] = counts.cached;
        else if (const int failed = cached_.sample(file, ranges, limits::holders_samples, shares))
            return hide(failed);
        for (NodeHolders& node : found_.nodes) {
            const auto share = shares.find(node.node);
            if (share == shares.end() || share->second == 0) continue;
            const uint64_t on_node = share->second * page_bytes;
            node.files_bytes += on_node;
            node.files.push_back({path, on_node, counts.dirty * page_bytes, in_use});
            // Millions of files must not be held in memory to show ten.
            if (node.files.size() > 4 * options_.top + 1024) keep_top(node.files, options_.top);
        }
    }
};

}  // namespace

void find_file_holders(const Machine& machine, const HoldersOptions& options, Instant end,
                       const MemoryPaths& in_memory, Holders& found) {
    if (!found.nodes.empty()) FileSearch(machine, options, end, in_memory, found).run();
}

}  // namespace braidway::memory
