// SPDX-License-Identifier: Apache-2.0
// What the paths to one file share: the lock against other daemons, and what is known of its holes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "path/hole_map.h"

namespace braidway::path {

/// Which storage a file path reaches: the inode, or the device number of a block device.
struct StoreIdentity {
    dev_t device = 0;
    ino_t inode = 0;

    friend auto operator<=>(const StoreIdentity&, const StoreIdentity&) = default;
};

/// One file or block device, however many paths lead to it.
///
/// Threads: made and destroyed by the thread that opens files, used by one lane.
class FileStore {
  public:
    explicit FileStore(int lock_fd) : lock_fd_(lock_fd) {}
    ~FileStore();
    FileStore(const FileStore&) = delete;
    FileStore& operator=(const FileStore&) = delete;

    /// Locks the file against other processes: shared for a reader, else alone. Called for each
    /// path to it, under the lock of FileStores. Errors: as find_or_lock().
    Result<void> lock(bool read_only, const std::string& name);

    HoleMap holes;
    /// Writes, discards and zeroes under way, and how many have ever begun: what was learnt about
    /// holes while the file changed is not believed.
    uint32_t changes_in_flight = 0;
    uint64_t changes_begun = 0;

  private:
    int lock_fd_;
    bool locked_ = false;
    bool exclusive_ = false;
};

/// The stores that are open, so that paths to one file find each other.
///
/// Threads: any; paths are opened on helper threads.
class FileStores {
  public:
    /// The store of `fd`'s file; locks the file when this is its first path. `name` is for
    /// messages. A store that is new is shown to `learn` before anybody else can find it.
    /// Errors: another process holds the lock (code EWOULDBLOCK), in words.
    Result<std::shared_ptr<FileStore>> find_or_lock(
        int fd, StoreIdentity identity, bool read_only, const std::string& name,
        const std::function<void(FileStore&)>& learn = {});

  private:
    std::mutex mutex_;
    std::map<StoreIdentity, std::weak_ptr<FileStore>> open_;
};

}  // namespace braidway::path
