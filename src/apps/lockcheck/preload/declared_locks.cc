// SPDX-License-Identifier: Apache-2.0
// include/braidway/lockcheck.h: locks that programs declare themselves.
#include <cstring>

#include <braidway/lockcheck.h>
#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/real.h"

namespace braidway::lockcheck {
namespace {

/// Kinds come from the program; what was not initialised is a mutex.
Object describe(const void* lock, size_t bytes, int kind) {
    Object object;
    object.address = lock;
    object.bytes = static_cast<uint32_t>(bytes);
    object.traits.recursive = kind == LOCKCHECK_RECURSIVE_MUTEX;
    object.traits.fair = kind == LOCKCHECK_FAIR_RWLOCK;
    if (kind == LOCKCHECK_FAIR_RWLOCK || kind == LOCKCHECK_READER_FIRST_RWLOCK)
        object.traits.type = lockdep::LockType::rwlock;
    return object;
}

/// What is known of a declared lock, or a mutex for one that never was.
Object described(const void* lock) {
    const lockdep::Lock* const known = validator().find(lock);
    if (known == nullptr) return describe(lock, 1, LOCKCHECK_MUTEX);
    Object object;
    object.address = lock;
    object.bytes = known->bytes;
    object.traits = known->traits;
    return object;
}

/// FNV-1a, with a bit that keeps it apart from the keys that are found otherwise, and from 0.
uint64_t class_key(const char* text) {
    if (text == nullptr) return 0;
    uint64_t hash = 0xcbf29ce484222325;
    for (; *text != '\0'; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 0x100000001b3;
    return hash | uint64_t{1} << 63;
}

lockdep::Access access(int how, lockdep::Patience patience) {
    return {how == LOCKCHECK_READ ? lockdep::Hold::shared : lockdep::Hold::exclusive, patience};
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;
using braidway::lockdep::Patience;

LOCKCHECK_EXPORT void braidway_lockcheck_name(const void* lock, const char* name) {
    ThreadRecord* const self = watched();
    if (self == nullptr) return;
    in_validator(*self, [&] {
        if (braidway::lockdep::Lock* const known = validator().find(lock))
            known->making.name = name;
    });
}

LOCKCHECK_EXPORT void braidway_lockcheck_init(const void* lock, size_t bytes, int kind,
                                              const char* lock_class) {
    if (ThreadRecord* const self = watched())
        initialised(*self, describe(lock, bytes, kind), lock_class, class_key(lock_class));
}

LOCKCHECK_EXPORT void braidway_lockcheck_destroy(const void* lock) {
    if (ThreadRecord* const self = watched()) destroyed(*self, lock);
}

LOCKCHECK_EXPORT void braidway_lockcheck_wants(const void* lock, int how) {
    ThreadRecord* const self = watched();
    if (self == nullptr) return;
    wants(*self, lock, access(how, Patience::endless), LOCKCHECK_SITE, self->pending,
          [=] { return described(lock); });
    self->pending_address = lock;
    if (self->pending.lock != nullptr)
        validator().blocks(*self->thread, *self->pending.lock, self->pending.access);
}

LOCKCHECK_EXPORT void braidway_lockcheck_acquired(const void* lock, int how) {
    ThreadRecord* const self = watched();
    if (self == nullptr) return;
    if (self->pending_address == lock) {
        validator().unblocked(*self->thread);
    } else {
        wants(*self, lock, access(how, Patience::bounded), LOCKCHECK_SITE, self->pending,
              [=] { return described(lock); });
    }
    self->pending_address = nullptr;
    has(*self, self->pending);
}

LOCKCHECK_EXPORT void braidway_lockcheck_released(const void* lock) {
    if (ThreadRecord* const self = watched())
        releases(*self, lock, LOCKCHECK_SITE, [=] { return described(lock); });
}

LOCKCHECK_EXPORT void braidway_lockcheck_may_sleep(const char* where) {
    ThreadRecord* const self = watched();
    if (self == nullptr || self->thread->held_count() == 0) return;
    const uintptr_t site = LOCKCHECK_SITE;
    in_validator(*self, [&] { validator().may_sleep(*self->thread, where, site); });
}
