// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/signals.h"

#include <signal.h>
#include <ucontext.h>

#include <cerrno>

#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"

namespace braidway::lockcheck {
namespace {

constexpr int signals_max = 64;

/// What the program set for a signal, where the kernel has run_handler().
struct Handler {
    std::atomic<void*> function = nullptr;
    std::atomic<bool> wants_info = false;
};
constinit Handler handlers[signals_max + 1];

uint64_t bit(int number) {
    return uint64_t{1} << (number - 1);
}

uint64_t low_bits(const sigset_t& set) {
    return set.__val[0];
}

uint64_t mask_now() {
    uint64_t mask = 0;
    raw_call(SYS_rt_sigprocmask, SIG_BLOCK, 0, as_word(&mask), sizeof mask);
    return mask;
}

void tell_mask(ThreadRecord& self, uint64_t mask) {
    ++self.inside;
    validator().signals_blocked(*self.thread, mask);
    --self.inside;
}

/// The entry above the thread's held locks: a handler that comes while the thread writes it, before
/// it is counted, would leave its own there.
class KeptEntry {
  public:
    explicit KeptEntry(ThreadRecord& self) {
        if (self.thread->held_count() < self.thread->held_room()) {
            thread_ = self.thread;
            index_ = thread_->held_count();
            copy(thread_->held(index_), kept_);
        }
    }
    ~KeptEntry() {
        if (thread_ != nullptr) copy(kept_, const_cast<lockdep::HeldLock&>(thread_->held(index_)));
    }
    KeptEntry(const KeptEntry&) = delete;
    KeptEntry& operator=(const KeptEntry&) = delete;

  private:
    static void copy(const lockdep::HeldLock& from, lockdep::HeldLock& into) {
        into.lock.store(from.lock.load(std::memory_order_relaxed), std::memory_order_relaxed);
        into.id.store(from.id.load(std::memory_order_relaxed), std::memory_order_relaxed);
        into.access.store(from.access.load(std::memory_order_relaxed), std::memory_order_relaxed);
        into.stack.store(from.stack.load(std::memory_order_relaxed), std::memory_order_relaxed);
        into.key_before = from.key_before;
        into.site = from.site;
    }

