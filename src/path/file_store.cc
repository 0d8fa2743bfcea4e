// SPDX-License-Identifier: Apache-2.0
#include "path/file_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace braidway::path {

FileStore::~FileStore() {
    if (lock_fd_ >= 0) close(lock_fd_);
}

Result<void> FileStore::lock(bool read_only, const std::string& name) {
    if (locked_ && (read_only || exclusive_)) return {};
    if (flock(lock_fd_, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        const int code = errno;
        // A lock that could not be made stronger is gone; the readers of this file still want it.
        if (locked_) flock(lock_fd_, LOCK_SH | LOCK_NB);
        if (code == EWOULDBLOCK)
            return fail(fmt::format("{}: in use by another process that holds its lock (another "
                                    "braidway?); stop that one first",
                                    name),
                        code);
        // Some network file systems have no locks; then nobody can be kept out.
        if (code != ENOLCK && code != EOPNOTSUPP && code != EINVAL)
            return fail(fmt::format("{}: cannot lock: {}", name, errno_text(code)), code);
    }
    locked_ = true;
    exclusive_ = !read_only;
    return {};
}

Result<std::shared_ptr<FileStore>> FileStores::find_or_lock(
    int fd, StoreIdentity identity, bool read_only, const std::string& name,
    const std::function<void(FileStore&)>& learn) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<FileStore>& known = open_[identity];
    if (auto store = known.lock()) {
        if (auto locked = store->lock(read_only, name); !locked)
            return std::unexpected(locked.error());
        return store;
    }
    // An flock belongs to the open file description; a descriptor of its own keeps it independent
    // of paths that are closed and opened again.
    const int lock_fd = open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC);
    if (lock_fd < 0) return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    auto store = std::make_shared<FileStore>(lock_fd);
    if (auto locked = store->lock(read_only, name); !locked) return std::unexpected(locked.error());
    if (learn) learn(*store);
    known = store;
    return store;
}

}  // namespace braidway::path
