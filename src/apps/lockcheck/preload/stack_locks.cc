// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stack_locks.h"

#include <pthread.h>
#include <unwind.h>

#include <atomic>
#include <cstddef>

#include "apps/lockcheck/preload/frames.h"
#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/stack_watch.h"
#include "apps/lockcheck/preload/static_objects.h"
#include "base/limits.h"

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

uintptr_t address_of(const lockdep::Lock& lock) {
    return reinterpret_cast<uintptr_t>(lock.address.load(std::memory_order_relaxed));
}

bool is_in(const ThreadState& owner, uintptr_t address) {
    return address - owner.stack_low < owner.stack_high - owner.stack_low;
}

ThreadState* other_owner_of(const ThreadState& self, uintptr_t address) {
    ThreadState* found = nullptr;
    for_each_owner([&](std::atomic<ThreadState*>& place) {
        ThreadState* const owner = place.load(std::memory_order_acquire);
        if (owner == nullptr || owner == &self || !is_in(*owner, address)) return false;
        found = owner;
        return true;
    });
    return found;
}

/// Could the word be a return address?
bool is_code(uintptr_t word) {
    return _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(word)) != nullptr;
}

bool may_be_in_fiber(const ThreadState& self, uintptr_t address) {
    return !is_in(self, self.event_frame) &&
           address - self.event_frame < limits::lockcheck_fiber_bytes_max;
}

/// The frame of this thread's, on its stack or a fiber's, that has `address` in it.
StackFrame own_frame(const ThreadState& self, uintptr_t address) {
    if (is_in(self, address)) return frame_around(address, self.stack_low, self.stack_high);
    if (!may_be_in_fiber(self, address)) return {};
    uintptr_t end = self.event_frame + limits::lockcheck_fiber_bytes_max;
    // Where the frames of in_validator() are.
    const auto own_end = reinterpret_cast<uintptr_t>(self.own_stack);
    if (own_end > self.event_frame && own_end - own_stack_bytes < end)
        end = own_end - own_stack_bytes;
    return frame_around(address, self.event_frame, end);
}

/// The word of a lock that the C library reads and writes for robust mutexes only (the list of what
/// a thread holds), and for rwlocks never; nullptr: the lock has none.
///
/// Source: glibc 2.36, struct_mutex.h and struct_rwlock.h; static initialisers, which are a part of
/// its ABI, clear the whole object.
uintptr_t* spare_word(const lockdep::Lock& lock) {
    const lockdep::LockTraits& traits = lock.traits;
    const uintptr_t address = address_of(lock);
    if (traits.shared || traits.robust || address % sizeof(uintptr_t) != 0) return nullptr;
    if (traits.type == lockdep::LockType::mutex && lock.bytes == sizeof(pthread_mutex_t))
        return reinterpret_cast<uintptr_t*>(address + offsetof(pthread_mutex_t, __data.__list) +
                                            offsetof(__pthread_list_t, __next));
    if (traits.type == lockdep::LockType::rwlock && lock.bytes == sizeof(pthread_rwlock_t))
        return reinterpret_cast<uintptr_t*>(address + offsetof(pthread_rwlock_t, __data.__pad2));
    return nullptr;
}

/// Marks the lock, so that it is seen when another one is made in its place: in the next turn of a
/// loop, or by the next block of the same function, no frame is left.
///
/// The lock is about to be used or was initialised just now: it is there.
void remember_mark(StackWatch& watch, const lockdep::Lock& lock) {
    constexpr uintptr_t tag = uintptr_t{0x6c6f636b} << 32;
    uintptr_t* const word = spare_word(lock);
    if (word == nullptr) return;
    const std::atomic_ref<uintptr_t> mark(*word);
    const uintptr_t former = mark.load(std::memory_order_relaxed);
    // What others put there is theirs.
    if (former != 0 && (former >> 32 << 32) != tag) return;
    mark.store(tag | lock.id.load(std::memory_order_relaxed), std::memory_order_relaxed);
    watch.mark.remember(word);
}

/// Is it the object that was marked?
bool mark_is_same(const StackWatch& watch) {
    return !watch.mark.is_known() || watch.mark.is_same();
}

void remember_frame(StackWatch& watch, const StackFrame& frame) {
    if (frame.return_address == nullptr) return;
    watch.function.store(frame.function, std::memory_order_relaxed);
    watch.frame.remember(frame.return_address);
}

