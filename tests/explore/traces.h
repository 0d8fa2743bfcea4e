// SPDX-License-Identifier: Apache-2.0
// Traces made by hand, for tests of what is made of them.
#pragma once

#include <array>
#include <cstdint>

#include "braidway/explore/explorer.h"

namespace braidway::explore::made {

/// Where the locks of hand-made traces are.
inline std::array<uint32_t, 16> memory{};

inline Step step(unsigned thread, StepKind kind, const void* address = nullptr, uint64_t before = 0,
                 uint64_t after = 0) {
    Step made;
    made.thread = thread;
    made.kind = kind;
    made.address = address;
    made.before = before;
    made.after = after;
    return made;
}

inline Step lock_step(unsigned thread, sync::LockEvent event, sync::LockMode mode,
                      const void* lock = memory.data()) {
    Step made = step(thread, StepKind::lock, lock);
    made.lock_event = event;
    made.lock_mode = mode;
    return made;
}

inline Step futex_return(unsigned thread, const void* word, sync::FutexOutcome outcome) {
    Step made = step(thread, StepKind::futex_return, word);
    made.outcome = outcome;
    return made;
}

/// Reads a fair lock twice while a writer has come between: reader and writer wait for each other.
inline Verdict recursive_read() {
    using sync::LockEvent;
    using sync::LockMode;
    const void* const lock = memory.data();
    const void* const word = memory.data() + 1;
    Verdict verdict;
    verdict.finding = Finding::deadlock;
    verdict.executions = 7;
    verdict.first_failure = 7;
    verdict.failures = 1;
    verdict.message = "no thread can go on";
    verdict.replay = "r1:0.0.1.1.0";
    Trace& trace = verdict.trace;
    trace.threads = {"reader", "writer"};
    trace.objects = {{"lock", lock, 16}};
    trace.steps = {step(0, StepKind::start),
                   step(0, StepKind::exchange, lock, 0, 256),
                   lock_step(0, LockEvent::acquired, LockMode::shared),
                   step(1, StepKind::start),
                   step(1, StepKind::failed_cas, lock, 256),
                   lock_step(1, LockEvent::wanted, LockMode::exclusive),
                   step(1, StepKind::load, lock, 256),
                   step(1, StepKind::exchange, lock, 256, 258),
                   step(1, StepKind::futex_sleep, word, 2),
                   step(0, StepKind::load, lock, 258),
                   lock_step(0, LockEvent::wanted, LockMode::shared),
                   step(0, StepKind::futex_sleep, word, 2)};
    trace.states.resize(2);
    trace.states[0] = {
        ThreadState::At::asleep, word, {{lock, LockMode::shared}}, {{lock, LockMode::shared}}};
    trace.states[1] = {ThreadState::At::asleep, word, {}, {{lock, LockMode::exclusive}}};
    return verdict;
}

/// `threads` threads take `steps` steps in turns.
inline Trace long_trace(unsigned threads, size_t steps) {
    Trace trace;
    for (unsigned thread = 0; thread < threads; ++thread)
        trace.threads.push_back("t" + std::to_string(thread));
    for (size_t at = 0; at < steps; ++at)
        trace.steps.push_back(
            step(static_cast<unsigned>(at % threads), StepKind::load, memory.data(), at));
    trace.states.resize(threads);
    return trace;
}

}  // namespace braidway::explore::made
