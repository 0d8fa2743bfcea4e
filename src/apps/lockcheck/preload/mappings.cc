// SPDX-License-Identifier: Apache-2.0
// The functions by which memory goes away at once, wrapped: munmap(), mremap(), mmap() over what is
// there, shmdt(), brk() and sbrk(), madvise(), dlclose(). Locks in it are forgotten; that they are
// held is no finding, for memory of several processes stays, and so do its locks.
//
// What went away unseen, by a system call that no function was asked for, is found out when the
// addresses are handed out again: memory that has just been mapped has no locks yet.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>

#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/runtime.h"
#include "apps/lockcheck/preload/static_objects.h"

namespace braidway::lockcheck {
namespace {

/// A function behind ours, looked up at its first call. While that is going on (an allocator may
/// map memory for the look-up itself), nullptr.
template <typename Function>
class Next {
  public:
    constexpr explicit Next(const char* name) : name_(name) {}

    Function* get() {
        Function* found = found_.load(std::memory_order_acquire);
        if (found == nullptr && !finding_.exchange(true, std::memory_order_acquire)) {
            const int saved_errno = errno;
            found = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name_));
            found_.store(found, std::memory_order_release);
            finding_.store(false, std::memory_order_release);
            errno = saved_errno;
        }
        return found;
    }

  private:
    const char* name_;
    std::atomic<Function*> found_ = nullptr;
    std::atomic<bool> finding_ = false;
};

using Mmap = void*(void*, size_t, int, int, int, off_t);
constinit Next<Mmap> next_mmap("mmap");
constinit Next<Mmap> next_mmap64("mmap64");
constinit Next<int(void*, size_t)> next_munmap("munmap");
constinit Next<void*(void*, size_t, size_t, int, void*)> next_mremap("mremap");
constinit Next<int(void*, size_t, int)> next_madvise("madvise");
constinit Next<void*(int, const void*, int)> next_shmat("shmat");
constinit Next<int(const void*)> next_shmdt("shmdt");
constinit Next<int(void*)> next_brk("brk");
constinit Next<void*(intptr_t)> next_sbrk("sbrk");
constinit Next<int(void*)> next_dlclose("dlclose");

constexpr size_t page_bytes = 4096;

void* answer_of(long answer) {
    if (answer >= 0 || answer < -4095) return reinterpret_cast<void*>(answer);
    errno = static_cast<int>(-answer);
    return MAP_FAILED;
}

void range_gone(const void* begin, size_t bytes) {
    ThreadState* const self = this_thread();
    if (self == nullptr || self->inside != 0) return;
    const auto address = reinterpret_cast<uintptr_t>(begin);
    if (address + bytes < address) return;
    const auto* const end = reinterpret_cast<const void*>(address + bytes);
    if (!validator().may_have_locks(begin, end)) return;
    in_validator(*self, [&] { validator().memory_gone(*self->thread, begin, end, true); });
}

void* map(Next<Mmap>& next, void* at, size_t bytes, int protection, int flags, int fd,
          off_t offset) {
    Mmap* const real = next.get();
    void* const mapped = real != nullptr
                             ? real(at, bytes, protection, flags, fd, offset)
                             : answer_of(raw_call(SYS_mmap, as_word(at), static_cast<long>(bytes),
                                                  protection, flags, fd, offset));
    // What was there is replaced at one stroke, or went unseen; and nobody but the caller has the
    // memory yet.
    if (mapped != MAP_FAILED) range_gone(mapped, bytes);
    return mapped;
}

/// The kernel's answer as the C library gives it.
int status_of(long answer) {
    return answer_of(answer) == MAP_FAILED ? -1 : 0;
}

/// How large the attached segments of shared memory are, for shmdt() does not say. Of more than a
/// few, the first page is what is known.
class Attachments {
  public:
    void add(const void* at, size_t bytes) {
        for (Attachment& each : all_) {
            const void* none = nullptr;
            if (!each.at.compare_exchange_strong(none, at, std::memory_order_relaxed) && none != at)
                continue;
            each.bytes.store(bytes, std::memory_order_relaxed);
            return;
        }
    }
    /// Forgets the one at `at`, and says how large it was.
    size_t take(const void* at) {
        for (Attachment& each : all_) {
            if (each.at.load(std::memory_order_relaxed) != at) continue;
            const size_t bytes = each.bytes.load(std::memory_order_relaxed);
            each.at.store(nullptr, std::memory_order_relaxed);
            return bytes;
        }
        return page_bytes;
    }

  private:
    struct Attachment {
        std::atomic<const void*> at = nullptr;
        std::atomic<size_t> bytes = 0;
    };
    std::array<Attachment, 256> all_{};
};
constinit Attachments attachments;

/// The contents of pages went and the mapping stays. What is shared, or in a file, comes back as it
/// was: such pages are still there.
void dropped_pages_gone(char* begin, size_t bytes) {
    const char* const end = begin + bytes;
    if (end < begin || !validator().may_have_locks(begin, end)) return;
    std::array<unsigned char, 64> present{};
    for (char* at = begin; at < end;) {
        const size_t left = (static_cast<size_t>(end - at) + page_bytes - 1) / page_bytes;
        const size_t pages = std::min(left, present.size());
        if (raw_call(SYS_mincore, as_word(at), static_cast<long>(pages * page_bytes),
                     reinterpret_cast<long>(present.data())) != 0)
            return;
        for (size_t i = 0; i < pages; ++i)
            if ((present[i] & 1) == 0) range_gone(at + i * page_bytes, page_bytes);
        at += pages * page_bytes;
    }
}

