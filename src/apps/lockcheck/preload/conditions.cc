// SPDX-License-Identifier: Apache-2.0
// pthread_cond_* and cnd_*: they are one object in glibc.
#include <dlfcn.h>
#include <link.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/real.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

Object describe(const pthread_cond_t* condition) {
    Object object;
    object.address = condition;
    object.bytes = sizeof *condition;
    object.traits.type = lockdep::LockType::condition;
    object.shared_between_processes = true;
    return object;
}

/// The place in the thread's memory of meetings at conditions.
ThreadRecord::Meeting& remembered(ThreadRecord& self, uint64_t key) {
    return self.meetings[key & (ThreadRecord::meetings_cached - 1)];
}

/// What a meeting at a condition is known by: the same locks were held at the same place, and the
/// validator has seen it. 0: it has not seen the condition.
uint64_t key_of_meeting(ThreadRecord& self, const lockdep::Lock* lock, uintptr_t site,
                        uintptr_t frame, unsigned what) {
    if (lock == nullptr) return 0;
    uint64_t key = lock->id.load(std::memory_order_relaxed) * uint64_t{8} + what + 1;
    const auto mix = [&](uint64_t word) {
        key = (key ^ word) * 0x9e3779b97f4a7c15;
        key ^= key >> 29;
    };
    mix(site);
    mix(frame);
    mix(self.lent_left);
    // Who notified before anybody waited so comes to be looked at again.
    mix(lock->record.load(std::memory_order_relaxed) != nullptr ? 1 : 0);
    const uint32_t held = self.thread->held_count();
    for (uint32_t i = 0; i < held; ++i) {
        mix(self.thread->held(i).id);
        mix(static_cast<uint64_t>(
            self.thread->held(i).access.load(std::memory_order_relaxed).hold));
    }
    return key;
}

bool is_shared_between_processes(const pthread_cond_t& condition) {
    constexpr unsigned shared_bit = 1;  // A part of glibc's ABI: pthread_cond_t may be initialised
                                        // by one version and used by another.
    return (__atomic_load_n(&condition.__data.__wrefs, __ATOMIC_RELAXED) & shared_bit) != 0;
}

/// Where the program waits: not in the C++ library, in which all waits of std::condition_variable
/// are one.
uintptr_t place_of(lockdep::StackId stack, uintptr_t site) {
    std::array<uintptr_t, 8> room{};
    for (const uintptr_t frame : validator().stack(stack, room)) {
        dl_find_object found{};
        const bool known = _dl_find_object(reinterpret_cast<void*>(frame - 1), &found) == 0;
        const char* const name = known ? found.dlfo_link_map->l_name : nullptr;
        if (name == nullptr || std::strstr(name, "libstdc++.so") == nullptr) return frame;
    }
    return site;
}

/// One wait: what must be put right after it, also when the thread is cancelled in it.
struct Wait {
    ThreadRecord* self = nullptr;
    pthread_cond_t* condition = nullptr;
    pthread_mutex_t* mutex = nullptr;
    lockdep::Lock* lock = nullptr;  ///< The mutex, if the thread held it.
    const timespec* until = nullptr;
    clockid_t clock = CLOCK_REALTIME;
    bool has_clock = false;
    uintptr_t site = 0;
    lockdep::Lock* watched_condition = nullptr;
    uint32_t ticket = 0;  ///< Lock::notified when it began.
    lockdep::StackId stack = 0;
};

