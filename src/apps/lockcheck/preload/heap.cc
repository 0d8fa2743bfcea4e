// SPDX-License-Identifier: Apache-2.0
// The functions behind ours are found with RTLD_NEXT: the C library's, or those of an allocator
// that was linked or preloaded. Where the program itself defines malloc(), ours is never called.
#include "apps/lockcheck/preload/heap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "apps/lockcheck/preload/heap_map.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/runtime.h"

#define LOCKCHECK_SITE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace braidway::lockcheck {
namespace {

/// From this size on, malloc() of the C library maps a block of its own (M_MMAP_THRESHOLD).
constexpr size_t mapped_bytes_min = 128 * 1024;

/// Serves what is asked for while the functions behind ours are looked up. Never given back.
class EarlyMemory {
  public:
    void* allocate(size_t bytes, size_t alignment = 16) {
        // Before a block stands its size, for realloc().
        const size_t wanted = (bytes + 15) / 16 * 16 + 16 + alignment;
        if (wanted < bytes) return nullptr;
        const size_t begin = used_.fetch_add(wanted, std::memory_order_relaxed);
        if (begin + wanted > sizeof room_) return nullptr;
        auto address = reinterpret_cast<uintptr_t>(room_ + begin) + 16;
        address = (address + alignment - 1) & ~(alignment - 1);
        std::memcpy(reinterpret_cast<void*>(address - 16), &bytes, sizeof bytes);
        return reinterpret_cast<void*>(address);
    }
    bool holds(const void* block) const {
        return reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(room_) <
               sizeof room_;
    }
    static size_t bytes_of(const void* block) {
        size_t bytes = 0;
        std::memcpy(&bytes, static_cast<const char*>(block) - 16, sizeof bytes);
        return bytes;
    }