/// Another thread's stack cannot be unwound from here. What looks like return addresses above the
/// lock tells later whether the frame is still the same.
void remember_signs(StackWatch& watch, uintptr_t address, uintptr_t stack_high) {
    const uintptr_t begin = (address + sizeof(uintptr_t)) & ~(sizeof(uintptr_t) - 1);
    const uintptr_t end = stack_high - address < limits::lockcheck_stack_signs_bytes
                              ? stack_high
                              : address + limits::lockcheck_stack_signs_bytes;
    size_t count = 0;
    uintptr_t at = begin;
    for (; at + sizeof(uintptr_t) <= end && count < StackWatch::signs_max; at += sizeof at) {
        const auto* const word = reinterpret_cast<const uintptr_t*>(at);
        if (is_code(*static_cast<const volatile uintptr_t*>(word)))
            watch.signs[count++].remember(word);
    }
    watch.signs_bytes.store(static_cast<uint32_t>(at - address), std::memory_order_relaxed);
}

bool signs_are_same(const StackWatch& watch) {
    for (const StackWord& sign : watch.signs)
        if (sign.is_known() && !sign.is_same()) return false;
    return true;
}

/// A sign may have been a local variable: a return address it is now for sure only if it changed
/// into another. Those that did not are signs no more.
bool signs_stay(StackWatch& watch) {
    for (StackWord& sign : watch.signs) {
        if (!sign.is_known() || sign.is_same()) continue;
        if (is_code(*sign.place.load(std::memory_order_relaxed))) return false;
        sign.forget();
    }
    return true;
}

/// Do the signs say that this frame came after them?
bool signs_deny(const StackWatch& watch, uintptr_t address, const StackFrame& frame) {
    const auto place = reinterpret_cast<uintptr_t>(frame.return_address);
    if (place - address >= watch.signs_bytes.load(std::memory_order_relaxed)) return false;
    for (const StackWord& sign : watch.signs)
        if (sign.place.load(std::memory_order_relaxed) == frame.return_address)
            return !sign.is_same();
    // Code that was made at run time looks like none.
    return is_code(*frame.return_address);
}

void forget_one(ThreadState& self, uintptr_t address) {
    const auto* const begin = reinterpret_cast<const void*>(address);
    const auto* const end = reinterpret_cast<const void*>(address + 1);
    validator().memory_gone(*self.thread, begin, end, true);
}

/// Is the lock still in the frame that is known of it?
bool is_in_known_frame(const StackWatch& watch, uintptr_t address, const StackFrame& frame) {
    if (!watch.frame.is_same()) return false;
    if (frame.return_address == nullptr) return true;
    if (frame.return_address == watch.frame.place.load(std::memory_order_relaxed) &&
        frame.function == watch.function.load(std::memory_order_relaxed)) {
        return true;
    }
    // Somebody has it: it is no new one. (In the part of a function that was split off.)
    return *reinterpret_cast<const volatile uint32_t*>(address) != 0;
}

/// Finds the frames of locks that others saw first, and whether those that are known are left.
void look_at_lent(ThreadState& self, uintptr_t stack_pointer) {
    StackWatches::for_each_lent(self, [&](StackWatch& watch, lockdep::Lock& lock) {
        const uintptr_t address = address_of(lock);
        if (!is_in(self, address) || address < stack_pointer) return;
        const StackFrame frame = frame_around(address, self.stack_low, self.stack_high);
        const bool is_known = watch.frame.is_known();
        if (is_known ? !is_in_known_frame(watch, address, frame)
                     : frame.return_address != nullptr && signs_deny(watch, address, frame)) {
            forget_one(self, address);
            ++self.lent_left;
        } else if (!is_known && frame.return_address != nullptr) {
            remember_frame(watch, frame);
            const auto end = reinterpret_cast<uintptr_t>(frame.return_address + 1);
            validator().frame_found(lock, frame.function, end - address,
                                    may_know_types(frame.function));
        }
    });
}

