// SPDX-License-Identifier: Apache-2.0
// Who decides which thread goes on: the interface between one execution and the search.
#pragma once

#include <cstdint>
#include <vector>

namespace braidway::explore {

class Execution;

/// The most that move in one execution: threads, and what moves beside them (kills, store buffers).
inline constexpr unsigned slots_max = 32;

/// A set of slots.
using Slots = uint32_t;

constexpr Slots slot_bit(unsigned slot) {
    return Slots{1} << slot;
}

/// One decision: who takes the next step and, where that step has several outcomes, which.
struct Decision {
    uint8_t slot = 0;
    uint16_t choice = 0;

    bool operator==(const Decision&) const = default;
};

using Decisions = std::vector<Decision>;

/// The most outcomes of one step.
inline constexpr unsigned outcomes_max = UINT16_MAX;

/// How a step touched an object that others see.
enum : uint8_t {
    touched_word = 1,     ///< Looked at the word at the address.
    touched_write = 2,    ///< Wrote it; touched_word stands beside it.
    touched_queue = 4,    ///< Came to sleep at the address or left; in which order is all the same.
    touched_wake = 8,     ///< Looked who sleeps there, and woke; touched_queue stands beside it.
    touched_lock = 16,    ///< Took the mutex at the address.
    touched_unlock = 32,  ///< Gave it back. A lock comes after it, which no order of steps changes.
};

/// One object that a step touched.
struct Touch {
    const void* address;
    uint8_t how;
};

/// Whether two steps that touch the same address depend on each other.
constexpr bool clash(uint8_t one, uint8_t other) {
    const uint8_t both = one & other;
    const uint8_t either = one | other;
    return ((both & touched_word) != 0 && (either & touched_write) != 0) ||
           ((both & touched_queue) != 0 && (either & touched_wake) != 0) ||
           (both & touched_lock) != 0;
}

/// Decides about executions, one after the other. An Execution calls begin(), then for each step
/// pick(), choose() if the step has several outcomes, and stepped(); a search calls next() between
/// two executions.
///
/// Threads: one.
class Chooser {
  public:
    /// Answers of pick() that are no slot.
    static constexpr unsigned cut_off = 0xFFFE;   ///< An equivalent execution has run already.
    static constexpr unsigned diverged = 0xFFFF;  ///< The program does not do what it did before.

    Chooser() = default;
    Chooser(const Chooser&) = delete;
    Chooser& operator=(const Chooser&) = delete;
    virtual ~Chooser() = default;

    virtual void begin(const Execution& execution) = 0;
    /// One of execution.enabled(), which is not empty.
    virtual unsigned pick(const Execution& execution) = 0;
    /// A number below `count`, which is at least 2.
    virtual unsigned choose(const Execution& execution, unsigned count) = 0;
    /// The step was carried out; execution.touches() says what it did.
    virtual void stepped(const Execution& /*execution*/) {}
    /// Nobody takes a step any more. Not called of an execution that was cut off.
    virtual void ended(const Execution& /*execution*/) {}
    /// Whether there is another execution to look at.
    virtual bool next() = 0;
    /// Different states that were come to; 0 of a search that does not look at states.
    virtual uint64_t states() const { return 0; }
};

}  // namespace braidway::explore
