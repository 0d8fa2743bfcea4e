// SPDX-License-Identifier: Apache-2.0
#include "explore/fiber.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"

// Of the sanitizers' run-time libraries, who must know which stack is in use. Weak: whether one is
// there is decided by the program that the installed library is linked into, not when this is
// compiled. As in <sanitizer/common_interface_defs.h>, asan_interface.h and tsan_interface.h.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom,
                                                  size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom_old,
                                                   size_t* size_old);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* begin, size_t size);
[[gnu::weak]] void* __tsan_get_current_fiber(void);
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
}

// braidway_explore_switch(&from, to): keeps what a called function must keep on the stack, its
// pointer in `from`, and takes both back from `to`.
// braidway_explore_begin: where a new fiber starts; there is no caller to return to.
#if defined(__x86_64__)
asm(R"(
.text
.p2align 4
.hidden braidway_explore_switch
.type braidway_explore_switch, @function
braidway_explore_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size braidway_explore_switch, .-braidway_explore_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.p2align 4
.hidden braidway_explore_switch
.type braidway_explore_switch, %function
braidway_explore_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size braidway_explore_switch, .-braidway_explore_switch
)");
#else
#error "the explorer has no fiber switch for this processor yet"
#endif

extern "C" void braidway_explore_switch(void** from, void* to) asm("braidway_explore_switch");

namespace braidway::explore {
namespace {

/// Of the switch under way.
[[gnu::tls_model("initial-exec")]] constinit thread_local Context* left = nullptr;
[[gnu::tls_model("initial-exec")]] constinit thread_local Context* entered = nullptr;
[[gnu::tls_model("initial-exec")]] constinit thread_local void* known_globals = nullptr;

size_t guard_size_bytes() {
    static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return size;
}

/// What <cxxabi.h> keeps for each thread of the machine: its two words, whose type it hides.
void* exception_globals() {
    if (known_globals == nullptr) known_globals = abi::__cxa_get_globals();
    return known_globals;
}

constexpr size_t exception_globals_bytes = 2 * sizeof(void*);

/// Stacks, each above its guard page. Those that are free are kept: a short exploration takes less
/// time than mapping them.
class Stacks {
  public:
    Stacks() = default;
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;
    ~Stacks() {
        for (char* const stack : free_) {
            munmap(stack - guard_size_bytes(), guard_size_bytes() + Fiber::stack_size_bytes);
        }
    }

    char* take() {
        if (!free_.empty()) {
            char* const stack = free_.back();
            free_.pop_back();
            return stack;
        }
        void* const memory =
            mmap(nullptr, guard_size_bytes() + Fiber::stack_size_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        CHECK(memory != MAP_FAILED, "there is no memory for the stack of a fiber");
        CHECK(mprotect(memory, guard_size_bytes(), PROT_NONE) == 0,
              "the page below a fiber's stack cannot be protected");
        return static_cast<char*>(memory) + guard_size_bytes();
    }
    void give_back(char* stack) { free_.push_back(stack); }

  private:
    std::vector<char*> free_;
};

thread_local Stacks stacks;

}  // namespace

void Context::switch_to(Context& to) {
    void* const globals = exception_globals();
    std::memcpy(caught_exceptions_, globals, exception_globals_bytes);
    std::memcpy(globals, to.caught_exceptions_, exception_globals_bytes);
    left = this;
    entered = &to;
    if (__sanitizer_start_switch_fiber != nullptr)
        __sanitizer_start_switch_fiber(&fake_stack_, to.stack_bottom_, to.stack_size_bytes_);
    if (__tsan_switch_to_fiber != nullptr) {
        if (tsan_fiber_ == nullptr) tsan_fiber_ = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(to.tsan_fiber_, 0);
    }
    braidway_explore_switch(&stack_pointer_, to.stack_pointer_);
    arrive(fake_stack_);
}

void Context::arrive(void* fake_stack) {
    if (__sanitizer_finish_switch_fiber == nullptr) return;
    __sanitizer_finish_switch_fiber(fake_stack, &left->stack_bottom_, &left->stack_size_bytes_);
}

Fiber::Fiber(void (*entry)(void*), void* argument) : entry_(entry), argument_(argument) {
    stack_ = stacks.take();
    context_.fiber_ = this;
    restart();
}

Fiber::~Fiber() {
    if (__tsan_destroy_fiber != nullptr) __tsan_destroy_fiber(context_.tsan_fiber_);
    unpoison();
    stacks.give_back(stack_);
}

void Fiber::unpoison() {
    if (__asan_unpoison_memory_region != nullptr)
        __asan_unpoison_memory_region(stack_, stack_size_bytes);
}

void Fiber::restart() {
    unpoison();
    context_.fake_stack_ = nullptr;
    context_.stack_bottom_ = stack_;
    context_.stack_size_bytes_ = stack_size_bytes;
    if (__tsan_create_fiber != nullptr) {
        if (context_.tsan_fiber_ != nullptr) __tsan_destroy_fiber(context_.tsan_fiber_);
        context_.tsan_fiber_ = __tsan_create_fiber(0);
    }
    std::memset(context_.caught_exceptions_, 0, sizeof(context_.caught_exceptions_));
    void** top = reinterpret_cast<void**>(stack_ + stack_size_bytes);
#if defined(__x86_64__)
    // Popped by the switch: six registers and the address to go to, at which the stack is as after
    // a call from nowhere.
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(&Fiber::begin);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
#else
    top -= 2;
    top -= 20;
    std::memset(top, 0, 20 * sizeof(void*));
    top[11] = reinterpret_cast<void*>(&Fiber::begin);
#endif
    context_.stack_pointer_ = top;
}

void Fiber::wipe() {
    constexpr size_t wiped_bytes = size_t{16} << 10;
    char* const top = static_cast<char*>(context_.stack_pointer_);
    std::memset(stack_ + stack_size_bytes - wiped_bytes, 0,
                wiped_bytes - static_cast<size_t>(stack_ + stack_size_bytes - top));
}

void Fiber::begin() {
    Context::arrive(nullptr);
    Fiber* const self = entered->fiber_;
    self->entry_(self->argument_);
    std::unreachable();
}

}  // namespace braidway::explore
