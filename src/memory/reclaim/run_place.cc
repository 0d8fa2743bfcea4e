// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/run_place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace braidway::memory {

bool run_place_is_shared() {
    return geteuid() == 0;
}

Result<std::string> run_place(const std::string& root) {
    std::string path = root + "/run/braidway-node-memory";
    if (geteuid() != 0) {
        const char* runtime = std::getenv("XDG_RUNTIME_DIR");
        path = runtime != nullptr && runtime[0] == '/' ? fmt::format("{}/braidway", runtime)
                                                       : fmt::format("/tmp/braidway-{}", geteuid());
    } else if (!root.empty()) {
        (void)mkdir((root + "/run").c_str(), 0755);
    }
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
        return fail(fmt::format("cannot make {} for locks: {}", path, errno_text(errno)), errno);
    struct stat status{};
    if (lstat(path.c_str(), &status) != 0)
        return fail(fmt::format("{}: {}", path, errno_text(errno)), errno);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0)
        return fail(
            fmt::format("{} must be a directory of this user that nobody else can write", path),
            EPERM);
    return path;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

FileLock::~FileLock() {
    if (fd_ >= 0) close(fd_);
}

Result<FileLock> FileLock::try_take(const std::string& path) {
    FileLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock.fd_ < 0)
        return fail(fmt::format("cannot open the lock {}: {}", path, errno_text(errno)), errno);
    if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0)
        return fail(fmt::format("{} is locked by another run", path), errno);
    return lock;
}

}  // namespace braidway::memory
