// SPDX-License-Identifier: Apache-2.0
// From what was seen to what is reported, once.
#include "lockdep/mixing.h"
#include "lockdep/validator_state.h"

namespace braidway::lockdep {
namespace {

/// The same for all locks of a class, and for the ends of all threads; for one that is its own
/// class, also when it is made anew.
uint64_t identity(const Lock& lock) {
    if (lock.traits.type == LockType::thread_end) return ClassTable::own_class;
    if ((lock.class_id & ClassTable::own_class) == 0) return lock.class_id;
    return reinterpret_cast<uint64_t>(lock.address.load(std::memory_order_relaxed));
}

/// What kind of finding a ring is, by what is waited for in it.
FindingKind kind_of(const Finding& ring) {
    bool read_twice = ring.ring_length == 1;
    for (const Chain& chain : ring.steps()) {
        if (chain.wants == nullptr) continue;
        if (chain.wants->traits.type == LockType::condition) return FindingKind::held_while_wait;
        if (chain.wants->traits.type == LockType::thread_end) return FindingKind::held_while_join;
        read_twice = read_twice && chain.wants_as != Want::write;
    }
    return read_twice ? FindingKind::recursive_read : FindingKind::order;
}

RingClasses classes_of(const Finding& ring) {
    RingClasses classes;
    classes.kind = ring.kind;
    for (const Chain& chain : ring.steps())
        if (chain.holds != nullptr) classes.add(identity(*chain.holds));
    return classes;
}

}  // namespace

StackId Validator::State::capture_stack() {
    std::array<uintptr_t, StackStore::frames_max> frames;
    const size_t count = world.capture_stack(frames);
    const InternalGuard guard(lock);
    return stacks.add({frames.data(), count});
}

void Validator::State::add_also_held(const Lock* lock, Chain& chain) {
    if (lock == nullptr || lock == chain.holds || lock == chain.wants) return;
    for (const Lock*& each : chain.also_held) {
        if (each == lock) return;
        if (each != nullptr) continue;
        each = lock;
        return;
    }
}

void Validator::State::add_also_held(const Thread& thread, Chain& chain) {
    for (uint32_t at = 0; at < thread.held_count(); ++at)
        if (const HeldLock& held = thread.held(at); held.live())
            add_also_held(held.lock.load(std::memory_order_relaxed), chain);
}

bool Validator::State::describe(const Ring& ring, Finding& finding) {
    finding.ring_length = ring.length;
    for (const Step& step : ring.kept()) {
        finding.chains[finding.chain_count++] = {
            .thread = step.evidence.thread,
            .holds = described(step.evidence.held_lock, step.from),
            .holds_as = step.hold,
            .holds_stack = step.evidence.held_stack,
            .wants = described(step.evidence.wanted_lock, step.to),
            .wants_as = step.want,
            .wants_stack = step.evidence.wanted_stack};
    }
    finding.kind = kind_of(finding);
    for (const Step& step : ring.kept()) {
        if (!step.by_handler) continue;
        finding.kind = FindingKind::signal;
        finding.remark = "a signal handler interrupts who holds one of them";
    }
    if (!is_new(classes_of(finding).key())) return false;
    // Last, as looking for locks by their ids takes long.
    for (size_t at = 0; at < ring.kept().size(); ++at)
        for (const LockId gate : ring.held[at])
            if (gate != 0) add_also_held(locks.described(gate), finding.chains[at]);
    return true;
}

void Validator::State::report_ring(const Finding& finding) {
    if (!world.is_ring(finding)) return;
    remember(finding);
    world.found(finding);
}

void Validator::State::remember(const Finding& ring) {
    const InternalGuard guard(lock);
    rings.add(classes_of(ring));
}

bool Validator::State::is_new(uint64_t key) {
    if (seen.is_new(key)) return true;
    if (seen.is_cut()) full.store(true, std::memory_order_relaxed);
    return false;
}

const Lock* Validator::State::described(LockId id, NodeId node) const {
    const Lock* const known = locks.described(id);
    return known != nullptr ? known : classes.example_of(node);
}

void Validator::State::report_one(FindingKind kind, const Chain& chain, uintptr_t site,
                                  const char* remark, bool note) {
    Finding finding;
    finding.kind = kind;
    finding.note = note;
    finding.remark = remark;
    finding.chain_count = 1;
    finding.chains[0] = chain;
    const uint64_t who = chain.holds != nullptr ? identity(*chain.holds) : 0;
    {
        const InternalGuard guard(lock);
        const uint64_t what = (static_cast<uint64_t>(kind) << 1 | (note ? 1 : 0)) + 1;
        if (!is_new(mixed(mixed(site + 1) + who) + what)) return;
    }
    world.found(finding);
}

}  // namespace braidway::lockdep
