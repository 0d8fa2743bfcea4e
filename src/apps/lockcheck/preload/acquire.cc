// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/acquire.h"

#include <cstddef>

#include "apps/lockcheck/preload/signals.h"

namespace braidway::lockcheck {
namespace {

bool same_traits(const lockdep::LockTraits& left, const lockdep::LockTraits& right) {
    return left.type == right.type && left.recursive == right.recursive &&
           left.fair == right.fair && left.robust == right.robust &&
           left.error_checking == right.error_checking;
}

lockdep::Lock* enlist(ThreadRecord& self, const Object& object, const lockdep::Making& making) {
    lockdep::LockTraits traits = object.traits;
    traits.shared = object.shared_between_processes;
    lockdep::Lock* const lock =
        validator().enlist(*self.thread, object.address, object.bytes, traits, making);
    if (lock != nullptr && making.place == lockdep::Place::stack) watch_stack_lock(self, *lock);
    return lock;
}

}  // namespace

lockdep::Lock* lock_at(ThreadRecord& self, const Object& object, uintptr_t site, uintptr_t frame) {
    self.event_frame = frame;
    forget_left_handlers(self, frame);
    if (frame > self.lowest_stack_lock) forget_left_frames(self, frame);
    lockdep::Lock* const lock = validator().find(object.address);
    if (lock != nullptr && same_traits(lock->traits, object.traits)) {
        if (lock->making.place != lockdep::Place::stack) return lock;
        if (stack_lock_is_same(self, *lock, site) || stack_lock_stays(self, *lock, site)) {
            stack_lock_is_used(self, *lock);
            return lock;
        }
        // Its frame was left; what is there now is the next one's.
        const auto* const begin = static_cast<const std::byte*>(object.address);
        validator().memory_gone(*self.thread, begin, begin + 1, true);
    }
    return enlist(self, object, making_of(self, object.address, object.bytes, false));
}

void initialised(ThreadRecord& self, const Object& object, const char* name, uint64_t class_key) {
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    in_validator(self, [&] {
        self.event_frame = frame;
        lockdep::Making making = making_of(self, object.address, object.bytes, true);
        if (name != nullptr) making.name = name;
        if (class_key != 0) making.class_key = class_key;
        enlist(self, object, making);
    });
}

void destroyed(ThreadRecord& self, const void* address) {
    if (validator().find(address) == nullptr) return;
    in_validator(self, [&] { validator().destroyed(*self.thread, address); });
}

bool holds(const ThreadRecord& self, const void* address) {
    for (uint32_t i = self.thread->held_count(); i > 0; --i) {
        const lockdep::Lock* const lock =
            self.thread->held(i - 1).lock.load(std::memory_order_relaxed);
        if (lock->address.load(std::memory_order_relaxed) == address) return true;
    }
    return false;
}

[[gnu::noinline]] void wants_slowly(ThreadRecord& self, const Object& object,
                                    lockdep::Access access, uintptr_t site, uintptr_t place,
                                    uintptr_t frame, lockdep::Pending& pending) {
    pending.lock = nullptr;
    in_validator(self, [&] {
        lockdep::Lock* const lock = lock_at(self, object, site, frame);
        if (lock != nullptr) validator().wants(*self.thread, *lock, access, place, pending);
    });
}

[[gnu::noinline]] void released_slowly(ThreadRecord& self, const Object& object, uintptr_t site) {
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    in_validator(self, [&] {
        self.event_frame = frame;
        if (!holds(self, object.address)) {
            // Somebody whom nobody sees here may have taken it; and what found no room in the
            // tables was taken unseen.
            if (object.shared_between_processes || validator().full()) return;
            if (validator().find(object.address) == nullptr)
                enlist(self, object, making_of(self, object.address, object.bytes, false));
        }
        validator().released(*self.thread, object.address, site);
    });
}

}  // namespace braidway::lockcheck
