// SPDX-License-Identifier: Apache-2.0
// Threads: their making, their end, and what they hold as others see it.
#include <cstring>
#include <new>

#include "lockdep/validator_state.h"

namespace braidway::lockdep {

Thread* Validator::thread_started(ThreadNumber maker) {
    if (state_ == nullptr) return nullptr;
    const InternalGuard guard(state_->lock);
    Thread* const thread = state_->new_thread();
    if (thread == nullptr) return nullptr;
    const Thread* other = state_->threads.load(std::memory_order_relaxed);
    while (other != nullptr && (other == thread || other->number() != maker)) other = other->next_;
    thread->ancestors_ = {maker};
    for (size_t at = 1; other != nullptr && at < thread->ancestors_.size(); ++at)
        thread->ancestors_[at] = other->ancestors_[at - 1];
    return thread;
}

void Validator::thread_ended(Thread& thread, bool process_exits) {
    const bool quiet = process_exits || state_->exiting.load(std::memory_order_relaxed);
    for (uint32_t at = 0; at < thread.held_count() && !quiet; ++at) {
        const HeldLock& held = thread.held(at);
        Lock& lock = *held.lock.load(std::memory_order_relaxed);
        if (!held.live() || lock.traits.robust) continue;
        lock.left_by.store(thread.number(), std::memory_order_relaxed);
        state_->report_one(FindingKind::exit_held,
                           {.thread = thread.number(),
                            .holds = &lock,
                            .holds_as = held.access.load(std::memory_order_relaxed).hold,
                            .holds_stack = held.stack.load(std::memory_order_relaxed)},
                           held.site);
    }
    state_->ending_counts(thread);
    const InternalGuard guard(state_->lock);
    state_->keep_taken(thread);
    state_->retire(thread);
}

void Validator::State::retire(Thread& thread) {
    thread.held_count_.store(0, std::memory_order_release);
    thread.blocked_.lock.store(nullptr, std::memory_order_relaxed);
    thread.blocked_.joined.store(0, std::memory_order_relaxed);
    thread.alive_.store(false, std::memory_order_release);
    thread.next_idle_ = idle_threads;
    idle_threads = &thread;
}

void Validator::fork_begins() {
    if (state_ != nullptr) state_->lock.lock();
}

void Validator::forked_in_parent() {
    if (state_ != nullptr) state_->lock.unlock();
}

void Validator::forked_in_child(Thread& survivor) {
    Thread* thread = state_->threads.load(std::memory_order_relaxed);
    for (; thread != nullptr; thread = thread->next_)
        if (thread != &survivor && thread->alive_.load(std::memory_order_relaxed))
            state_->lose(*thread);
    state_->lock.unlock();
}

void Validator::State::lose(Thread& thread) {
    bool holds_here = false;
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        holds_here = holds_here ||
                     (held.live() && !held.lock.load(std::memory_order_relaxed)->traits.shared);
    }
    if (!holds_here) {
        retire(thread);
        return;
    }
    // Not used again, so that what it holds stays to be seen.
    thread.blocked_.lock.store(nullptr, std::memory_order_relaxed);
    thread.blocked_.condition.store(nullptr, std::memory_order_relaxed);
    thread.blocked_.joined.store(0, std::memory_order_relaxed);
    thread.lost_.store(true, std::memory_order_relaxed);
    thread.alive_.store(false, std::memory_order_release);
}

Thread* Validator::State::new_thread() {
    Thread* thread = idle_threads;
    if (thread != nullptr) {
        idle_threads = thread->next_idle_;
    } else {
        void* const memory = arena.allocate(sizeof(Thread));
        if (memory == nullptr) {
            full.store(true, std::memory_order_relaxed);
            return nullptr;
        }
        thread = ::new (memory) Thread;
        thread->held_.store(thread->small_held_, std::memory_order_relaxed);
        thread->held_room_ = Thread::held_min;
        thread->next_ = threads.load(std::memory_order_relaxed);
    }
    thread->key_ = 0;
    thread->misses_ = 0;
    thread->lost_locks_ = false;
    thread->handler_depth_ = 0;
    thread->signals_blocked_ = 0;
    thread->ending_ = {};
    thread->taken_.clear();
    thread->notified_ = {};
    thread->locks_ = thread->small_locks_;
    thread->chains_ = thread->small_chains_;
    thread->lock_mask_ = Thread::locks_cached_min - 1;
    thread->chain_mask_ = Thread::chains_cached_min - 1;
    std::memset(thread->small_locks_, 0, sizeof(thread->small_locks_));
    std::memset(thread->small_chains_, 0, sizeof(thread->small_chains_));
    thread->forget_chains();
    const uint32_t number = threads_made.load(std::memory_order_relaxed) + 1;
    thread->number_.store(number, std::memory_order_relaxed);
    threads_made.store(number, std::memory_order_release);
    thread->alive_.store(true, std::memory_order_release);
    if (!thread->listed_) {
        thread->listed_ = true;
        threads.store(thread, std::memory_order_release);
    }
    return thread;
}

bool Validator::State::grow_held(Thread& thread) {
    const uint32_t room = thread.held_room_ * 2;
    auto* const grown = arena.allocate_array<HeldLock>(room);
    if (grown == nullptr) return false;
    const HeldLock* const old = thread.held_.load(std::memory_order_relaxed);
    for (uint32_t at = 0; at < thread.held_room_; ++at) {
        ::new (&grown[at]) HeldLock;
        grown[at].lock.store(old[at].lock.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
        grown[at].id.store(old[at].id.load(std::memory_order_relaxed), std::memory_order_relaxed);
        grown[at].access.store(old[at].access.load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
        grown[at].stack.store(old[at].stack.load(std::memory_order_relaxed),
                              std::memory_order_relaxed);
        grown[at].key_before = old[at].key_before;
        grown[at].site = old[at].site;
    }
    // The old array stays: another thread may be reading it.
    thread.held_.store(grown, std::memory_order_release);
    thread.held_room_ = room;
    return true;
}

void Validator::State::grow_caches(Thread& thread) {
    if (thread.large_locks_ == nullptr) {
        thread.large_locks_ = arena.allocate_array<Thread::CachedLock>(Thread::locks_cached_max);
        thread.large_chains_ = arena.allocate_array<Thread::KnownChain>(Thread::chains_cached_max);
    }
    if (thread.large_locks_ == nullptr || thread.large_chains_ == nullptr) return;
    std::memset(thread.large_locks_, 0, Thread::locks_cached_max * sizeof(Thread::CachedLock));
    std::memset(thread.large_chains_, 0, Thread::chains_cached_max * sizeof(Thread::KnownChain));
    thread.locks_ = thread.large_locks_;
    thread.chains_ = thread.large_chains_;
    thread.lock_mask_ = Thread::locks_cached_max - 1;
    thread.chain_mask_ = Thread::chains_cached_max - 1;
}

Validator::State::Holder Validator::State::holder_of(const Lock& wanted) const {
    const Thread* thread = threads.load(std::memory_order_acquire);
    for (; thread != nullptr; thread = thread->next_) {
        if (!thread->alive_.load(std::memory_order_acquire)) continue;
        const uint32_t count = thread->held_count();
        for (uint32_t at = 0; at < count; ++at) {
            const HeldLock& held = thread->held(at);
            if (held.lock.load(std::memory_order_relaxed) == &wanted && held.live())
                return {thread, &held};
        }
    }
    return {};
}

}  // namespace braidway::lockdep
