// SPDX-License-Identifier: Apache-2.0
// The functions by which memory goes away at once, wrapped: munmap(), mremap(), mmap() over what is
// there, dlclose(). Locks in it are forgotten; that they are held is no finding, for memory of
// several processes stays, and so do its locks.
#include <dlfcn.h>
#include <sys/mman.h>

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
constinit Next<int(void*)> next_dlclose("dlclose");

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
    // What was there is replaced at one stroke, and nobody but the caller has the memory yet.
    if (mapped != MAP_FAILED && (flags & MAP_FIXED) != 0) range_gone(mapped, bytes);
    return mapped;
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
    if (reinterpret_cast<uintptr_t>(at) % 4096 == 0 && bytes != 0) range_gone(at, bytes);
    if (auto* const real = next_munmap.get()) return real(at, bytes);
    return answer_of(raw_call(SYS_munmap, as_word(at), static_cast<long>(bytes))) == MAP_FAILED ? -1
                                                                                                : 0;
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
