// SPDX-License-Identifier: Apache-2.0
// What an execution did, step by step, and who held or awaited what at its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "braidway/sync/policy.h"

namespace braidway::explore {

/// The kinds of visible steps: between two of them a thread runs without anybody noticing.
enum class StepKind : uint8_t {
    load,          ///< Reads an atomic.
    store,         ///< Writes an atomic; under TSO into the thread's store buffer.
    exchange,      ///< Any atomic read-modify-write that wrote.
    failed_cas,    ///< A compare-exchange that found another value: a read.
    fence,         ///< A full fence; under TSO it waits until the store buffer is empty.
    flush,         ///< TSO: the oldest store of a thread's buffer reaches memory.
    futex_sleep,   ///< Compared the word and fell asleep, or found it changed.
    futex_return,  ///< The sleeper returns: woken, timed out, interrupted, or for no reason.
    futex_wake,    ///< Wakes sleepers.
    mutex_lock,    ///< Takes a ProvenMutex, which nobody held.
    mutex_unlock,  ///< Gives one back.
    spin,          ///< Goes on spinning after something it had read was written.
    choice,        ///< The test chose one of several values.
    yield,         ///< Gives way for no reason.
    note,          ///< The test wrote something into the trace; never a point of switching.
    lock,          ///< A lock said that it is wanted, acquired, given up or released; never a point
                   ///< of switching.
    start,         ///< The thread's first step.
    end,           ///< The thread's body has returned.
    killed,        ///< The thread's process was killed here.
};

/// One step of one thread.
struct Step {
    unsigned thread = 0;  ///< Index into Trace::threads.
    StepKind kind = StepKind::start;
    const void* address = nullptr;  ///< The word, or the lock; nullptr where there is none.
    uint64_t before = 0;            ///< The value read, or the expected value of a futex_sleep.
    uint64_t after = 0;             ///< The value written; of futex_wake how many were woken.
    sync::FutexOutcome outcome = sync::FutexOutcome::woken;  ///< Of futex_sleep and futex_return.
    sync::LockEvent lock_event = sync::LockEvent::wanted;    ///< Of a lock step.
    sync::LockMode lock_mode = sync::LockMode::exclusive;    ///< Of a lock step.
    std::string note;                                        ///< Of a note.
};

/// A stretch of memory that the test named, so that steps can say `lock+4` instead of an address.
struct NamedObject {
    std::string name;
    const void* begin = nullptr;
    uint64_t size_bytes = 0;
};

/// What one thread holds and waits for when an execution ends.
struct ThreadState {
    enum class At : uint8_t {
        done,      ///< Its body returned.
        runnable,  ///< It could go on: another thread failed.
        asleep,    ///< In a futex wait that nobody ended.
        spinning,  ///< In a spin that nobody ends.
        killed,    ///< Its process was killed.
    };
    struct Held {
        const void* lock;
        sync::LockMode mode;
    };
    At at = At::done;
    const void* address = nullptr;  ///< The word on which it sleeps or spins.
    std::vector<Held> holds;        ///< Locks, in the order of taking.
    std::vector<Held> wants;        ///< Locks that it waits for; at most one is usual.
};

/// One execution.
struct Trace {
    std::vector<std::string> threads;  ///< Their names.
    std::vector<NamedObject> objects;
    std::vector<Step> steps;
    std::vector<ThreadState> states;  ///< One for each thread, at the end.
};

/// The name of what is at `address`: `lock`, `lock+4`, or a hexadecimal address.
std::string name_of(const Trace& trace, const void* address);

}  // namespace braidway::explore
