// SPDX-License-Identifier: Apache-2.0
// The handler of SIGSEGV and SIGBUS: forgives what user_window.h says, and passes everything else
// on as if it were not there.
//
// Whoever replaces our handler may keep it and call it for what is not his, and when we then go in
// front of him again, each would pass a real fault to the other for ever. So each time we install
// another function, which has its own predecessor: a chain without a ring.
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <type_traits>
#include <utility>

#include "braidway/sync/mutex.h"
#include "braidway/sync/user_window.h"
#include "sync/fault_fixup.h"

namespace braidway::sync {
namespace {

constexpr unsigned installs_max = 8;

enum FaultSignal : unsigned { segv, bus };
constexpr std::array fault_signals{SIGSEGV, SIGBUS};

/// The action that one of our handlers took the place of.
struct Earlier {
    struct sigaction action{};
    std::atomic<bool> reset = false;  ///< It had SA_RESETHAND and has had its one call.
};

/// Written before the handler that reads it is installed, and never again. No destructor: handlers
/// run until the very end.
constinit std::array<std::array<Earlier, installs_max>, fault_signals.size()> earlier_actions;

/// The register with the address of the instruction that faulted, and where the thread goes on.
auto& instruction_of(ucontext_t& context) {
#if defined(__x86_64__)
    return context.uc_mcontext.gregs[REG_RIP];
#else
    return context.uc_mcontext.pc;
#endif
}

/// Whether the instruction at the handler's return address caused it and would cause it again:
/// not a signal somebody sent, and not the news that some other page of memory is broken.
bool is_own_fault(int signal, const siginfo_t& info) {
    if (info.si_code <= 0) return false;
    return signal != SIGBUS || info.si_code != BUS_MCEERR_AO;
}

/// Ends the process as the kernel would have done without any handler.
void die(int signal, siginfo_t* info) {
    struct sigaction kill{};
    kill.sa_handler = SIG_DFL;
    sigaction(signal, &kill, nullptr);
    // The instruction runs again and kills, with registers and address as they were. A signal that
    // was sent does not come again by itself.
    if (!is_own_fault(signal, *info))
        syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signal, info);
}

/// Does what the kernel would have done had `earlier` been installed.
void pass_on(Earlier& earlier, int signal, siginfo_t* info, void* context) {
    const struct sigaction& action = earlier.action;
    const bool has_siginfo = (action.sa_flags & SA_SIGINFO) != 0;
    if (!has_siginfo && action.sa_handler == SIG_IGN) {
        // The kernel does not let a fault be ignored.
        if (is_own_fault(signal, *info)) die(signal, info);
        return;
    }
    const bool spent =
        (action.sa_flags & static_cast<int>(SA_RESETHAND)) != 0 && earlier.reset.exchange(true);
    if (spent || (!has_siginfo && action.sa_handler == SIG_DFL)) {
        die(signal, info);
        return;
    }
    // The mask it asked for; the kernel puts the interrupted thread's back when we return.
    sigset_t blocked = action.sa_mask;
    if ((action.sa_flags & SA_NODEFER) == 0) sigaddset(&blocked, signal);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    if (has_siginfo) {
        action.sa_sigaction(signal, info, context);
    } else {
        action.sa_handler(signal);
    }
}

/// The handler. Uses no thread-local variable, no allocation and no lock, and changes no errno when
/// it forgives.
template <FaultSignal which, unsigned install>
void on_fault(int signal, siginfo_t* info, void* context) {
    if (info->si_code > 0 && info->si_code != SI_KERNEL && is_own_fault(signal, *info)) {
        auto& instruction = instruction_of(*static_cast<ucontext_t*>(context));
        const uintptr_t fixup = user_access_fixup(static_cast<uintptr_t>(instruction),
                                                  reinterpret_cast<uintptr_t>(info->si_addr));
        if (fixup != 0) {
            instruction = static_cast<std::remove_reference_t<decltype(instruction)>>(fixup);
            return;
        }
    }
    pass_on(earlier_actions[which][install], signal, info, context);
}

using Handler = void (*)(int, siginfo_t*, void*);

template <FaultSignal which, unsigned... install>
constexpr std::array<Handler, installs_max> handlers_of(
    std::integer_sequence<unsigned, install...> /*installs*/) {
    return {on_fault<which, install>...};
}

constexpr std::array handlers{
    handlers_of<segv>(std::make_integer_sequence<unsigned, installs_max>()),
    handlers_of<bus>(std::make_integer_sequence<unsigned, installs_max>())};

constinit Mutex install_mutex;
constinit std::array<unsigned, fault_signals.size()> installs BRAIDWAY_GUARDED_BY(install_mutex){};

bool is_ours(unsigned which, const struct sigaction& action) {
    if ((action.sa_flags & SA_SIGINFO) == 0) return false;
    for (const Handler handler : handlers[which])
        if (action.sa_sigaction == handler) return true;
    return false;
}

// A child of fork() has its parent's mutex but not the thread that would unlock it.
void before_fork() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
    install_mutex.lock();
}
void after_fork() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
    install_mutex.unlock();
}
[[maybe_unused]] const int forks_watched = pthread_atfork(before_fork, after_fork, after_fork);

bool is_installed(unsigned which) {
    struct sigaction now{};
    return sigaction(fault_signals[which], nullptr, &now) == 0 && is_ours(which, now);
}

bool install(unsigned which) BRAIDWAY_REQUIRES(install_mutex) {
    struct sigaction& before = earlier_actions[which][installs[which]].action;
    if (sigaction(fault_signals[which], nullptr, &before) != 0) return false;
    struct sigaction ours{};
    ours.sa_sigaction = handlers[which][installs[which]];
    ours.sa_flags = static_cast<int>(SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
    sigemptyset(&ours.sa_mask);
    if (sigaction(fault_signals[which], &ours, nullptr) != 0) return false;
    // Sanitizers may be told to keep their own: they answer 0 and do nothing.
    if (!is_installed(which)) return false;
    ++installs[which];
    return true;
}

}  // namespace

bool ensure_fault_handlers() {
    // The usual case waits for nobody.
    if (is_installed(segv) && is_installed(bus)) return true;
    const MutexLock lock(install_mutex);
    for (unsigned which = 0; which < fault_signals.size(); ++which) {
        if (is_installed(which)) continue;
        if (installs[which] == installs_max || !install(which)) return false;
    }
    return true;
}

void unblock_fault_signals() noexcept {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : fault_signals) sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace braidway::sync