void begin(Wait& wait, lockdep::Patience patience) {
    ThreadRecord& self = *wait.self;
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    look_at_stack(self, frame);
    const bool bounded = patience == lockdep::Patience::bounded;
    if (!holds(self, wait.mutex)) {
        released_slowly(self, describe_mutex(wait.mutex), wait.site);
    } else {
        wait.lock = validator().find(wait.mutex);
    }
    if (lockdep::Validator::has_ending(*self.thread))
        in_validator(self, [&] { validator().waits_again(*self.thread, wait.lock); });
    lockdep::Lock* condition = validator().find(wait.condition);
    uint64_t key = key_of_meeting(self, condition, wait.site, frame, bounded ? 1 : 0);
    lockdep::StackId stack = remembered(self, key).stack;
    if (key == 0 || remembered(self, key).key != key) {
        in_validator(self, [&] {
            look_at_frames(self, frame);
            condition = lock_at(self, describe(wait.condition), wait.site, frame);
            if (condition == nullptr) return;
            stack = validator().stack_here();
            validator().waits_on_condition(*self.thread, *condition, wait.lock, patience,
                                           place_of(stack, wait.site));
        });
        key = key_of_meeting(self, condition, wait.site, frame, bounded ? 1 : 0);
        if (key != 0) remembered(self, key) = {.key = key, .stack = stack};
    }
    const bool ends_unseen = bounded || is_shared_between_processes(*wait.condition);
    validator().blocks_waiting(*self.thread, wait.lock, ends_unseen ? nullptr : condition, stack);
    wait.stack = stack;
    wait.watched_condition = bounded ? nullptr : condition;
    if (condition != nullptr) wait.ticket = condition->notified.load(std::memory_order_relaxed);
    if (wait.lock == nullptr || self.thread->release_last(wait.mutex)) return;
    in_validator(self, [&] { validator().released(*self.thread, wait.mutex, wait.site); });
}

void end(void* argument) {
    Wait& wait = *static_cast<Wait*>(argument);
    if (wait.self == nullptr) return;
    validator().unblocked(*wait.self->thread);
    if (wait.lock == nullptr) return;
    const KeptErrno kept;
    if (wait.watched_condition != nullptr &&
        lockdep::Validator::ended_by_one_holder(*wait.watched_condition, wait.ticket)) {
        in_validator(*wait.self, [&] {
            validator().ended_by_holder(*wait.self->thread, *wait.watched_condition,
                                        place_of(wait.stack, wait.site), wait.site);
        });
    }
    lockdep::Pending pending;
    if (wait.self->thread->wants_known(wait.mutex, write_endlessly, wait.site, pending)) {
        wait.self->thread->acquired(pending);
        return;
    }
    in_validator(*wait.self, [&] {
        validator().retaken(*wait.self->thread, *wait.lock, write_endlessly, wait.site);
    });
}

/// The real wait. A thread that is cancelled in it has the mutex when its cleanup handlers run:
/// ours is the first of them. (glibc's handlers for C, by a jump: an unwinder of this library's own
/// would have to agree with the program's.)
[[gnu::noinline]] int wait_really(Wait& wait) {
    int result = 0;
    pthread_cleanup_push(end, &wait);
    if (wait.until == nullptr) {
        result = real.pthread_cond_wait(wait.condition, wait.mutex);
    } else if (wait.has_clock) {
        result = real.pthread_cond_clockwait(wait.condition, wait.mutex, wait.clock, wait.until);
    } else {
        result = real.pthread_cond_timedwait(wait.condition, wait.mutex, wait.until);
    }
    pthread_cleanup_pop(0);
    return result;
}

