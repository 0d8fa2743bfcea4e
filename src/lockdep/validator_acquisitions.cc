// SPDX-License-Identifier: Apache-2.0
// Taking locks and giving them back.
#include "base/limits.h"
#include "lockdep/mixing.h"
#include "lockdep/validator_state.h"

namespace braidway::lockdep {
namespace {

/// What a thread holds when it wants a lock.
struct Holding {
    uint64_t classes = 0;             ///< The same for the same classes, held the same way.
    uint64_t instances = 0;           ///< The same for the same locks, held the same way.
    uint32_t others = 0;              ///< Locks held besides the wanted one.
    bool same_class = false;          ///< One of them is of the wanted one's class.
    const HeldLock* again = nullptr;  ///< The wanted lock, if it is held: exclusively, if so.
};

Holding holding_of(const Thread& thread, const Lock& wanted) {
    Holding holding;
    const uint32_t count = thread.held_count();
    for (uint32_t at = 0; at < count; ++at) {
        const HeldLock& held = thread.held(at);
        if (!held.live()) continue;
        const Lock& lock = *held.lock.load(std::memory_order_relaxed);
        const Hold hold = held.access.load(std::memory_order_relaxed).hold;
        const uint64_t how = static_cast<uint64_t>(hold) << 32;
        holding.classes += mixed(lock.class_id + 1 + how);
        holding.instances += mixed(held.id.load(std::memory_order_relaxed) + how + (how << 1));
        if (&lock != &wanted) {
            ++holding.others;
            holding.same_class = holding.same_class || lock.class_id == wanted.class_id;
        } else if (holding.again == nullptr || hold == Hold::exclusive) {
            holding.again = &held;
        }
    }
    return holding;
}

/// What it means to want a lock that one holds.
enum class Again : uint8_t {
    none,          ///< It is not held.
    harmless,      ///< It is counted, or refused at once, or granted because it is held.
    relock,        ///< The thread waits for itself.
    reads_fairly,  ///< It waits for itself if a writer comes between.
};

Again judge_again(const Lock& lock, const HeldLock& held, Access access) {
    if (access.patience == Patience::bounded || lock.traits.recursive) return Again::harmless;
    const bool reads = lock.traits.type == LockType::rwlock && access.hold == Hold::shared &&
                       held.access.load(std::memory_order_relaxed).hold == Hold::shared;
    if (!reads) return Again::relock;
    return lock.traits.fair ? Again::reads_fairly : Again::harmless;
}

/// The keys of a chain in the chain set.
struct ChainKeys {
    uint64_t base = 0;    ///< By classes.
    uint64_t chain = 0;   ///< By what it depends on besides; may be `base`.
    bool capped = false;  ///< Only so many variants of `base` are told apart.
};

/// Steps between classes are the same for all their locks. Steps within a class depend on the
/// locks; and where gates can matter, some variants of what is held are told apart.
ChainKeys keys_of(const Lock& wanted, Access access, uintptr_t site, const Holding& holding) {
    const uint64_t how = static_cast<uint64_t>(access.hold) << 1 |
                         static_cast<uint64_t>(access.patience) |
                         (holding.again != nullptr ? 4 : 0);
    ChainKeys keys;
    keys.base = mixed(mixed(holding.classes + wanted.class_id) + (uint64_t{site} << 3 | how)) | 1;
    keys.chain = keys.base;
    if (access.patience == Patience::bounded) return keys;
    if (holding.same_class) {
        keys.chain = mixed(keys.base + mixed(holding.instances) +
                           wanted.id.load(std::memory_order_relaxed)) |
                     1;
    } else if (holding.others >= 2 || (holding.others == 1 && wanted.traits.fair)) {
        keys.chain = mixed(keys.base + mixed(holding.instances)) | 1;
        keys.capped = true;
    }
    return keys;
}

ChainSet::Known find_chain(const ChainSet& chains, const ChainKeys& keys) {
    const ChainSet::Known known = chains.find(keys.chain);
    if (known.known || !keys.capped || chains.variants(keys.base) < ChainSet::variants_max)
        return known;
    return chains.find(keys.base);
}

}  // namespace

void Validator::wants(Thread& thread, Lock& lock, Access access, uintptr_t site, Pending& pending) {
    pending.lock = &lock;
    pending.id = lock.id.load(std::memory_order_acquire);
    pending.access = access;
    pending.site = site;
    pending.key = Thread::key_with(thread.key_, pending.id, access, site);
    const bool grow = ++thread.misses_ == limits::lockdep_cache_misses_max;
    const bool crowded = thread.held_count_.load(std::memory_order_relaxed) >= thread.held_room_;
    if (grow || crowded) [[unlikely]]
        state_->grow(thread, grow, crowded, pending);

    const Holding holding = holding_of(thread, lock);
    const ChainKeys keys = keys_of(lock, access, site, holding);
    const ChainSet::Known known = find_chain(state_->chains, keys);
    pending.stack = known.stack;
    if (!known.known) {
        pending.stack = state_->capture_stack();
        {
            const InternalGuard guard(state_->lock);
            state_->chains.add(keys.chain, keys.base, pending.stack);
        }
        if (access.patience == Patience::endless)
            state_->validate(thread, lock, access, site, pending.stack, holding.again);
    }
    if (thread.handler_depth_ != 0 || state_->signals_handled.load(std::memory_order_relaxed) != 0)
        [[unlikely]]
        state_->note_signals(thread, lock, access, pending.stack);
    if (access.patience == Patience::endless)
        thread.taken_.note(
            {.lock = &lock,
             .id = pending.id,
             .hold = access.hold,
             .stack = pending.stack,
             .threads_before = state_->threads_made.load(std::memory_order_relaxed)});
    Thread::CachedLock& cached =
        thread.locks_[thread.lock_index(lock.address.load(std::memory_order_relaxed))];
    cached = {lock.address.load(std::memory_order_relaxed), &lock, pending.id};
    thread.chains_[pending.key & thread.chain_mask_] = {pending.key, pending.stack};
}

void Validator::State::grow(Thread& thread, bool caches, bool held, Pending& pending) {
    const InternalGuard guard(lock);
    if (caches) grow_caches(thread);
    if (held && !grow_held(thread)) {
        full.store(true, std::memory_order_relaxed);
        thread.lost_locks_ = true;
        pending.lock = nullptr;
    }
}

bool Validator::State::interrupted_holder(const Thread& thread, const HeldLock& held) {
    if (thread.handler_depth_ == 0 || thread.handler_depth_ > Thread::handlers_max) return false;
    return &held < &thread.held(0) + thread.handlers_[thread.handler_depth_ - 1].held_count;
}

void Validator::State::validate(const Thread& thread, Lock& wanted, Access access, uintptr_t site,
                                StackId stack, const HeldLock* again) {
    const Again means = again == nullptr ? Again::none : judge_again(wanted, *again, access);
    if (means == Again::harmless) return;
    if (means == Again::relock) {
        const Hold hold = again->access.load(std::memory_order_relaxed).hold;
        const bool refused = wanted.traits.error_checking;  // Nothing blocks, so it is a note.
        Chain chain{.thread = thread.number(),
                    .holds = &wanted,
                    .holds_as = hold,
                    .holds_stack = again->stack.load(std::memory_order_relaxed),
                    .wants = &wanted,
                    .wants_as = want_of(wanted, access.hold),
                    .wants_stack = stack};
        add_also_held(thread, chain);
        report_one(interrupted_holder(thread, *again) ? FindingKind::signal : FindingKind::relock,
                   chain, site, refused ? "it is refused, and nobody waits" : nullptr, refused);
        return;
    }
    if (means == Again::reads_fairly) add_second_read(thread, wanted, *again, site, stack);
    add_steps(thread, wanted, access, stack);
    if (access.hold != Hold::exclusive || !wanted.traits.fair) return;
    add_writer(thread, wanted, stack);
    report_signal_conflict(wanted);
}

bool Validator::released(Thread& thread, const void* address, uintptr_t site) {
    const uint32_t count = thread.held_count();
    HeldLock* const all = thread.held_.load(std::memory_order_relaxed);
    for (uint32_t at = count; at > 0; --at) {
        const Lock* const lock = all[at - 1].lock.load(std::memory_order_relaxed);
        if (lock->address.load(std::memory_order_relaxed) != address) continue;
        state_->take_out(thread, at - 1);
        return true;
    }
    Lock* const lock = state_->locks.find(address);
    if (lock == nullptr || thread.lost_locks_) return false;
    const State::Holder holder = state_->holder_of(*lock);
    state_->report_one(
        FindingKind::unlock_unheld,
        {.thread = thread.number(), .holds = lock, .holds_stack = state_->capture_stack()}, site,
        holder.thread == nullptr ? "nobody holds it" : "another thread holds it");
    const bool taken_away =
        holder.thread != nullptr &&
        holder.held->access.load(std::memory_order_relaxed).hold == Hold::exclusive;
    const InternalGuard guard(state_->lock);
    lock->left_by.store(0, std::memory_order_relaxed);
    // Its holder does not have it any more and may not know.
    if (taken_away && lock->id.load(std::memory_order_relaxed) != 0) state_->locks.renew_id(*lock);
    return false;
}

void Validator::State::take_out(Thread& thread, uint32_t index) {
    const uint32_t count = thread.held_count_.load(std::memory_order_relaxed);
    HeldLock* const all = thread.held_.load(std::memory_order_relaxed);
    uint64_t key = all[index].key_before;
    for (uint32_t at = index; at + 1 < count; ++at) {
        HeldLock& held = all[at];
        const HeldLock& above = all[at + 1];
        const LockId id = above.id.load(std::memory_order_relaxed);
        const Access access = above.access.load(std::memory_order_relaxed);
        held.lock.store(above.lock.load(std::memory_order_relaxed), std::memory_order_relaxed);
        held.id.store(id, std::memory_order_relaxed);
        held.access.store(access, std::memory_order_relaxed);
        held.stack.store(above.stack.load(std::memory_order_relaxed), std::memory_order_relaxed);
        held.site = above.site;
        held.key_before = key;
        key = Thread::key_with(key, id, access, held.site);
    }
    thread.key_ = key;
    thread.held_count_.store(count - 1, std::memory_order_release);
}

void Validator::retaken(Thread& thread, Lock& mutex, Access access, uintptr_t site) {
    Pending pending;
    if (!thread.wants_known(mutex.address.load(std::memory_order_relaxed), access, site, pending))
        wants(thread, mutex, access, site, pending);
    thread.acquired(pending);
}

void Validator::converted(Thread& thread, const void* address, Hold to) {
    const uint32_t count = thread.held_count();
    HeldLock* const all = thread.held_.load(std::memory_order_relaxed);
    uint64_t key = 0;
    bool found = false;
    for (uint32_t at = 0; at < count; ++at) {
        HeldLock& held = all[at];
        Access access = held.access.load(std::memory_order_relaxed);
        if (found) {
            held.key_before = key;
        } else if (held.lock.load(std::memory_order_relaxed)
                       ->address.load(std::memory_order_relaxed) == address) {
            found = true;
            access.hold = to;
            held.access.store(access, std::memory_order_relaxed);
        } else {
            continue;
        }
        key = Thread::key_with(held.key_before, held.id.load(std::memory_order_relaxed), access,
                               held.site);
    }
    if (found) thread.key_ = key;
}

}  // namespace braidway::lockdep
