// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/file_walk.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/limits.h"

namespace braidway::memory {
namespace {

constexpr int quiet = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

int open_without_trace(int directory, const char* name, int flags) {
    const int file = ::openat(directory, name, flags | O_NOATIME);
    // Only the owner may ask for that.
    return file < 0 && errno == EPERM ? ::openat(directory, name, flags) : file;
}

bool is_directory(const char* path) {
    struct stat status{};
    return ::stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

int open_quietly(const char* path) {
    return open_without_trace(AT_FDCWD, path, quiet);
}

int open_quietly_at(int directory, const char* name) {
    return open_without_trace(directory, name, quiet | O_NOFOLLOW);
}

bool is_page_cache(int file) {
    struct statfs system{};
    if (::fstatfs(file, &system) != 0) return false;
    const auto type = static_cast<uint32_t>(system.f_type);
    constexpr uint32_t in_memory[] = {0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */,
                                      0x958458f6 /* hugetlbfs */, 0x9fa0 /* proc */,
                                      0x62656572 /* sysfs */};
    return std::ranges::find(in_memory, type) == std::end(in_memory);
}

FileWalk::FileWalk(std::vector<std::string> paths) : paths_(std::move(paths)) {
    // Files first: they are remembered, so that a tree that holds one does not give it again.
    std::ranges::stable_partition(
        paths_, [](const std::string& path) { return !is_directory(path.c_str()); });
}

FileWalk::~FileWalk() {
    if (open_file_ >= 0) ::close(open_file_);
}

std::optional<FileWalk::Entry> FileWalk::next() {
    if (open_file_ >= 0) ::close(open_file_);
    open_file_ = -1;
    for (;;) {
        std::optional<Entry> found;
        if (!levels_.empty()) {
            if (const dirent* entry = ::readdir(levels_.back().directory.get()))
                found = take(levels_.back(), *entry);
            else
                levels_.pop_back();
        } else if (next_path_ < paths_.size()) {
            found = begin_path(paths_[next_path_++]);
        } else {
            return {};
        }
        if (found) return found;
    }
}

std::optional<FileWalk::Entry> FileWalk::begin_path(const std::string& path) {
    struct stat status{};
    // Before it is opened: a FIFO or a device is none of ours.
    if (::stat(path.c_str(), &status) != 0) {
        miss(errno);
        return {};
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return {};
    const int file = open_quietly(path.c_str());
    if (file < 0) {
        miss(errno);
        return {};
    }
    if (!is_page_cache(file)) {
        ++in_memory_;
        ::close(file);
        return {};
    }
    if (S_ISREG(status.st_mode)) return give(file, status, path, true);
    enter(file, status, path);
    return {};
}

std::optional<FileWalk::Entry> FileWalk::take(Level& level, const dirent& entry) {
    const std::string_view name = entry.d_name;
    if (name == "." || name == "..") return {};
    if (entry.d_type != DT_REG && entry.d_type != DT_DIR && entry.d_type != DT_UNKNOWN) return {};
    const int directory = ::dirfd(level.directory.get());
    struct stat status{};
    if (entry.d_type == DT_UNKNOWN) {
        if (::fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return {};
    }
    const int file = open_quietly_at(directory, entry.d_name);
    if (file < 0) {
        if (errno != ENOENT && errno != ELOOP) miss(errno);
        return {};
    }
    std::string path = level.path;
    if (!path.ends_with('/')) path += '/';
    path += name;
    if (::fstat(file, &status) == 0 && status.st_dev == level.device) {
        if (S_ISREG(status.st_mode))
            return give(file, status, std::move(path), status.st_nlink > 1);
        if (S_ISDIR(status.st_mode)) {
            enter(file, status, std::move(path));
            return {};
        }
    }
    ::close(file);
    return {};
}

std::optional<FileWalk::Entry> FileWalk::give(int file, const struct stat& status, std::string path,
                                              bool once) {
    const Identity identity{status.st_dev, status.st_ino};
    // A file that was named by itself is in the set, also when it has one name only.
    if (once ? !seen_.insert(identity).second : seen_.contains(identity)) {
        ::close(file);
        return {};
    }
    ++files_;
    open_file_ = file;
    return Entry{file, static_cast<uint64_t>(status.st_size), std::move(path)};
}

void FileWalk::enter(int file, const struct stat& status, std::string path) {
    if (!seen_.insert({status.st_dev, status.st_ino}).second) {
        ::close(file);
        return;
    }
    if (levels_.size() >= limits::walk_depth_max) {
        ::close(file);
        miss(ENAMETOOLONG);
        return;
    }
    std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(file), ::closedir);
    if (!directory) {
        miss(errno);
        ::close(file);
        return;
    }
    levels_.push_back({std::move(directory), std::move(path), status.st_dev});
}

void FileWalk::miss(int error) {
    if (missed_++ == 0) missed_error_ = error;
}

}  // namespace braidway::memory
