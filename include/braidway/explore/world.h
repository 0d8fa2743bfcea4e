// SPDX-License-Identifier: Apache-2.0
// The words in which a test describes the program that the explorer runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace braidway::explore {

class Execution;

/// One execution as the test sets it up: what threads share, the threads, and what must hold at
/// the end.
///
/// Only operations on explore::Atomic, futex calls and the functions below are points where another
/// thread may run: plain memory is touched as if between two of them nobody else did anything. What
/// a lock is to protect should therefore be an Atomic, or be entered and left with one, where the
/// test is to see that it does not.
///
/// An execution that fails, or whose process is killed, leaves its threads where they are: nothing
/// on their stacks is destroyed, as memory that they own is not given back.
///
/// Limits:  32 threads; with kills_max, threads and killable processes together; under TSO each
///          thread counts twice. A futex_wake() has at most 65,535 ways to choose whom it wakes
///          (all 20 of 20 sleepers are one way, 10 of 20 too many). A setup beyond that ends as
///          failed. A thread has 256 KiB of stack, and running over it ends the process, as does
///          an exploration inside another one.
/// Threads: used by the setup function only.
class World {
  public:
    /// Makes a T that lives until the end of the execution. `name` stands in traces for its
    /// addresses.
    template <typename T, typename... Args>
    T& share(std::string_view name, Args&&... args) {
        using Object = std::remove_const_t<T>;
        Object* const object =
            ::new (room(name, sizeof(T), alignof(T))) Object(std::forward<Args>(args)...);
        at_end(object, [](void* it) { static_cast<Object*>(it)->~Object(); });
        return *object;
    }

    /// Adds a thread. Its body may use what share() returned, by reference.
    void thread(std::string_view name, std::function<void()> body);

    /// As thread(), for a thread whose process (a number from 1 on) may be killed where
    /// Options::kills_max allows it: all threads of the process end where they are, nothing is
    /// unwound.
    void killable_thread(std::string_view name, unsigned process, std::function<void()> body);

    /// Runs after all threads have ended, alone.
    void finally(std::function<void()> body);

  private:
    friend class Execution;
    explicit World(Execution& execution) : execution_(execution) {}

    void* room(std::string_view name, size_t size_bytes, size_t alignment);
    void at_end(void* object, void (*destroy)(void*));

    Execution& execution_;
};

/// Inside a thread, setup or finally(): ends the execution as failed when `condition` is false. In
/// setup it does so by an exception, which is to be let through.
/// `sentence` says what should have been and outlives the exploration.
void check(bool condition, const char* sentence);

/// Inside a thread: every value from 0 to count - 1 is explored.
///
/// Errors:  the execution ends as failed where `count` is 0 or above 65,535, and in setup and
///          finally(), where one value would be taken and the others never looked at.
unsigned choose(unsigned count);

/// Inside a thread: another thread may run here.
void yield();

/// Inside a thread: writes a line into the trace.
void note(std::string_view text);

/// Inside a thread: has the process of this number been killed? A visible step: it depends on the
/// kill.
bool process_killed(unsigned process);

}  // namespace braidway::explore
