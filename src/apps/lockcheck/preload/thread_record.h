// SPDX-License-Identifier: Apache-2.0
// What is kept of a thread beside ThreadState, and the list of all of them.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/runtime.h"
#include "base/limits.h"
#include "lockdep/thread.h"

namespace braidway::lockcheck {

/// One thread's state, kept until somebody has joined it.
struct ThreadRecord : ThreadState {
    /// What is left of the thread for others.
    enum class Phase : uint32_t {
        unused,    ///< In the list of spare records.
        running,   ///< Was made, and has not ended.
        ended,     ///< Waits to be joined.
        unjoined,  ///< Runs, and nobody will join it.
    };
    /// A signal handler that runs on this thread now.
    struct Handler {
        uintptr_t stack_pointer = 0;
        uintptr_t stack_low = 0;  ///< The alternate stack for signals, if there is one.
        uintptr_t stack_high = 0;
        uint64_t blocked_before = 0;  ///< The signals that the thread blocked when it began.
        int number = 0;
    };
    static constexpr size_t handlers_max = limits::lockcheck_handlers_max;
    /// A wait or notification that the validator knows: what was held, where, at which condition.
    struct Meeting {
        uint64_t key = 0;
        lockdep::StackId stack = 0;
        uint32_t times = 0;  ///< That it was told to the validator again.
    };
    static constexpr size_t meetings_cached = limits::lockcheck_meetings_cached;  ///< Power of two.

    std::atomic<Phase> phase = Phase::unused;
    /// Of its maker until pthread_create() is through, and of the thread until it has ended and was
    /// joined or detached.
    std::atomic<uint32_t> claims = 0;
    std::atomic<pthread_t> handle = 0;
    /// Whether `handle` is this thread's.
    enum class HandleState : uint32_t { unknown, known, gone };
    std::atomic<HandleState> handle_state = HandleState::unknown;
    std::atomic<int> kernel_id = 0;
    lockdep::ThreadNumber number = 0;  ///< As `thread` had it: that may be another's after the end.
    size_t stack_bytes = 0;            ///< As asked for at its making; 0: not known.
    void* stack_given = nullptr;       ///< Memory of the program's that it runs in.
    uint64_t blocked_first = 0;        ///< The signals that it blocks when it begins.
    bool begins_blocked = false;       ///< It was made with all of them blocked instead.
    void* (*start)(void*) = nullptr;
    int (*start_c11)(void*) = nullptr;
    void* argument = nullptr;
    unsigned rounds = 0;  ///< Of destructors of thread-specific data, at its end.
    uint32_t handler_count = 0;
    Handler handlers[handlers_max];
    Meeting meetings[meetings_cached] = {};
    void forget_meetings() {
        for (Meeting& each : meetings) each.key = 0;
    }
    lockdep::Pending pending;  ///< Of the program's own locks, between wants and acquired.
    const void* pending_address = nullptr;
    ThreadRecord* next = nullptr;  ///< In the list of all.
    ThreadRecord* next_spare = nullptr;
};

/// A record with a Thread of the validator's; nullptr without memory. Call it in in_validator() of
/// another thread, or where there is none yet.
ThreadRecord* make_thread_record(lockdep::ThreadNumber maker);

/// One of the record's claims is gone; after the last one it is used for another thread.
void drop_claim(ThreadRecord& record);

/// Remembers the thread's handle, which its maker and the thread itself learn.
void set_handle(ThreadRecord& record, pthread_t handle);

/// Nobody can ask for the thread by its handle any more: it was joined.
void thread_is_joined(ThreadRecord& record);

/// Nobody will join the thread.
void thread_is_detached(ThreadRecord& record);

/// The record of a thread that can be joined; nullptr: one that was not seen.
ThreadRecord* find_thread(pthread_t handle);

/// The name that a thread has or had, for reports, into `name`; false: none of its own.
bool name_of_thread(lockdep::ThreadNumber number, char (&name)[16]);

/// Keeps the name of the calling thread, which ends.
void keep_thread_name(lockdep::ThreadNumber number);

/// Gives the thread the stack on which the validator works. False: no memory.
bool make_own_stack(ThreadRecord& record);

/// Sets where the calling thread's stack is.
void find_stack_bounds(ThreadRecord& record, bool main_thread);

/// Around fork(): the list stays whole for the child, in which only `survivor` runs.
void lock_thread_records();
void unlock_thread_records();
void keep_only(ThreadRecord& survivor);

}  // namespace braidway::lockcheck