    lockdep::Thread* thread_ = nullptr;
    uint32_t index_ = 0;
    lockdep::HeldLock kept_;
};

void call_handler(int number, siginfo_t* info, void* context) {
    void* const function = handlers[number].function.load(std::memory_order_acquire);
    if (handlers[number].wants_info.load(std::memory_order_relaxed)) {
        reinterpret_cast<void (*)(int, siginfo_t*, void*)>(function)(number, info, context);
    } else {
        reinterpret_cast<void (*)(int)>(function)(number);
    }
}

/// False: too many are nested, and this one is not told.
bool handler_starts(ThreadRecord& self, int number, const ucontext_t* context, uintptr_t frame) {
    const KeptErrno kept;
    in_validator(self, [&] {
        forget_left_handlers(self, frame);
        if (self.handler_count < ThreadRecord::handlers_max)
            validator().handler_begins(*self.thread, number);
    });
    if (self.handler_count == ThreadRecord::handlers_max) return false;
    ThreadRecord::Handler& handler = self.handlers[self.handler_count++];
    handler.stack_pointer = frame;
    handler.number = number;
    handler.stack_low = handler.stack_high = 0;
    handler.blocked_before = self.thread->signals_blocked();
    if (context != nullptr && (context->uc_stack.ss_flags & SS_DISABLE) == 0) {
        handler.stack_low = reinterpret_cast<uintptr_t>(context->uc_stack.ss_sp);
        handler.stack_high = handler.stack_low + context->uc_stack.ss_size;
    }
    tell_mask(self, mask_now());
    return true;
}

void handler_stops(ThreadRecord& self, const ucontext_t* context, uintptr_t frame) {
    const KeptErrno kept;
    in_validator(self, [&] {
        // Nested ones that were left by a jump; its own frame was not.
        forget_left_handlers(self, frame - 1);
        validator().handler_ends(*self.thread);
    });
    if (self.handler_count == 0) return;
    // What signal() has set gets no context; the kernel gives the mask of before back all the same.
    const uint64_t before = self.handlers[--self.handler_count].blocked_before;
    tell_mask(self, context != nullptr ? low_bits(context->uc_sigmask) : before);
}

/// Did the interrupted code itself raise the signal, by what it did just then? Such a handler comes
/// where that code is, and nowhere else: it is a part of it.
bool is_fault(int number, const siginfo_t* info) {
    const bool may_be = number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
                        number == SIGILL || number == SIGTRAP;
    return may_be && info != nullptr && info->si_code > 0 && info->si_code != SI_KERNEL;
}

/// What the kernel calls for every signal that the program handles.
void run_handler(int number, siginfo_t* info, void* context) {
    ThreadRecord* const self = current_record;
    if (self == nullptr || self->inside > 0 || is_fault(number, info))
        return call_handler(number, info, context);
    const auto* const from = static_cast<const ucontext_t*>(context);
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    const KeptEntry kept(*self);
    const bool told = handler_starts(*self, number, from, frame);
    call_handler(number, info, context);
    if (told) handler_stops(*self, from, frame);
}

/// The same for those that were set without SA_SIGINFO by signal().
void run_plain_handler(int number) {
    run_handler(number, nullptr, nullptr);
}

bool is_function(void* handler) {
    return handler != reinterpret_cast<void*>(SIG_DFL) &&
           handler != reinterpret_cast<void*>(SIG_IGN) &&
           handler != reinterpret_cast<void*>(SIG_ERR) &&
           handler != reinterpret_cast<void*>(SIG_HOLD);
}

bool is_ours(void* handler) {
    return handler == reinterpret_cast<void*>(run_handler) ||
           handler == reinterpret_cast<void*>(run_plain_handler);
}

constinit std::atomic<uint64_t> handled{0};

void tell_handled(int number) {
    const uint64_t before = handled.fetch_or(bit(number), std::memory_order_relaxed);
    if ((before & bit(number)) != 0) return;
    if (ThreadRecord* const self = watched())
        in_validator(*self, [&] { validator().signals_handled(before | bit(number)); });
}

/// The signal is ignored from now on, or has the default action.
void tell_not_handled(int number) {
    const uint64_t before = handled.fetch_and(~bit(number), std::memory_order_relaxed);
    if ((before & bit(number)) == 0) return;
    if (ThreadRecord* const self = watched())
        in_validator(*self, [&] { validator().signals_handled(before & ~bit(number)); });
}

/// May the handler be put under ours? Children of vfork() would change their parent's table.
bool takes_over(int number, void* handler) {
    return make_ready() && number >= 1 && number <= signals_max && is_function(handler) &&
           in_own_process();
}

/// signal() and its kin: `set` decides flags and masks; the handler is ours.
template <typename Set>
sighandler_t set_handler(Set* set, int number, sighandler_t handler) {
    const bool known = number >= 1 && number <= signals_max;
    void* const before = known ? handlers[number].function.load() : nullptr;
    const bool info_before = known && handlers[number].wants_info.load();
    void* const given = reinterpret_cast<void*>(handler);
    const bool ours = takes_over(number, given);
    if (ours) {
        handlers[number].function.store(given);
        handlers[number].wants_info.store(false);
    }
    const sighandler_t old = set(number, ours ? run_plain_handler : handler);
    if (ours && old == SIG_ERR) {
        handlers[number].function.store(before);
        handlers[number].wants_info.store(info_before);
    } else if (ours) {
        tell_handled(number);
    } else if (known && old != SIG_ERR && !is_function(given) && in_own_process()) {
        tell_not_handled(number);
    }
    return is_ours(reinterpret_cast<void*>(old)) ? reinterpret_cast<sighandler_t>(before) : old;
}

int set_action(int number, const struct sigaction* action, struct sigaction* old) {
    if (!make_ready() && real.sigaction == nullptr) return errno = EAGAIN, -1;
    if (number < 1 || number > signals_max) return real.sigaction(number, action, old);
    Handler& entry = handlers[number];
    void* const before = entry.function.load();
    const bool info_before = entry.wants_info.load();
    const bool ours =
        action != nullptr && takes_over(number, reinterpret_cast<void*>(action->sa_handler));
    struct sigaction set{};
    if (ours) {
        set = *action;
        entry.function.store(reinterpret_cast<void*>(action->sa_handler));
        entry.wants_info.store((action->sa_flags & SA_SIGINFO) != 0);
        set.sa_sigaction = run_handler;
        set.sa_flags |= SA_SIGINFO;
    }
    struct sigaction previous{};
    const int result = real.sigaction(number, ours ? &set : action, &previous);
    if (result != 0) {
        if (ours) {
            entry.function.store(before);
            entry.wants_info.store(info_before);
        }
        return result;
    }
    if (ours)
        tell_handled(number);
    else if (action != nullptr && in_own_process() &&
             !is_function(reinterpret_cast<void*>(action->sa_handler)))
        tell_not_handled(number);
    if (old != nullptr) {
        *old = previous;
        if (is_ours(reinterpret_cast<void*>(previous.sa_handler))) {
            old->sa_handler = reinterpret_cast<sighandler_t>(before);
            if (!info_before) old->sa_flags &= ~SA_SIGINFO;
        }
    }
    return result;
}

}  // namespace

void block_all_signals(uint64_t& old_mask) {
    const uint64_t all = ~uint64_t{0};
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, as_word(&all), as_word(&old_mask), sizeof all);
}

