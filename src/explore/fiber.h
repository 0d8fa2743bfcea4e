// SPDX-License-Identifier: Apache-2.0
// A stack of its own that one thread of the machine switches to and away from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace braidway::explore {

class Fiber;

/// Where one flow of control stands while another one runs.
///
/// Switching saves the registers that a called function must keep, and the exceptions that are
/// being handled; no system call. Floating-point modes and the signal mask are shared by all.
///
/// Threads: one.
class Context {
  public:
    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() = default;

    /// Stops here and goes on where `to` stopped. Returns when somebody switches back.
    void switch_to(Context& to);

  private:
    friend class Fiber;
    /// Tells the sanitizers that the switch under way has come to the stack with this fake one.
    static void arrive(void* fake_stack);

    void* stack_pointer_ = nullptr;
    Fiber* fiber_ = nullptr;  ///< Whose this is; none for the stack of the machine's thread.
    void* caught_exceptions_[2] = {nullptr, nullptr};
    // For the sanitizers, who must know which stack is in use.
    void* fake_stack_ = nullptr;
    const void* stack_bottom_ = nullptr;
    size_t stack_size_bytes_ = 0;
    void* tsan_fiber_ = nullptr;
};

/// A Context with a stack and a function.
///
/// Shapes:  stack_size_bytes of stack below which a page faults: running over it ends the process.
/// Errors:  no memory for the stack ends the process.
/// Threads: one.
class Fiber {
  public:
    static constexpr size_t stack_size_bytes = size_t{256} << 10;

    /// `entry(argument)` runs when the fiber is first switched to; it never returns.
    Fiber(void (*entry)(void*), void* argument);
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// Forgets where the fiber stands, without unwinding: it begins anew when switched to.
    void restart();

    Context& context() { return context_; }

    /// Behind the stack's highest byte.
    const char* stack_end() const { return stack_ + stack_size_bytes; }
    bool has_on_stack(const char* address) const {
        return std::less_equal<>{}(stack_, address) && std::less<>{}(address, stack_end());
    }
    /// Forgets what the highest part of the stack held. The fiber has been restarted, and not yet
    /// switched to.
    void wipe();

  private:
    [[noreturn]] static void begin();
    /// Frames that are forgotten have left their red zones in the stack.
    void unpoison();

    Context context_;
    char* stack_;  ///< Its lowest byte.
    void (*entry_)(void*);
    void* argument_;
};

}  // namespace braidway::explore
