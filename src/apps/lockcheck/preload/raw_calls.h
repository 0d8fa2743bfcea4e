// SPDX-License-Identifier: Apache-2.0
// System calls past the C library: what is wrapped here, or by the program, is not entered, and
// errno stays as it is.
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace braidway::lockcheck {

/// What seccomp has taken from this process (see confinement.h). Everywhere at once: the calls
/// stand in many places, and each already knows what to do when the kernel refuses.
struct Confined {
    static constexpr long numbers = 512;

    std::atomic<bool> any = false;
    std::atomic<uint64_t> forbidden[numbers / 64] = {};  ///< One bit for each system call.
    std::atomic<uintptr_t> pool_at = 0;                  ///< Memory, where mmap() is forbidden.
    uintptr_t pool_end = 0;
    int process = 0;  ///< Its number, where getpid() is forbidden.

    bool forbids(long number) const {
        return number >= 0 && number < numbers &&
               (forbidden[number / 64].load(std::memory_order_relaxed) >> (number % 64) & 1) != 0;
    }
};
inline constinit Confined confined;

/// The kernel's answer: below 0 it is a negated errno. For what must be tried though it kills.
inline long kernel_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) {
#if defined(__x86_64__)
    long answer = number;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "+a"(answer)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return answer;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    register long x5 asm("x5") = f;
    asm volatile("svc 0"
                 : "+r"(x0)
                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                 : "memory");
    return x0;
#else
#error "lockcheck runs on x86_64 and aarch64"
#endif
}

/// The kernel's answer: below 0 it is a negated errno. What seccomp would punish is not tried.
inline long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                     long f = 0) {
    if (confined.any.load(std::memory_order_relaxed) && confined.forbids(number)) [[unlikely]]
        return -EPERM;
    return kernel_call(number, a, b, c, d, e, f);
}

inline long as_word(const void* pointer) {
    return reinterpret_cast<long>(pointer);
}

/// Pages of the pool, which are not given back; nullptr: there are no more.
[[gnu::cold]] inline void* pages_of_pool(size_t bytes) {
    constexpr size_t page_bytes = 4096;
    const size_t rounded = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    uintptr_t at = confined.pool_at.load(std::memory_order_relaxed);
    do {
        if (confined.pool_end - at < rounded) return nullptr;
    } while (!confined.pool_at.compare_exchange_weak(at, at + rounded));
    return reinterpret_cast<void*>(at);
}

/// Zeroed pages, or nullptr.
inline void* map_pages(size_t bytes) {
    const long at = raw_call(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at >= 0 || at <= -4096) return reinterpret_cast<void*>(at);
    return confined.any.load(std::memory_order_relaxed) ? pages_of_pool(bytes) : nullptr;
}

inline void unmap_pages(void* at, size_t bytes) {
    raw_call(SYS_munmap, as_word(at), static_cast<long>(bytes));
}

/// Opens a file in the working directory's sense; close-on-exec.
inline int open_file(const char* path, int flags, int mode = 0) {
    return static_cast<int>(raw_call(SYS_openat, AT_FDCWD, as_word(path), flags | O_CLOEXEC, mode));
}

inline void close_file(int fd) {
    raw_call(SYS_close, fd);
}

/// Writes all of it, or says false.
inline bool write_all(int fd, const char* text, size_t bytes) {
    while (bytes > 0) {
        const long wrote = raw_call(SYS_write, fd, as_word(text), static_cast<long>(bytes));
        if (wrote == -EINTR) continue;
        if (wrote <= 0) return false;
        text += wrote;
        bytes -= static_cast<size_t>(wrote);
    }
    return true;
}

inline int process_id() {
    const long number = raw_call(SYS_getpid);
    return number > 0 ? static_cast<int>(number) : confined.process;
}

/// What the kernel does at a signal, as it keeps it.
struct KernelAction {
    uintptr_t function;  ///< 0 default, 1 ignored; ~0 when it is not known.
    unsigned long flags;
    void* restorer;
    uint64_t mask;
};

inline KernelAction action_of_signal(int number) {
    KernelAction action{};
    if (raw_call(SYS_rt_sigaction, number, 0, as_word(&action), sizeof action.mask) != 0)
        action.function = ~uintptr_t{0};
    return action;
}

/// A lock of the library's own, seen by nobody. Taken with all signals blocked (in_validator()), or
/// where no handler can come back to it.
class OwnLock {
  public:
    void lock() {
        uint32_t free = 0;
        if (word_.compare_exchange_strong(free, 1, std::memory_order_acquire)) return;
        while (word_.exchange(2, std::memory_order_acquire) != 0)
            raw_call(SYS_futex, as_word(&word_), FUTEX_WAIT_PRIVATE, 2);
    }
    void unlock() {
        if (word_.exchange(0, std::memory_order_release) == 2)
            raw_call(SYS_futex, as_word(&word_), FUTEX_WAKE_PRIVATE, 1);
    }
    /// In the child of a fork, whose only thread had it or did not.
    void forget_holder() { word_.store(0, std::memory_order_relaxed); }

  private:
    std::atomic<uint32_t> word_ = 0;
};

/// Holds an OwnLock for a scope.
class OwnGuard {
  public:
    explicit OwnGuard(OwnLock& lock) : lock_(lock) { lock_.lock(); }
    ~OwnGuard() { lock_.unlock(); }
    OwnGuard(const OwnGuard&) = delete;
    OwnGuard& operator=(const OwnGuard&) = delete;

  private:
    OwnLock& lock_;
};

}  // namespace braidway::lockcheck
