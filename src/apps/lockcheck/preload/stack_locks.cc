// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stack_locks.h"

#include <atomic>
#include <type_traits>

#include "apps/lockcheck/preload/frames.h"
#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/raw_calls.h"

namespace braidway::lockcheck {
namespace {

/// Threads whose stacks are known. Blocks of this many are added and never given back.
struct StackBlock {
    static constexpr size_t stacks = 512 - 1;

    std::atomic<ThreadState*> owners[stacks];
    std::atomic<StackBlock*> next;
};

constinit StackBlock first_block{};

template <typename Visit>
void for_each_owner(Visit visit) {
    for (StackBlock* block = &first_block; block != nullptr;
         block = block->next.load(std::memory_order_acquire))
        for (std::atomic<ThreadState*>& owner : block->owners)
            if (visit(owner)) return;
}

/// Another thread than its owner may lower it.
std::atomic_ref<uintptr_t> lowest_of(ThreadState& owner) {
    return std::atomic_ref<uintptr_t>(owner.lowest_stack_lock);
}

void lower(ThreadState& owner, uintptr_t address) {
    const std::atomic_ref<uintptr_t> lowest = lowest_of(owner);
    uintptr_t known = lowest.load(std::memory_order_relaxed);
    while (address < known)
        if (lowest.compare_exchange_weak(known, address, std::memory_order_relaxed)) return;
}

// What Lock::watch remembers: where the return address of the lock's frame stands and what it is,
// which function runs in the frame, and places that used the lock while it was so. Two functions
// that one place calls by a pointer have the same return address at the same place.
constexpr size_t place_word = 0;
constexpr size_t content_word = 1;
constexpr size_t function_word = 2;
constexpr size_t first_site_word = 3;
constexpr size_t words = std::extent_v<decltype(lockdep::Lock::watch)>;

uintptr_t address_of(const lockdep::Lock& lock) {
    return reinterpret_cast<uintptr_t>(lock.address.load(std::memory_order_relaxed));
}

bool is_in(const ThreadState& owner, uintptr_t address) {
    return address - owner.stack_low < owner.stack_high - owner.stack_low;
}

}  // namespace

void know_stack(ThreadState& owner) {
    bool placed = false;
    StackBlock* last = nullptr;
    while (!placed) {
        for_each_owner([&](std::atomic<ThreadState*>& place) {
            ThreadState* nobody = nullptr;
            placed = place.compare_exchange_strong(nobody, &owner, std::memory_order_acq_rel);
            return placed;
        });
        if (placed) return;
        for (last = &first_block; last->next.load(std::memory_order_acquire) != nullptr;)
            last = last->next.load(std::memory_order_acquire);
        auto* const more = static_cast<StackBlock*>(map_pages(sizeof(StackBlock)));
        if (more == nullptr) return;
        StackBlock* none = nullptr;
        if (!last->next.compare_exchange_strong(none, more, std::memory_order_acq_rel))
            unmap_pages(more, sizeof(StackBlock));
    }
}

void forget_stack(const ThreadState& owner) {
    for_each_owner([&](std::atomic<ThreadState*>& place) {
        if (place.load(std::memory_order_relaxed) != &owner) return false;
        place.store(nullptr, std::memory_order_release);
        return true;
    });
}

bool is_in_other_stack(const ThreadState& self, uintptr_t address) {
    bool found = false;
    for_each_owner([&](std::atomic<ThreadState*>& place) {
        ThreadState* const owner = place.load(std::memory_order_acquire);
        if (owner == nullptr || owner == &self || !is_in(*owner, address)) return false;
        lower(*owner, address);
        found = true;
        return true;
    });
    return found;
}

void keep_only_stack(ThreadState& survivor) {
    for_each_owner([&](std::atomic<ThreadState*>& place) {
        if (place.load(std::memory_order_relaxed) != &survivor)
            place.store(nullptr, std::memory_order_relaxed);
        return false;
    });
}

void watch_stack_lock(ThreadState& self, lockdep::Lock& lock) {
    const uintptr_t address = address_of(lock);
    for (uint64_t& word : lock.watch) word = 0;
    if (!is_in(self, address)) return;
    const StackFrame frame = frame_around(address, self.stack_low, self.stack_high);
    if (frame.return_address != nullptr) {
        lock.watch[place_word] = reinterpret_cast<uint64_t>(frame.return_address);
        lock.watch[content_word] = *frame.return_address;
        lock.watch[function_word] = frame.function;
    }
    lower(self, address);
}

bool stack_lock_is_same(const lockdep::Lock& lock, uintptr_t site) {
    const auto* const place = reinterpret_cast<const uintptr_t*>(lock.watch[place_word]);
    if (place == nullptr) return true;
    if (*place != lock.watch[content_word]) return false;
    for (size_t i = first_site_word; i < words; ++i)
        if (lock.watch[i] == site) return true;
    return false;
}

bool stack_lock_stays(const ThreadState& self, lockdep::Lock& lock, uintptr_t site) {
    const auto* const place = reinterpret_cast<const uintptr_t*>(lock.watch[place_word]);
    if (place == nullptr) return true;
    if (*place != lock.watch[content_word]) return false;
    const uintptr_t address = address_of(lock);
    const StackFrame frame = frame_around(address, self.stack_low, self.stack_high);
    const bool same_function =
        frame.return_address == nullptr ||
        (frame.return_address == place && frame.function == lock.watch[function_word]);
    // Somebody has it: it is no new one. (In the part of a function that was split off.)
    if (!same_function && *reinterpret_cast<const volatile uint32_t*>(address) == 0) return false;
    for (size_t i = words - 1; i > first_site_word; --i) lock.watch[i] = lock.watch[i - 1];
    lock.watch[first_site_word] = site;
    return true;
}

void forget_left_frames(ThreadState& self, uintptr_t stack_pointer) {
    // On another stack (of a fiber, or for signals) nothing was left.
    if (!is_in(self, stack_pointer)) return;
    const std::atomic_ref<uintptr_t> lowest = lowest_of(self);
    const uintptr_t begin = lowest.load(std::memory_order_relaxed);
    if (stack_pointer <= begin) return;
    // Locks further up may be there still: from here on they are looked for above.
    lowest.store(stack_pointer, std::memory_order_relaxed);
    const auto* const first = reinterpret_cast<const void*>(begin);
    const auto* const last = reinterpret_cast<const void*>(stack_pointer);
    if (!validator().may_have_locks(first, last)) return;
    validator().memory_gone(*self.thread, first, last, false);
}

}  // namespace braidway::lockcheck
