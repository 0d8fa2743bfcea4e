// SPDX-License-Identifier: Apache-2.0
// Runs a small concurrent program under every interleaving, or under many.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "braidway/explore/trace.h"
#include "braidway/explore/world.h"

namespace braidway::explore {

/// How interleavings are chosen.
enum class Method : uint8_t {
    every,    ///< Depth first, each class of equivalent interleavings once.
    states,   ///< Depth first, every step in every state once: see docs/explorer.md for what the
              ///< program must keep to.
    bounded,  ///< Depth first, every interleaving with at most preemptions_max preemptions.
    pct,      ///< Random priorities with pct_depth - 1 changes of them.
    random,   ///< At each step any runnable thread.
    replay,   ///< The one that Options::replay names.
};

/// What memory does between threads.
enum class Memory : uint8_t {
    sequential,  ///< Every step is seen by all at once.
    tso,         ///< Stores wait in a buffer of their thread, first in, first out (x86).
};

/// How an exploration is done, and where it ends.
struct Options {
    Method method = Method::every;
    Memory memory = Memory::sequential;
    uint64_t seed = 1;
    /// Stops after so many executions; every and bounded are then no proof any more.
    uint64_t executions_max = 10'000'000;
    /// An execution that takes more steps is reported as endless.
    unsigned steps_max = 10'000;
    unsigned preemptions_max = 2;
    unsigned pct_depth = 3;
    /// In one execution so many futex waits may return for no reason, or interrupted. Both are
    /// explored.
    unsigned spurious_wakes_max = 0;
    /// What Policy::spin_turns() returns: how often a lock looks again before it sleeps.
    unsigned spin_turns = 1;
    /// In one execution so many processes may be killed, each before any of its steps. Only
    /// threads of killable processes die.
    unsigned kills_max = 0;
    /// Goes on after a failure and counts; the verdict keeps the first. With kills_max, what a kill
    /// does to a program that is already deadlocked is not looked at. With `every`, what a failed
    /// check or steps_max cuts off may have held more: coverage is then `sampled`.
    bool keep_going = false;
    /// For Method::replay.
    std::string replay = {};
    /// Shortens the first failure: fewer switches, same failure.
    bool minimise = true;
};

/// What was found.
enum class Finding : uint8_t {
    nothing,
    failed_check,  ///< A check() of the test was false, or a lock reported a misuse.
    deadlock,      ///< No thread can go on, and not all are done; a lost wake-up looks like this.
    livelock,      ///< Only spinning threads are left, and nobody writes what they read.
    endless,       ///< More than steps_max steps.
};

/// How much was looked at.
enum class Coverage : uint8_t {
    exhaustive,  ///< Every interleaving (up to equivalence).
    bounded,     ///< Every interleaving with at most preemptions_max preemptions.
    sampled,     ///< Some.
};

/// What an exploration found, and how much it looked at.
struct Verdict {
    Finding finding = Finding::nothing;
    Coverage coverage = Coverage::sampled;
    uint64_t executions = 0;  ///< That ran to their end; none is equivalent to another in `every`.
    uint64_t blocked = 0;     ///< That were cut off, because an equivalent one had run, or one that
                              ///< reached the same state.
    uint64_t steps = 0;
    uint64_t states = 0;         ///< With Method::states: how many there are, the ends not counted.
    uint64_t failures = 0;       ///< With keep_going: how many executions failed.
    uint64_t first_failure = 0;  ///< The number of the first that failed, counted from 1.
    std::string message;         ///< Of the failure: one line.
    std::string replay;          ///< Names the failing execution for Options::replay.
    Trace trace;                 ///< Of the failing execution, minimised.

    bool clean() const { return finding == Finding::nothing; }
    /// One line: `clean (exhaustive): 123 executions`, `DEADLOCK after 7 executions (sampled)`.
    std::string summary() const;
};

/// Runs the program that `setup` describes, again and again. `setup` is called before each
/// execution and does the same each time; the threads it declares run as fibers of this thread.
///
/// Errors:  a program that behaves differently when it is run again the same way ends as
///          failed_check with a message that says so, where it shows in who can go on and in the
///          kinds of their next steps. A difference in values or addresses alone is not noticed,
///          and makes a proof worth nothing.
/// Threads: any; one exploration at a time in a thread.
Verdict explore(const Options& options, const std::function<void(World&)>& setup);

}  // namespace braidway::explore
