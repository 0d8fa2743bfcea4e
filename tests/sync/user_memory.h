// SPDX-License-Identifier: Apache-2.0
// Memory that misbehaves, and children that die, for the tests of user access.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include <gtest/gtest.h>

#include "braidway/sync/user_window.h"

namespace braidway::sync {

inline const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

/// A memfd of some pages, mapped shared; a window over it unless told otherwise. Not sealed, so
/// that tests may cut it.
class CutMemory {
  public:
    explicit CutMemory(size_t pages, bool with_window = true)
        : fd_(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)), size_(pages * page) {
        truncate(pages);
        data_ = static_cast<std::byte*>(
            mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
        if (with_window) window_.emplace(std::move(UserWindow::add(bytes()).value()));
    }
    CutMemory(const CutMemory&) = delete;
    CutMemory& operator=(const CutMemory&) = delete;
    ~CutMemory() {
        window_.reset();
        munmap(data_, size_);
        close(fd_);
    }

    int fd() const { return fd_; }
    std::byte* data() const { return data_; }
    std::span<std::byte> bytes() const { return {data_, size_}; }

    template <typename T>
    T* at(size_t offset) const {
        return reinterpret_cast<T*>(data_ + offset);
    }

    void truncate(size_t pages) const {
        if (ftruncate(fd_, static_cast<off_t>(pages * page)) != 0) std::abort();
    }

    void protect(size_t first_page, size_t pages, int protection) const {
        if (mprotect(data_ + first_page * page, pages * page, protection) != 0) std::abort();
    }

  private:
    int fd_;
    size_t size_;
    std::byte* data_;
    std::optional<UserWindow> window_;
};

/// Runs `body` in a child with the signals' default actions, and no core. Returns what waitpid()
/// says; a child that comes to the end exits with what `body` returns.
template <typename Body>
int status_of_child(Body&& body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(30);
        const struct rlimit no_core{};
        setrlimit(RLIMIT_CORE, &no_core);
        _exit(body());
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) std::abort();
    return status;
}

/// Gives SIGSEGV and SIGBUS `action` and puts our handlers in front of it.
inline bool put_before(const struct sigaction& action) {
    return sigaction(SIGSEGV, &action, nullptr) == 0 && sigaction(SIGBUS, &action, nullptr) == 0 &&
           ensure_fault_handlers();
}

/// As put_before() with the default action, whatever a sanitizer had installed.
inline bool put_before_default() {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    return put_before(action);
}

inline bool died_of(int status, int signal) {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

inline bool exited_with(int status, int code) {
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

}  // namespace braidway::sync
