// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stack_watch.h"

#include <new>

#include "apps/lockcheck/preload/raw_calls.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constinit OwnLock watches_lock;
constinit std::atomic<StackWatch*> watches = nullptr;
constinit std::atomic<size_t> used_count = 0;
constinit size_t hand = 0;

bool is_free(const StackWatch& watch) {
    const lockdep::Lock* const lock = watch.lock.load(std::memory_order_relaxed);
    return lock == nullptr || StackWatches::of(*lock) != &watch;
}

/// One whose lock is gone, a fresh one, or the one whose turn it is.
StackWatch* take() {
    StackWatch* all = watches.load(std::memory_order_relaxed);
    if (all == nullptr) {
        all = static_cast<StackWatch*>(map_pages(StackWatches::watches_max * sizeof(StackWatch)));
        if (all == nullptr) return nullptr;
        watches.store(all, std::memory_order_release);
    }
    const size_t used = used_count.load(std::memory_order_relaxed);
    for (size_t look = 0; look < limits::lockcheck_stack_watch_looks_max && look < used; ++look) {
        hand = (hand + 1) % used;
        if (is_free(all[hand])) return &all[hand];
    }
    if (used == StackWatches::watches_max) return &all[hand];
    StackWatch* const fresh = ::new (all + used) StackWatch;
    used_count.store(used + 1, std::memory_order_release);
    return fresh;
}

void empty(StackWatch& watch) {
    watch.id.store(0, std::memory_order_release);
    watch.owner.store(nullptr, std::memory_order_relaxed);
    watch.is_lent.store(false, std::memory_order_relaxed);
    watch.signs_bytes.store(0, std::memory_order_relaxed);
    watch.frame.forget();
    watch.mark.forget();
    watch.function.store(0, std::memory_order_relaxed);
    for (std::atomic<uintptr_t>& site : watch.sites) site.store(0, std::memory_order_relaxed);
    for (StackWord& sign : watch.signs) sign.forget();
}

}  // namespace

StackWatch* StackWatches::make(lockdep::Lock& lock) {
    StackWatch* watch = of(lock);
    const OwnGuard guard(watches_lock);
    if (watch == nullptr) watch = take();
    if (watch == nullptr) return nullptr;
    empty(*watch);
    watch->lock.store(&lock, std::memory_order_relaxed);
    watch->id.store(lock.id.load(std::memory_order_relaxed), std::memory_order_release);
    lock.kept.store(watch, std::memory_order_relaxed);
    return watch;
}

void StackWatches::forget_holder() {
    watches_lock.forget_holder();
}

size_t StackWatches::used() {
    return watches.load(std::memory_order_acquire) == nullptr
               ? 0
               : used_count.load(std::memory_order_acquire);
}

StackWatch& StackWatches::at(size_t index) {
    return watches.load(std::memory_order_relaxed)[index];
}

}  // namespace braidway::lockcheck