void restore_signals(uint64_t old_mask) {
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, as_word(&old_mask), 0, sizeof old_mask);
}

uint64_t blocked_signals() {
    return mask_now();
}

void forget_left_handlers(ThreadRecord& self, uintptr_t frame) {
    while (self.handler_count > 0) {
        const ThreadRecord::Handler& top = self.handlers[self.handler_count - 1];
        const auto in_alternate = [&top](uintptr_t at) {
            return at >= top.stack_low && at < top.stack_high;
        };
        const bool same_stack = in_alternate(top.stack_pointer) == in_alternate(frame);
        if (same_stack && frame < top.stack_pointer) return;
        // A nested handler on the alternate stack, above one on the thread's.
        if (!same_stack && in_alternate(frame)) return;
        --self.handler_count;
        validator().handler_ends(*self.thread);
    }
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int sigaction(int number, const struct sigaction* __restrict action,
                               struct sigaction* __restrict old) noexcept {
    return set_action(number, action, old);
}

#define LOCKCHECK_SET_HANDLER(name)                                                 \
    LOCKCHECK_EXPORT sighandler_t name(int number, sighandler_t handler) noexcept { \
        make_ready();                                                               \
        return set_handler(real.name, number, handler);                             \
    }
LOCKCHECK_SET_HANDLER(signal)
LOCKCHECK_SET_HANDLER(bsd_signal)
LOCKCHECK_SET_HANDLER(ssignal)
LOCKCHECK_SET_HANDLER(sysv_signal)
LOCKCHECK_SET_HANDLER(__sysv_signal)
#undef LOCKCHECK_SET_HANDLER

LOCKCHECK_EXPORT int pthread_sigmask(int how, const sigset_t* __restrict set,
                                     sigset_t* __restrict old) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_sigmask(how, set, old);
    if (result == 0 && set != nullptr && self != nullptr) tell_mask(*self, mask_now());
    return result;
}

LOCKCHECK_EXPORT int sigprocmask(int how, const sigset_t* __restrict set,
                                 sigset_t* __restrict old) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.sigprocmask(how, set, old);
    if (result == 0 && set != nullptr && self != nullptr) tell_mask(*self, mask_now());
    return result;
}

LOCKCHECK_ALIAS(__sigaction, sigaction)
