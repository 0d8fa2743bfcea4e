// SPDX-License-Identifier: Apache-2.0
// The ordinary files below some paths, one after the other.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace braidway::memory {

/// Opens for reading without a trace: no time stamp, no waiting for a FIFO, no terminal.
/// Returns -1 with errno.
int open_quietly(const char* path);
int open_quietly_at(int directory, const char* name);

/// Whether what lies in memory of this file is page cache: not so on tmpfs and the like.
bool is_page_cache(int file);

/// Goes through files and trees. Stays on the filesystem of each given path, follows no symbolic
/// links below it, gives each inode once, and leaves out filesystems that live in memory. It can be
/// left alone between two files, so that work goes on where it ended.
/// Shapes:  holds one descriptor for each level of directories, up to limits::walk_depth_max.
/// Errors:  what cannot be opened is counted.
/// Threads: one at a time.
class FileWalk {
  public:
    explicit FileWalk(std::vector<std::string> paths);
    ~FileWalk();
    FileWalk(const FileWalk&) = delete;
    FileWalk& operator=(const FileWalk&) = delete;

    struct Entry {
        int file;  ///< Open for reading; closed by the next call of next().
        uint64_t bytes;
        std::string path;
    };
    /// Nothing: that was all.
    std::optional<Entry> next();

    uint64_t files() const { return files_; }  ///< Given so far.
    uint64_t missed() const { return missed_; }
    int missed_error() const { return missed_error_; }  ///< errno of the first that was missed.
    /// Given paths that are on tmpfs or the like.
    uint64_t in_memory() const { return in_memory_; }

  private:
    struct Level {
        std::unique_ptr<DIR, int (*)(DIR*)> directory;
        std::string path;
        dev_t device;
    };
    using Identity = std::pair<dev_t, ino_t>;

    std::vector<std::string> paths_;
    size_t next_path_ = 0;
    std::vector<Level> levels_;
    std::set<Identity> seen_;  ///< Directories, and files with several names.
    int open_file_ = -1;
    uint64_t files_ = 0;
    uint64_t missed_ = 0;
    int missed_error_ = 0;
    uint64_t in_memory_ = 0;

    std::optional<Entry> begin_path(const std::string& path);
    std::optional<Entry> take(Level& level, const dirent& entry);
    std::optional<Entry> give(int file, const struct stat& status, std::string path, bool once);
    void enter(int file, const struct stat& status, std::string path);
    void miss(int error);
};

}  // namespace braidway::memory