  private:
    alignas(16) char room_[65'536] = {};
    std::atomic<size_t> used_ = 0;
};

struct RealHeap {
    void* (*malloc)(size_t) = nullptr;
    void (*free)(void*) = nullptr;
    void* (*calloc)(size_t, size_t) = nullptr;
    void* (*realloc)(void*, size_t) = nullptr;
    void* (*reallocarray)(void*, size_t, size_t) = nullptr;
    int (*posix_memalign)(void**, size_t, size_t) = nullptr;
    void* (*aligned_alloc)(size_t, size_t) = nullptr;
    void* (*memalign)(size_t, size_t) = nullptr;
    void* (*valloc)(size_t) = nullptr;
    void* (*pvalloc)(size_t) = nullptr;
    size_t (*malloc_usable_size)(void*) = nullptr;  ///< nullptr: not of the same allocator.
    /// The program's realloc() is ours: no allocator of its own, or preloaded before, is in front.
    bool is_in_front = false;
};

constinit EarlyMemory early_memory;
constinit RealHeap real_heap;
constinit std::atomic<bool> finding = false;

template <typename Function>
void find_next(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

const void* module_of(const void* address) {
    dl_find_object found{};
    void* const plain = const_cast<void*>(address);
    return _dl_find_object(plain, &found) == 0 ? found.dlfo_link_map : nullptr;
}

/// False: they are being looked up right now, by a caller further up or by another thread.
[[gnu::cold, gnu::noinline]] bool find_real_heap() {
    if (finding.exchange(true, std::memory_order_acquire)) return false;
    if (real_heap.malloc == nullptr) {
        const int saved_errno = errno;
        prepare_heap();
        find_next(real_heap.calloc, "calloc");
        find_next(real_heap.realloc, "realloc");
        find_next(real_heap.reallocarray, "reallocarray");
        find_next(real_heap.posix_memalign, "posix_memalign");
        find_next(real_heap.aligned_alloc, "aligned_alloc");
        find_next(real_heap.memalign, "memalign");
        find_next(real_heap.valloc, "valloc");
        find_next(real_heap.pvalloc, "pvalloc");
        find_next(real_heap.malloc_usable_size, "malloc_usable_size");
        find_next(real_heap.free, "free");
        if (module_of(reinterpret_cast<const void*>(real_heap.malloc_usable_size)) !=
            module_of(reinterpret_cast<const void*>(real_heap.free))) {
            real_heap.malloc_usable_size = nullptr;
        }
        const void* const used = dlsym(RTLD_DEFAULT, "realloc");
        real_heap.is_in_front =
            module_of(used) == module_of(reinterpret_cast<const void*>(&prepare_heap));
        // Last: who sees this one sees all.
        void* (*found)(size_t) = nullptr;
        find_next(found, "malloc");
        __atomic_store_n(&real_heap.malloc, found, __ATOMIC_RELEASE);
        errno = saved_errno;
    }
    finding.store(false, std::memory_order_release);
    return true;
}

bool ready() {
    return __atomic_load_n(&real_heap.malloc, __ATOMIC_ACQUIRE) != nullptr || find_real_heap();
}

/// The validator forgets the locks in a range. False: this thread cannot tell it now.
bool tell_gone(uintptr_t begin, uintptr_t end) {
    ThreadState* const self = this_thread();
    if (self == nullptr || self->inside != 0) return false;
    const auto* const first = reinterpret_cast<const void*>(begin);
    const auto* const last = reinterpret_cast<const void*>(end);
    if (!validator().may_have_locks(first, last)) return true;
    in_validator(*self, [&] { validator().memory_gone(*self->thread, first, last, false); });
    return true;
}

/// What is known of a block that is handed back; for one that is not in the map, its size as the
/// allocator says, or else no more than what no other block can overlap.
HeapBlock block_given_back(void* block) {
    HeapBlock found;
    if (heap_map.block_at(block, found) && found.bytes != 0) return found;
    found = {.begin = reinterpret_cast<uintptr_t>(block), .bytes = 16};
    if (real_heap.malloc_usable_size != nullptr) found.bytes = real_heap.malloc_usable_size(block);
    return found;
}

/// Locks live in the block that is changed in size: they stay as long as it does. What may move is
/// moved here, so that they are forgotten before anybody else gets the memory.
[[gnu::cold, gnu::noinline]] void* resize_with_locks(void* block, size_t bytes, uintptr_t site) {
    HeapBlock known = block_given_back(block);
    const size_t usable =
        real_heap.malloc_usable_size != nullptr ? real_heap.malloc_usable_size(block) : known.bytes;
    const uintptr_t end = known.begin + known.bytes;
    if (bytes > usable) {
        void* const moved = real_heap.malloc(bytes);
        if (moved == nullptr) return nullptr;
        block_made(moved, bytes, site);
        std::memcpy(moved, block, usable);
        block_goes(block);
        real_heap.free(block);
        return moved;
    }
    if (known.begin + bytes < end) tell_gone(known.begin + bytes, end);
    heap_map.forget(block);
    void* const now = real_heap.realloc(block, bytes);
    if (now == block || now == nullptr) {
        if (bytes == 0) return now;
        block_made(block, now == nullptr ? known.bytes : bytes, site);
        known.begin = reinterpret_cast<uintptr_t>(block);
        heap_map.has_locks(known);
        return now;
    }
    tell_gone(known.begin, end);
    block_made(now, bytes, site);
    return now;
}

void* move_early_block(void* block, size_t bytes, uintptr_t site) {
    void* const moved = real_heap.malloc(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(bytes, EarlyMemory::bytes_of(block)));
    block_made(moved, bytes, site);
    return moved;
}

void* resize(void* block, size_t bytes, uintptr_t site) {
    if (!ready()) {
        void* const moved = early_memory.allocate(bytes);
        if (moved != nullptr && block != nullptr && early_memory.holds(block))
            std::memcpy(moved, block, std::min(bytes, EarlyMemory::bytes_of(block)));
        return moved;
    }
    if (block != nullptr) {
        if (early_memory.holds(block)) return move_early_block(block, bytes, site);
        HeapBlock old;
        const bool known = heap_map.block_at(block, old);
        if (!heap_map.gone_without_locks(block)) {
            // A large block may have locks; most have none.
            ThreadState* const self = this_thread();
            const HeapBlock given = block_given_back(block);
            const auto* const end = static_cast<const char*>(block) + given.bytes;
            if (self != nullptr && self->inside == 0 && validator().may_have_locks(block, end))
                return resize_with_locks(block, bytes, site);
            heap_map.forget(block);
        }
        void* const now = real_heap.realloc(block, bytes);
        if (now != nullptr) {
            block_made(now, bytes, site);
        } else if (known && bytes != 0) {
            block_made(block, old.bytes, old.made_at);
        }
        return now;
    }
    void* const made = real_heap.realloc(nullptr, bytes);
    block_made(made, bytes, site);
    return made;
}

}  // namespace

void prepare_heap() {
    rlimit limit{};
    const long answer = raw_call(SYS_prlimit64, 0, RLIMIT_AS, 0, reinterpret_cast<long>(&limit));
    if (answer == 0 && limit.rlim_cur != RLIM_INFINITY) heap_map.turn_off();
}

[[gnu::cold]] void block_with_locks_goes(void* block) {
    const HeapBlock known = block_given_back(block);
    // What could not be told now is told when the memory is handed out again.
    if (tell_gone(known.begin, known.begin + known.bytes) || !heap_map.is_marked(block))
        heap_map.forget(block);
}

void* block_made_slowly(void* block, size_t bytes, uintptr_t site) {
    if (block == nullptr) return block;
    const auto begin = reinterpret_cast<uintptr_t>(block);
    // The C library maps such a block for itself; what was mapped there may have gone unseen.
    if (bytes >= mapped_bytes_min) tell_gone(begin, begin + bytes);
    if (heap_map.made(block, bytes, site)) return block;
    tell_gone(begin, begin + bytes);
    heap_map.forget(block);
    static_cast<void>(heap_map.made(block, bytes, site));
    return block;
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

// Every wrapper passes on what the function behind it says, errno too.
extern "C" {

void* malloc(size_t bytes) {
    if (real_heap.malloc == nullptr && !find_real_heap()) [[unlikely]] {
        return early_memory.allocate(bytes);
    }
    // Nothing is written down of such a one.
    if (bytes < HeapMap::noted_bytes_min) return real_heap.malloc(bytes);
    return block_made(real_heap.malloc(bytes), bytes, LOCKCHECK_SITE);
}

void free(void* block) {
    if (block == nullptr || early_memory.holds(block)) return;
    if (real_heap.free == nullptr && !ready()) [[unlikely]]
        return;
    block_goes(block);
    real_heap.free(block);
}

void* calloc(size_t count, size_t each) {
    size_t bytes = 0;
    const bool too_many = __builtin_mul_overflow(count, each, &bytes);
    if (!ready()) [[unlikely]]
        return too_many ? nullptr : early_memory.allocate(bytes);
    return block_made(real_heap.calloc(count, each), bytes, LOCKCHECK_SITE);
}

void* realloc(void* block, size_t bytes) {
    return resize(block, bytes, LOCKCHECK_SITE);
}

void* reallocarray(void* block, size_t count, size_t each) {
    // An allocator in front need not have this one; the C library's then comes back to it.
    if (ready() && !real_heap.is_in_front) return real_heap.reallocarray(block, count, each);
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, each, &bytes)) {
        errno = ENOMEM;
        return nullptr;
    }
    return resize(block, bytes, LOCKCHECK_SITE);
}

int posix_memalign(void** place, size_t alignment, size_t bytes) {
    if (!ready()) [[unlikely]] {
        *place = early_memory.allocate(bytes, alignment);
        return *place == nullptr ? ENOMEM : 0;
    }
    const int error = real_heap.posix_memalign(place, alignment, bytes);
    if (error == 0) block_made(*place, bytes, LOCKCHECK_SITE);
    return error;
}

void* aligned_alloc(size_t alignment, size_t bytes) {
    if (!ready()) [[unlikely]]
        return early_memory.allocate(bytes, alignment);
    return block_made(real_heap.aligned_alloc(alignment, bytes), bytes, LOCKCHECK_SITE);
}

void* memalign(size_t alignment, size_t bytes) {
    if (!ready()) [[unlikely]]
        return early_memory.allocate(bytes, alignment);
    return block_made(real_heap.memalign(alignment, bytes), bytes, LOCKCHECK_SITE);
}

void* valloc(size_t bytes) {
    if (!ready()) [[unlikely]]
        return early_memory.allocate(bytes, 4096);
    return block_made(real_heap.valloc(bytes), bytes, LOCKCHECK_SITE);
}

void* pvalloc(size_t bytes) {
    if (!ready()) [[unlikely]]
        return early_memory.allocate(bytes, 4096);
    return block_made(real_heap.pvalloc(bytes), bytes, LOCKCHECK_SITE);
}

}  // extern "C"