/// Moves the end of the data segment from `now` to `wanted` by move(), which says whether it could.
template <typename Move>
void move_break(char* now, char* wanted, Move move) {
    // What goes is forgotten before, as with munmap(); what comes may have gone unseen.
    if (wanted < now) range_gone(wanted, static_cast<size_t>(now - wanted));
    if (move() && wanted > now) range_gone(now, static_cast<size_t>(wanted - now));
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

extern "C" {

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
    return map(next_mmap, at, bytes, protection, flags, fd, offset);
}

void* mmap64(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
    return map(next_mmap64, at, bytes, protection, flags, fd, offset);
}

int munmap(void* at, size_t bytes) noexcept {
    // Before: as soon as it is gone another thread may get these addresses. What the kernel refuses
    // stays.
    if (reinterpret_cast<uintptr_t>(at) % page_bytes == 0 && bytes != 0) range_gone(at, bytes);
    if (auto* const real = next_munmap.get()) return real(at, bytes);
    return status_of(raw_call(SYS_munmap, as_word(at), static_cast<long>(bytes)));
}

int madvise(void* at, size_t bytes, int advice) noexcept {
    auto* const real = next_madvise.get();
    const int status =
        real != nullptr
            ? real(at, bytes, advice)
            : status_of(raw_call(SYS_madvise, as_word(at), static_cast<long>(bytes), advice));
    if (status != 0 || this_thread() == nullptr) return status;
    // MADV_FREE: the kernel may drop it at any time until it is written to.
    if (advice == MADV_REMOVE || advice == MADV_FREE) range_gone(at, bytes);
    if (advice == MADV_DONTNEED) dropped_pages_gone(static_cast<char*>(at), bytes);
    return status;
}

void* shmat(int segment, const void* at, int flags) noexcept {
    auto* const real = next_shmat.get();
    void* const attached = real != nullptr
                               ? real(segment, at, flags)
                               : answer_of(raw_call(SYS_shmat, segment, as_word(at), flags));
    if (attached == MAP_FAILED) return attached;
    shmid_ds status{};
    if (raw_call(SYS_shmctl, segment, IPC_STAT, reinterpret_cast<long>(&status)) != 0)
        status.shm_segsz = page_bytes;
    range_gone(attached, status.shm_segsz);
    attachments.add(attached, status.shm_segsz);
    return attached;
}

int shmdt(const void* at) noexcept {
    // Before, as with munmap().
    range_gone(at, attachments.take(at));
    if (auto* const real = next_shmdt.get()) return real(at);
    return status_of(raw_call(SYS_shmdt, as_word(at)));
}

int brk(void* wanted) noexcept {
    auto* const real = next_brk.get();
    auto* const where = next_sbrk.get();
    if (real == nullptr || where == nullptr) {
        errno = ENOMEM;
        return -1;
    }
    int status = -1;
    move_break(static_cast<char*>(where(0)), static_cast<char*>(wanted), [&] {
        status = real(wanted);
        return status == 0;
    });
    return status;
}

void* sbrk(intptr_t more) noexcept {
    auto* const real = next_sbrk.get();
    if (real == nullptr) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    if (more == 0) return real(0);
    auto* const now = static_cast<char*>(real(0));
    void* moved = MAP_FAILED;
    move_break(now, now + more, [&] {
        moved = real(more);
        return moved != MAP_FAILED;
    });
    return moved;
}

void* mremap(void* at, size_t bytes, size_t new_bytes, int flags, ...) noexcept {
    void* new_place = nullptr;
    if ((flags & MREMAP_FIXED) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        new_place = va_arg(arguments, void*);
        va_end(arguments);
    }
    if (new_bytes < bytes) range_gone(static_cast<char*>(at) + new_bytes, bytes - new_bytes);
    auto* const real = next_mremap.get();
    void* const now =
        real != nullptr
            ? real(at, bytes, new_bytes, flags, new_place)
            : answer_of(raw_call(SYS_mremap, as_word(at), static_cast<long>(bytes),
                                 static_cast<long>(new_bytes), flags, as_word(new_place)));
    if (now != MAP_FAILED && now != at) {
        range_gone(at, bytes);
        range_gone(now, new_bytes);
    } else if (now != MAP_FAILED && new_bytes > bytes) {
        range_gone(static_cast<char*>(now) + bytes, new_bytes - bytes);
    }
    return now;
}

int dlclose(void* handle) noexcept {
    auto* const real = next_dlclose.get();
    ThreadState* const self = this_thread();
    if (self == nullptr || self->inside != 0) return real == nullptr ? -1 : real(handle);
    const LoadedModules before;
    const int error = real == nullptr ? -1 : real(handle);
    before.tell_gone([](uintptr_t begin, uintptr_t end) {
        range_gone(reinterpret_cast<const void*>(begin), end - begin);
    });
    return error;
}

}  // extern "C"
