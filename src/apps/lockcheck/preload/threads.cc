// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/threads.h"

#include <limits.h>

#include <cerrno>
#include <cstdint>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/signals.h"
#include "apps/lockcheck/preload/stack_locks.h"

namespace braidway::lockcheck {
namespace {

constinit pthread_key_t end_key = 0;
constinit bool has_end_key = false;

/// The thread runs no more code of the program's.
void thread_ends(ThreadRecord& self) {
    in_validator(self, [&] {
        if (self.start != nullptr || self.start_c11 != nullptr) forget_former_stack(self);
        forget_stack(self);
        keep_thread_name(self.thread->number());
        validator().thread_ended(*self.thread, false);
    });
    stop_watching_thread();
    auto expected = ThreadRecord::Phase::running;
    if (!self.phase.compare_exchange_strong(expected, ThreadRecord::Phase::ended)) drop_claim(self);
}

/// Destructor of thread-specific data. Destructors run in rounds, while some set data anew; ours
/// does so until the last round, so that locks of the others' are seen.
void end_round(void* argument) {
    ThreadRecord& self = *static_cast<ThreadRecord*>(argument);
    if (++self.rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(end_key, argument);
        return;
    }
    thread_ends(self);
}

/// The thread's first step. `frame`: of the library's, above all of the program's.
void begin_thread(ThreadRecord& self, uintptr_t frame) {
    find_stack_bounds(self, false);
    self.first_frame = frame;
    adopt_record(self, self.begins_blocked ? self.blocked_first : blocked_signals());
    // In memory of its own, the program may have put a lock before.
    if (self.stack_given == nullptr) in_validator(self, [&] { forget_former_stack(self); });
    if (self.begins_blocked) restore_signals(self.blocked_first);
}

void* run_thread(void* argument) {
    ThreadRecord& self = *static_cast<ThreadRecord*>(argument);
    begin_thread(self, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
    return self.start(self.argument);
}

int run_thread_c11(void* argument) {
    ThreadRecord& self = *static_cast<ThreadRecord*>(argument);
    begin_thread(self, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
    return self.start_c11(self.argument);
}

/// A record for a thread that is about to be made; nullptr: it will not be watched.
ThreadRecord* prepare_thread(ThreadRecord& maker, const pthread_attr_t* attributes) {
    ThreadRecord* record = nullptr;
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    in_validator(maker, [&] {
        look_at_frames(maker, frame);
        record = make_thread_record(maker.thread->number());
    });
    if (record == nullptr) return nullptr;
    record->claims.store(2, std::memory_order_relaxed);
    int detached = PTHREAD_CREATE_JOINABLE;
    pthread_attr_t standard;
    const bool own = attributes == nullptr && pthread_attr_init(&standard) == 0;
    const pthread_attr_t* const used = own ? &standard : attributes;
    if (used == nullptr) return record;
    pthread_attr_getdetachstate(used, &detached);
    if (pthread_attr_getstack(used, &record->stack_given, &record->stack_bytes) != 0 ||
        record->stack_given == nullptr || record->stack_bytes == 0 ||
        reinterpret_cast<uintptr_t>(record->stack_given) + record->stack_bytes <=
            record->stack_bytes) {
        // Without a stack of the program's the answer is counted back from address 0.
        record->stack_given = nullptr;
        pthread_attr_getstacksize(used, &record->stack_bytes);
    }
    if (detached == PTHREAD_CREATE_DETACHED)
        record->phase.store(ThreadRecord::Phase::unjoined, std::memory_order_relaxed);
    if (own) pthread_attr_destroy(&standard);
    return record;
}

/// Makes a thread, with all signals blocked until it is watched: a handler that interrupts its
/// first steps takes locks, too. Not so where the attributes say what it blocks.
template <typename Make>
int make_thread(ThreadRecord& record, const pthread_attr_t* attributes, const Make& make) {
    sigset_t given;
    record.begins_blocked =
        attributes == nullptr ||
        pthread_attr_getsigmask_np(attributes, &given) == PTHREAD_ATTR_NO_SIGMASK_NP;
    if (!record.begins_blocked) return make();
    uint64_t mask = 0;
    block_all_signals(mask);
    record.blocked_first = mask;
    const int result = make();
    restore_signals(mask);
    return result;
}

void forget_unmade(ThreadRecord& maker, ThreadRecord& record) {
    in_validator(maker, [&] {
        validator().thread_ended(*record.thread, false);
        drop_claim(record);
        drop_claim(record);
    });
}

/// A wait for a thread's end.
struct Join {
    ThreadRecord* self = nullptr;
    ThreadRecord* joined = nullptr;
    pthread_t thread = 0;
    void** result = nullptr;
    /// Of `joined`, kept: once it has ended, its Thread may be another's.
    lockdep::ThreadNumber number = 0;
};

int wait_slice(void* object, int64_t until_ns) {
    const Join& join = *static_cast<Join*>(object);
    const timespec until = monotonic_time(until_ns);
    return real.pthread_clockjoin_np(join.thread, join.result, CLOCK_MONOTONIC, &until);
}

void stop_waiting(void* argument) {
    validator().unblocked(*static_cast<Join*>(argument)->self->thread);
}

/// As conditions do it: a thread that is cancelled here waits no more.
[[gnu::noinline]] int wait_for_end(Join& join) {
    int result = 0;
    pthread_cleanup_push(stop_waiting, &join);
    result = wait_watching(*join.self, &join, wait_slice);
    pthread_cleanup_pop(1);
    return result;
}

Join find_joined(pthread_t thread, void** result) {
    Join join{.self = watched(), .thread = thread, .result = result};
    if (join.self == nullptr) return join;
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    in_validator(*join.self, [&] {
        look_at_frames(*join.self, frame);
        join.joined = find_thread(thread);
        if (join.joined != nullptr) join.number = join.joined->number;
    });
    return join;
}

int has_joined(const Join& join, int result) {
    if (result != 0 || join.joined == nullptr) return result;
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    in_validator(*join.self, [&] {
        look_at_frames(*join.self, frame);
        validator().joined(*join.self->thread, join.number);
        thread_is_joined(*join.joined);
    });
    return result;
}

int join_thread(pthread_t thread, void** result, uintptr_t site) {
    Join join = find_joined(thread, result);
    if (join.joined == nullptr || real.pthread_clockjoin_np == nullptr)
        return has_joined(join, real.pthread_join(thread, result));
    in_validator(*join.self, [&] {
        validator().joins(*join.self->thread, join.number, site);
        validator().blocks_joining(*join.self->thread, join.number);
    });
    return has_joined(join, wait_for_end(join));
}

int detach(pthread_t thread) {
    ThreadRecord* const self = watched();
    ThreadRecord* record = nullptr;
    if (self != nullptr) in_validator(*self, [&] { record = find_thread(thread); });
    const int result = real.pthread_detach(thread);
    if (result == 0 && record != nullptr) in_validator(*self, [&] { thread_is_detached(*record); });
    return result;
}

}  // namespace

void watch_thread_ends() {
    has_end_key = pthread_key_create(&end_key, end_round) == 0;
}

void arm_thread_end(ThreadRecord& self) {
    if (has_end_key) pthread_setspecific(end_key, &self);
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int pthread_create(pthread_t* __restrict thread,
                                    const pthread_attr_t* __restrict attributes,
                                    void* (*start)(void*), void* __restrict argument) noexcept {
    ThreadRecord* const self = watched();
    ThreadRecord* const record = self == nullptr ? nullptr : prepare_thread(*self, attributes);
    if (record == nullptr) return real.pthread_create(thread, attributes, start, argument);
    record->start = start;
    record->argument = argument;
    const int result = make_thread(*record, attributes, [&] {
        return real.pthread_create(thread, attributes, run_thread, record);
    });
    if (result != 0) {
        forget_unmade(*self, *record);
        return result;
    }
    set_handle(*record, *thread);
    in_validator(*self, [&] { drop_claim(*record); });
    return result;
}

LOCKCHECK_EXPORT int pthread_join(pthread_t thread, void** result) {
    return join_thread(thread, result, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_tryjoin_np(pthread_t thread, void** result) noexcept {
    const Join join = find_joined(thread, result);
    return has_joined(join, real.pthread_tryjoin_np(thread, result));
}

LOCKCHECK_EXPORT int pthread_timedjoin_np(pthread_t thread, void** result, const timespec* until) {
    const Join join = find_joined(thread, result);
    return has_joined(join, real.pthread_timedjoin_np(thread, result, until));
}

LOCKCHECK_EXPORT int pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock,
                                          const timespec* until) {
    const Join join = find_joined(thread, result);
    return has_joined(join, real.pthread_clockjoin_np(thread, result, clock, until));
}

LOCKCHECK_EXPORT int pthread_detach(pthread_t thread) noexcept {
    return detach(thread);
}

LOCKCHECK_EXPORT int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
    ThreadRecord* const self = watched();
    ThreadRecord* const record = self == nullptr ? nullptr : prepare_thread(*self, nullptr);
    if (record == nullptr) return real.thrd_create(thread, start, argument);
    record->start_c11 = start;
    record->argument = argument;
    const int result = make_thread(
        *record, nullptr, [&] { return real.thrd_create(thread, run_thread_c11, record); });
    if (result != thrd_success) {
        forget_unmade(*self, *record);
        return result;
    }
    set_handle(*record, *thread);
    in_validator(*self, [&] { drop_claim(*record); });
    return result;
}

LOCKCHECK_EXPORT int thrd_join(thrd_t thread, int* result) {
    void* value = nullptr;
    if (join_thread(thread, &value, LOCKCHECK_SITE) != 0) return thrd_error;
    if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(value));
    return thrd_success;
}

LOCKCHECK_EXPORT int thrd_detach(thrd_t thread) {
    return detach(thread) == 0 ? thrd_success : thrd_error;
}
