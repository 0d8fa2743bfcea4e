// SPDX-License-Identifier: Apache-2.0
// The file system behind the mount: attributes, open files, and requests of the kernel.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "apps/free_node_memory/control_files.h"
#include "apps/free_node_memory/mount.h"
#include "apps/free_node_memory/write_queue.h"
#include "base/time.h"

struct fuse_file_info;     // NOLINT(readability-identifier-naming): libfuse's names.
struct fuse_lowlevel_ops;  // NOLINT(readability-identifier-naming)
struct fuse_req;

namespace braidway::apps {

/// Answers the kernel's requests. Permissions are checked by the kernel (default_permissions), with
/// the modes and owners kept here.
///
/// One write(2) is one request: it is at offset 0 or the first one of its open file. What is read
/// is one text, made when it is read from the beginning. Threads: all on the thread that takes
/// requests; the answers to writes come from the queue's.
class FuseFiles {
  public:
    FuseFiles(const MountOptions& options, ControlFiles& files);

    /// For fuse_session_new() with this object as user data.
    static const fuse_lowlevel_ops& operations();
    /// To be called after each request: answers the writers who went away while they waited.
    void after_request() { queue_.sweep(); }
    /// Cancels and answers all writes; see WriteQueue::stop().
    bool stop(Duration patience) { return queue_.stop(patience); }

  private:
    /// Kept in memory only, so that it begins anew with each mount.
    struct Attributes {
        mode_t mode = 0;
        uid_t user = 0;
        gid_t group = 0;
        Duration changed{};  ///< Wall clock.
    };
    struct Handle {
        ControlFile file{};
        bool written = false;
        std::string text{};  ///< What is being read.
    };
    using Request = fuse_req*;

    void lookup(Request request, uint64_t parent, const char* name);
    void get_attributes(Request request, uint64_t inode);
    void set_attributes(Request request, uint64_t inode, const struct stat& wanted, int which);
    void open(Request request, uint64_t inode, fuse_file_info& info);
    void release(Request request, const fuse_file_info& info);
    void read(Request request, size_t size, off_t offset, const fuse_file_info& info);
    void write(Request request, std::string_view text, off_t offset, const fuse_file_info& info);
    void list(Request request, size_t size, off_t offset) const;
    struct stat stat_of(uint64_t inode) const;

    ControlFiles& files_;
    std::array<Attributes, 4> attributes_{};  ///< Of the directory and each file.
    std::map<uint64_t, Handle> handles_;
    uint64_t next_handle_ = 1;
    uint64_t next_inode_ = 0;
    WriteQueue queue_;
};

}  // namespace braidway::apps
