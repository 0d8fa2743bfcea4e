// SPDX-License-Identifier: Apache-2.0
// The reader/writer lock of glibc 2.25 to 2.29 in small, with its historical bugs to choose from.
#pragma once

#include <atomic>
#include <cstdint>

#include "braidway/sync/futex.h"

namespace braidway::explore {

/// Which of the mended bugs are back.
struct PhaseBugs {
    /// try_lock_shared() that starts a read phase overwrites the mark of sleepers and wakes nobody:
    /// sourceware bug 23844, tst-rwlock-tryrdlock-stall.
    bool try_read_forgets_sleepers = false;
    /// try_lock() writes the phase's word although the write phase was there already, and so
    /// overwrites the mark of sleepers: bug 23844, tst-rwlock-trywrlock-stall.
    bool try_write_forgets_sleepers = false;
    /// A reader that lets a writer go first does not read the state again after its wait:
    /// tst-rwlock-pwn.
    bool stale_state = false;
};

/// Read phases and write phases take turns. The state says which phase it is, whether a writer has
/// won against the other writers, and how many readers there are. Nobody sleeps on the state (but
/// for the readers that let a writer go first): `phase_` follows it, one step behind, and whoever
/// changes the phase changes `phase_` next and wakes who marked it. Of two kinds: readers pass a
/// waiting writer, or let it go first.
///
/// Source:  the description at the head of glibc's pthread_rwlock_common.c and the analysis in its
///          tst-rwlock-tryrdlock-stall.c, told anew; no time-outs, no hand-over between writers, no
///          process sharing.
template <typename Policy, PhaseBugs bugs = PhaseBugs{}, bool writers_first = false>
class PhaseLock {
  public:
    void lock_shared() {
        if (writers_first) let_writer_go_first();
        uint32_t state = state_.fetch_add(reader) + reader;
        if ((state & write_phase) == 0) return;
        while ((state & write_phase) != 0 && (state & writer) == 0) {
            if (state_.compare_exchange_weak(state, state ^ write_phase)) {
                change_phase(0);
                return;
            }
        }
        // Somebody else changes the phase, or a writer holds the lock: he tells through phase_.
        wait_for_phase(0);
    }

    bool try_lock_shared() {
        uint32_t state = state_.load();
        uint32_t after = 0;
        do {
            if ((state & writer) != 0 && ((state & write_phase) != 0 || writers_first)) {
                return false;
            }
            after = (state + reader) & ~write_phase;
        } while (!state_.compare_exchange_weak(state, after));
        if ((state & write_phase) != 0) {
            if (bugs.try_read_forgets_sleepers) {
                phase_.store(0);
            } else {
                change_phase(0);
            }
        }
        return true;
    }

    void unlock_shared() {
        uint32_t state = state_.load();
        uint32_t after = 0;
        do {
            after = state - reader;
            if (after < reader) {
                if ((after & writer) != 0) after |= write_phase;
                after &= ~readers_wait;
            }
        } while (!state_.compare_exchange_weak(state, after));
        if ((after & write_phase) != 0) change_phase(1);
        if ((state & readers_wait) != (after & readers_wait)) wake_all(state_);
    }

    void lock() {
        uint32_t mark = 0;
        uint32_t state = state_.fetch_or(writer);
        while ((state & writer) != 0) {
            uint32_t expected = 1;
            if (writers_.load() == 0) {
                Policy::spin_wait();
            } else if (writers_.compare_exchange_strong(expected, 1 | sleepers) ||
                       expected == (1 | sleepers)) {
                sleep(writers_, 1 | sleepers);
                mark = sleepers;  // Another one may sleep as well.
            }
            state = state_.load();
            if ((state & writer) == 0) state = state_.fetch_or(writer);
        }
        writers_.store(1 | mark);
        if ((state & write_phase) != 0) return;
        state |= writer;
        while ((state & write_phase) == 0 && state < reader) {
            if (state_.compare_exchange_weak(state, state | write_phase)) {
                phase_.store(1);
                return;
            }
        }
        // The last reader starts the write phase, and tells.
        wait_for_phase(1);
    }

    bool try_lock() {
        uint32_t state = state_.load();
        while ((state & writer) == 0 && state < reader) {
            if (!state_.compare_exchange_weak(state, state | write_phase | writer)) continue;
            writers_.store(1);
            if ((state & write_phase) == 0 || bugs.try_write_forgets_sleepers) phase_.store(1);
            return true;
        }
        return false;
    }

    void unlock() {
        const uint32_t waiting = writers_.exchange(0);
        uint32_t state = state_.load();
        uint32_t after = 0;
        do {
            after = state & ~writer;
            if (state >= reader) after &= ~write_phase;
        } while (!state_.compare_exchange_weak(state, after));
        if (state >= reader) change_phase(0);
        if ((waiting & sleepers) != 0) {
            Policy::futex_wake(&writers_, 1, sync::FutexScope::process_private);
        }
    }

  private:
    static constexpr uint32_t write_phase = 1;
    static constexpr uint32_t writer = 2;        ///< A writer has won and enters next, or is in.
    static constexpr uint32_t readers_wait = 4;  ///< Readers sleep on the state.
    static constexpr uint32_t reader = 8;        ///< One reader; the upper bits count them.
    static constexpr uint32_t sleepers = 2;      ///< In phase_ and writers_: somebody may sleep.

    using FutexWord = typename Policy::FutexWord;

    static void sleep(const FutexWord& word, uint32_t expected) {
        Policy::futex_wait(word, expected, sync::FutexScope::process_private);
    }
    static void wake_all(const FutexWord& word) {
        Policy::futex_wake(&word, UINT32_MAX, sync::FutexScope::process_private);
    }

    void change_phase(uint32_t to) {
        if ((phase_.exchange(to) & sleepers) != 0) wake_all(phase_);
    }

    /// Waits until the state and phase_ both say `to` (0: reading, 1: writing).
    void wait_for_phase(uint32_t to) {
        const uint32_t other = 1 - to;
        bool state_says = false;
        while (true) {
            for (uint32_t phase = phase_.load(); (phase & 1) == other; phase = phase_.load()) {
                if ((phase & sleepers) != 0 ||
                    phase_.compare_exchange_strong(phase, other | sleepers)) {
                    sleep(phase_, other | sleepers);
                }
            }
            if (state_says) return;
            state_says = (state_.load() & write_phase) == to * write_phase;
            if (!state_says) Policy::spin_wait();
        }
    }

    /// Readers are in and a writer waits: a new reader sleeps until the last of them has left.
    void let_writer_go_first() {
        uint32_t state = state_.load();
        while ((state & (write_phase | writer)) == writer && state >= reader) {
            if ((state & readers_wait) == 0 &&
                !state_.compare_exchange_weak(state, state | readers_wait)) {
                continue;
            }
            state |= readers_wait;
            uint32_t now = state_.load();
            while ((now & readers_wait) != 0) {
                sleep(state_, bugs.stale_state ? state : now);
                now = state_.load();
            }
            if (bugs.stale_state) {
                Policy::spin_wait();
            } else {
                state = now;
            }
        }
    }

    FutexWord state_ = 0;
    FutexWord phase_ = 0;    ///< The phase, and whether somebody may sleep until it changes.
    FutexWord writers_ = 0;  ///< 1 when writers may sleep until the winner leaves.
};

}  // namespace braidway::explore