/// The lock is known to be used by another thread than its stack's.
void lend(StackWatch& watch, ThreadState& owner) {
    watch.is_lent.store(true, std::memory_order_release);
    // In this order, so that the owner, who goes the other way, misses nothing.
    std::atomic_ref<uint32_t>(owner.lends).store(2);
    lowest_of(owner).store(0);
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

PlaceInFrame place_in_frame(const ThreadState& self, uintptr_t address) {
    const StackFrame frame = own_frame(self, address);
    if (frame.return_address == nullptr) return {};
    const auto end = reinterpret_cast<uintptr_t>(frame.return_address + 1);
    return {.function = frame.function, .bytes_below = end - address};
}

bool is_in_own_frame(const ThreadState& self, uintptr_t address) {
    return is_in(self, address) || own_frame(self, address).return_address != nullptr;
}

bool is_in_other_stack(const ThreadState& self, uintptr_t address) {
    ThreadState* const owner = other_owner_of(self, address);
    if (owner == nullptr) return false;
    lower(*owner, address);
    return true;
}

void forget_former_stack(ThreadState& self) {
    const auto* const low = reinterpret_cast<const void*>(self.stack_low);
    const auto* const high = reinterpret_cast<const void*>(self.stack_high);
    if (low < high && validator().may_have_locks(low, high))
        validator().memory_gone(*self.thread, low, high, true);
}

void keep_only_stack(ThreadState& survivor) {
    StackWatches::forget_holder();
    for_each_owner([&](std::atomic<ThreadState*>& place) {
        if (place.load(std::memory_order_relaxed) != &survivor)
            place.store(nullptr, std::memory_order_relaxed);
        return false;
    });
}

void watch_stack_lock(ThreadState& self, lockdep::Lock& lock) {
    const uintptr_t address = address_of(lock);
    StackWatch* const watch = StackWatches::make(lock);
    if (is_in(self, address)) lower(self, address);
    if (watch == nullptr) return;
    remember_mark(*watch, lock);
    if (is_in(self, address)) watch->owner.store(&self, std::memory_order_relaxed);
    const StackFrame frame = own_frame(self, address);
    if (frame.return_address != nullptr) return remember_frame(*watch, frame);
    ThreadState* const owner = other_owner_of(self, address);
    if (owner == nullptr) return;
    remember_signs(*watch, address, owner->stack_high);
    watch->owner.store(owner, std::memory_order_relaxed);
    lend(*watch, *owner);
}

void stack_lock_is_used(ThreadState& self, const lockdep::Lock& lock) {
    StackWatch* const watch = StackWatches::of(lock);
    if (watch == nullptr || watch->is_lent.load(std::memory_order_relaxed)) return;
    ThreadState* const owner = watch->owner.load(std::memory_order_relaxed);
    if (owner != nullptr && owner != &self) lend(*watch, *owner);
}

bool stack_lock_is_same(const ThreadState& self, const lockdep::Lock& lock, uintptr_t site) {
    const StackWatch* const watch = StackWatches::of(lock);
    if (watch == nullptr || !mark_is_same(*watch)) return false;
    if (!watch->frame.is_known()) return signs_are_same(*watch);
    if (!watch->frame.is_same()) return false;
    if (!is_in(self, address_of(lock)) && !may_be_in_fiber(self, address_of(lock))) return true;
    for (const std::atomic<uintptr_t>& known : watch->sites)
        if (known.load(std::memory_order_relaxed) == site) return true;
    return false;
}

bool stack_lock_stays(ThreadState& self, lockdep::Lock& lock, uintptr_t site) {
    StackWatch* const watch = StackWatches::of(lock);
    if (watch == nullptr) return watch_stack_lock(self, lock), true;
    if (!mark_is_same(*watch)) return false;
    if (!watch->frame.is_known()) return signs_stay(*watch);
    const uintptr_t address = address_of(lock);
    if (!is_in_known_frame(*watch, address, own_frame(self, address))) return false;
    for (size_t i = watch->sites.size() - 1; i > 0; --i)
        watch->sites[i].store(watch->sites[i - 1].load(std::memory_order_relaxed),
                              std::memory_order_relaxed);
    watch->sites[0].store(site, std::memory_order_relaxed);
    return true;
}

void forget_left_frames(ThreadState& self, uintptr_t stack_pointer) {
    // On another stack (of a fiber, or for signals) nothing was left.
    if (!is_in(self, stack_pointer)) return;
    const std::atomic_ref<uintptr_t> lowest = lowest_of(self);
    uintptr_t begin = lowest.load(std::memory_order_relaxed);
    if (stack_pointer <= begin) return;
    // Locks further up may be there still: from here on they are looked for above.
    lowest.store(stack_pointer);
    uint32_t lends_anew = 2;
    std::atomic_ref<uint32_t>(self.lends).compare_exchange_strong(lends_anew, 1);
    if (begin < self.stack_low) begin = self.stack_low;
    const auto* const first = reinterpret_cast<const void*>(begin);
    const auto* const last = reinterpret_cast<const void*>(stack_pointer);
    if (validator().may_have_locks(first, last)) {
        // A fiber's stack may be a part of a frame here, with frames below that are not left.
        const bool sure = self.first_frame == 0 || stack_reaches(self.first_frame, self.stack_high);
        validator().memory_gone(*self.thread, first, last, !sure);
    }
    if (lends_anew == 2) look_at_lent(self, stack_pointer);
}

void look_at_frames(ThreadState& self, uintptr_t stack_pointer) {
    forget_left_frames(self, stack_pointer);
    if (std::atomic_ref<uint32_t>(self.lends).load(std::memory_order_relaxed) == 0) return;
    if (is_in(self, stack_pointer)) look_at_lent(self, stack_pointer);
}

}  // namespace braidway::lockcheck