int wait_watched(Wait wait) {
    wait.self = watched();
    if (wait.self == nullptr) {
        wait.lock = nullptr;
        return wait_really(wait);
    }
    begin(wait, wait.until == nullptr ? lockdep::Patience::endless : lockdep::Patience::bounded);
    const int result = wait_really(wait);
    end(&wait);
    look_at_stack(*wait.self, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
    return result;
}

void notify(pthread_cond_t* condition, uintptr_t site) {
    ThreadRecord* const self = watched();
    if (self == nullptr) return;
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    look_at_stack(*self, frame);
    constexpr unsigned what = 2;
    lockdep::Lock* lock = validator().find(condition);
    uint64_t key = key_of_meeting(*self, lock, site, 0, what);
    if (key == 0 || remembered(*self, key).key != key) {
        lockdep::StackId stack = 0;
        bool remember = true;
        in_validator(*self, [&] {
            look_at_frames(*self, frame);
            lock = lock_at(*self, describe(condition), site, frame);
            if (lock == nullptr) return;
            remember = validator().notifies(*self->thread, *lock);
            if (!lockdep::Validator::notifies_freely(*self->thread, *lock))
                stack = validator().stack_here();
        });
        // It may come from another place the next time, at which it has been before.
        if (!remember) self->forget_meetings();
        key = key_of_meeting(*self, lock, site, 0, what);
        if (key != 0) remembered(*self, key) = {.key = remember ? key : 0, .stack = stack};
    }
    if (lock == nullptr) return;
    ThreadRecord::Meeting& meeting = remembered(*self, key);
    if (lockdep::Validator::notifies_freely(*self->thread, *lock) ||
        meeting.times == limits::lockcheck_meetings_told_max) {
        lockdep::Validator::notified_freely(*lock);
        return;
    }
    ++meeting.times;
    in_validator(*self, [&] { validator().notified_holding(*self->thread, *lock, meeting.stack); });
}

int c11_result(int result) {
    if (result == 0) return thrd_success;
    if (result == ETIMEDOUT) return thrd_timedout;
    return result == ENOMEM ? thrd_nomem : thrd_error;
}

pthread_cond_t* as_condition(cnd_t* condition) {
    return reinterpret_cast<pthread_cond_t*>(condition);
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int pthread_cond_init(pthread_cond_t* __restrict condition,
                                       const pthread_condattr_t* __restrict attr) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_cond_init(condition, attr);
    if (result == 0 && self != nullptr) initialised(*self, describe(condition));
    return result;
}

LOCKCHECK_EXPORT int pthread_cond_destroy(pthread_cond_t* condition) noexcept {
    if (ThreadRecord* const self = watched()) destroyed(*self, condition);
    return real.pthread_cond_destroy(condition);
}

LOCKCHECK_EXPORT int pthread_cond_wait(pthread_cond_t* __restrict condition,
                                       pthread_mutex_t* __restrict mutex) {
    return wait_watched({.condition = condition, .mutex = mutex, .site = LOCKCHECK_SITE});
}

LOCKCHECK_EXPORT int pthread_cond_timedwait(pthread_cond_t* __restrict condition,
                                            pthread_mutex_t* __restrict mutex,
                                            const timespec* __restrict until) {
    return wait_watched(
        {.condition = condition, .mutex = mutex, .until = until, .site = LOCKCHECK_SITE});
}

LOCKCHECK_EXPORT int pthread_cond_clockwait(pthread_cond_t* __restrict condition,
                                            pthread_mutex_t* __restrict mutex, clockid_t clock,
                                            const timespec* __restrict until) {
    return wait_watched({.condition = condition,
                         .mutex = mutex,
                         .until = until,
                         .clock = clock,
                         .has_clock = true,
                         .site = LOCKCHECK_SITE});
}

LOCKCHECK_EXPORT int pthread_cond_signal(pthread_cond_t* condition) noexcept {
    notify(condition, LOCKCHECK_SITE);
    return real.pthread_cond_signal(condition);
}

LOCKCHECK_EXPORT int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
    notify(condition, LOCKCHECK_SITE);
    return real.pthread_cond_broadcast(condition);
}

LOCKCHECK_EXPORT int cnd_init(cnd_t* condition) {
    ThreadRecord* const self = watched();
    const int result = real.pthread_cond_init(as_condition(condition), nullptr);
    if (result == 0 && self != nullptr) initialised(*self, describe(as_condition(condition)));
    return c11_result(result);
}

LOCKCHECK_EXPORT void cnd_destroy(cnd_t* condition) {
    pthread_cond_destroy(as_condition(condition));
}

LOCKCHECK_EXPORT int cnd_wait(cnd_t* condition, mtx_t* mutex) {
    return c11_result(wait_watched({.condition = as_condition(condition),
                                    .mutex = reinterpret_cast<pthread_mutex_t*>(mutex),
                                    .site = LOCKCHECK_SITE}));
}

LOCKCHECK_EXPORT int cnd_timedwait(cnd_t* __restrict condition, mtx_t* __restrict mutex,
                                   const timespec* __restrict until) {
    return c11_result(wait_watched({.condition = as_condition(condition),
                                    .mutex = reinterpret_cast<pthread_mutex_t*>(mutex),
                                    .until = until,
                                    .site = LOCKCHECK_SITE}));
}

LOCKCHECK_EXPORT int cnd_signal(cnd_t* condition) {
    notify(as_condition(condition), LOCKCHECK_SITE);
    return c11_result(real.pthread_cond_signal(as_condition(condition)));
}

LOCKCHECK_EXPORT int cnd_broadcast(cnd_t* condition) {
    notify(as_condition(condition), LOCKCHECK_SITE);
    return c11_result(real.pthread_cond_broadcast(as_condition(condition)));
}
