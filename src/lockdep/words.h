// SPDX-License-Identifier: Apache-2.0
// The words of the lock validator: what kinds of locks there are, how they are held and wanted, and
// what can be found.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace braidway::lockdep {

/// What a finding is about; its word in a report is word().
enum class FindingKind : uint8_t {
    order,            ///< A ring of locks or classes.
    recursive_read,   ///< A fair lock read twice by a thread, and somebody write-locks it.
    relock,           ///< A thread waits for itself.
    unlock_unheld,    ///< Given back by a thread that does not hold it.
    destroy_held,     ///< Destroyed, made anew, freed or left with its stack frame while held.
    exit_held,        ///< A thread ends and holds it.
    held_while_wait,  ///< Waits on a condition and holds what the notifier needs.
    held_while_join,  ///< Waits for the end of a thread that needs what the waiter holds.
    signal,           ///< A signal handler takes what the interrupted code may hold.
    hang,             ///< A deadlock that has happened.
    held_while_sleep  ///< Holds a lock at a place that says that it may sleep.
};
inline constexpr size_t finding_kinds = 11;

/// The word of a report: "order", "recursive-read", ...
const char* word(FindingKind kind);

/// What an object is, by its behaviour.
enum class LockType : uint8_t {
    mutex,
    spinlock,
    rwlock,      ///< Reader/writer lock; LockTraits::fair says of which kind.
    condition,   ///< A pseudo lock: "wanted" by who waits, "held" by who will notify.
    thread_end,  ///< A pseudo lock: "wanted" by who joins, "held" by the thread until it ends.
    semaphore,   ///< A pseudo lock: who waits at it waits for somebody that nobody knows.
    barrier,     ///< The same.
};

/// What the validator must know of an object.
struct LockTraits {
    LockType type = LockType::mutex;
    bool recursive = false;       ///< Its holder may take it again (exclusively).
    bool fair = false;            ///< A reader waits behind a writer that waits (type rwlock).
    bool robust = false;          ///< May be left by a thread that ends: that is its designed use.
    bool error_checking = false;  ///< Taking it again is refused and does not block.
    bool shared = false;          ///< Other processes may hold it and give it back.
};

/// How a lock is, or is to be, held.
enum class Hold : uint8_t {
    exclusive,
    shared,
};

/// What an acquisition waits for; the end of a step of a ring.
enum class Want : uint8_t {
    write,        ///< Until nobody holds it.
    fair_read,    ///< Until no writer holds it or waits for it.
    unfair_read,  ///< Until no writer holds it.
};

/// How long an acquisition may wait.
enum class Patience : uint8_t {
    endless,  ///< Until it has the lock: closes rings.
    bounded,  ///< A try, or a wait with a finite deadline: closes none.
};

/// One acquisition, as asked for.
struct Access {
    Hold hold = Hold::exclusive;
    Patience patience = Patience::endless;

    bool operator==(const Access&) const = default;
};

/// An instance of a lock: never used again, also when its memory is. 0 is none.
using LockId = uint32_t;
/// A thread of this process, numbered from 1 in the order in which they were seen.
using ThreadNumber = uint32_t;
/// A stack in the validator's store; 0 is none.
using StackId = uint32_t;

/// How many further locks that a thread held are told with one step of a finding.
inline constexpr unsigned also_held_max = limits::lockdep_also_held_max;

}  // namespace braidway::lockdep
