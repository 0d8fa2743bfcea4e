// SPDX-License-Identifier: Apache-2.0
// Files with pages in the page cache, and child processes that have them mapped.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "memory/reclaim/cached_pages.h"

namespace braidway::memory {

/// A directory on a disk (not tmpfs), removed with all that is in it.
class ScratchFiles {
  public:
    ScratchFiles() {
        std::string name = "/var/tmp/braidway-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~ScratchFiles() { std::filesystem::remove_all(path_); }
    ScratchFiles(const ScratchFiles&) = delete;
    ScratchFiles& operator=(const ScratchFiles&) = delete;

    const std::string& path() const { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }

    /// Makes a file whose pages are cached and clean.
    std::string make(const std::string& name, size_t bytes) const {
        const std::string made = path(name);
        std::filesystem::create_directories(std::filesystem::path(made).parent_path());
        const int file = ::open(made.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        EXPECT_GE(file, 0);
        const std::string block(1 << 20, 'b');
        for (size_t done = 0; done < bytes;) {
            const ssize_t wrote = ::write(file, block.data(), std::min(block.size(), bytes - done));
            if (wrote <= 0) {
                ADD_FAILURE() << "cannot fill " << made;
                break;
            }
            done += static_cast<size_t>(wrote);
        }
        EXPECT_EQ(::fsync(file), 0);
        ::close(file);
        return made;
    }

  private:
    std::string path_;
};

/// Pages of a file that are cached.
inline uint64_t cached_pages_of(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<PageRange> ranges;
    CachedPages cached;
    EXPECT_EQ(cached.find(file, ranges), 0);
    ::close(file);
    uint64_t pages = 0;
    for (const PageRange& range : ranges) pages += range.pages();
    return pages;
}

/// Drops what can be dropped of a file.
inline void drop(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    ::close(file);
}

/// A process that has `bytes` of a file mapped from `offset` on, every page of it touched.
class MappingChild {
  public:
    MappingChild(const std::string& path, size_t offset, size_t bytes) {
        int ready[2];
        EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
        pid_ = ::fork();
        if (pid_ == 0) run(path.c_str(), offset, bytes, ready[1]);
        ::close(ready[1]);
        char word = 0;
        EXPECT_EQ(::read(ready[0], &word, 1), 1) << "the child could not map the file";
        ::close(ready[0]);
    }
    ~MappingChild() { end(); }
    MappingChild(const MappingChild&) = delete;
    MappingChild& operator=(const MappingChild&) = delete;

    pid_t pid() const { return pid_; }
    void end() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

  private:
    pid_t pid_ = -1;

    [[noreturn]] static void run(const char* path, size_t offset, size_t bytes, int ready) {
        // A test that dies must not leave it behind.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() == 1) ::_exit(1);
        const int file = ::open(path, O_RDONLY | O_CLOEXEC);
        void* mapped =
            ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, static_cast<off_t>(offset));
        if (mapped == MAP_FAILED) ::_exit(1);
        const volatile char* bytes_of = static_cast<const char*>(mapped);
        for (size_t at = 0; at < bytes; at += 4096) static_cast<void>(bytes_of[at]);
        if (::write(ready, "r", 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
};

}  // namespace braidway::memory
