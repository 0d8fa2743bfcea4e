// SPDX-License-Identifier: Apache-2.0
// Each test plays in a child of its own, because the signals' actions belong to the whole process.
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <thread>

#include "braidway/sync/user_access.h"
#include "sync/user_memory.h"

namespace braidway::sync {
namespace {

// Reads that no sanitizer looks at first and no compiler leaves out.
uint8_t plain_load(const void* address) {
    uint8_t value = 0;
#if defined(__x86_64__)
    asm volatile("movb (%1), %0" : "=r"(value) : "r"(address) : "memory");
#else
    asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
#endif
    return value;
}

/// An address at which nothing is mapped, and of which the compiler knows nothing.
void* nowhere() {
    static volatile uintptr_t address = 16;
    return reinterpret_cast<void*>(address);
}

/// What the handlers below saw.
struct Seen {
    volatile sig_atomic_t calls = 0;
    void* volatile address = nullptr;
    volatile int code = 0;
    volatile bool blocked = false;
    volatile bool other_blocked = false;
};
Seen seen;

bool is_blocked(int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return sigismember(&mask, signal) == 1;
}

/// Notes what it was told and gives the page a reader, so that the instruction goes on.
void note_and_repair(int signal, siginfo_t* info, void* /*context*/) {
    seen.calls = seen.calls + 1;
    seen.address = info->si_addr;
    seen.code = info->si_code;
    seen.blocked = is_blocked(signal);
    seen.other_blocked = is_blocked(SIGUSR1);
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr) / page * page;
    mprotect(reinterpret_cast<void*>(address), page, PROT_READ | PROT_WRITE);
}

void* repairable = nullptr;
void note_plainly(int /*signal*/) {
    seen.calls = seen.calls + 1;
    mprotect(repairable, page, PROT_READ | PROT_WRITE);
}

struct sigaction repairing(int flags) {
    struct sigaction action{};
    action.sa_sigaction = note_and_repair;
    action.sa_flags = SA_SIGINFO | flags;
    sigemptyset(&action.sa_mask);
    return action;
}

TEST(FaultSignals, LeaveABugElsewhereToKillWithItsOwnSignal) {
    EXPECT_TRUE(died_of(status_of_child([] {
                            if (!put_before_default()) return 1;
                            return int{plain_load(nowhere())};
                        }),
                        SIGSEGV));
    EXPECT_TRUE(died_of(status_of_child([] {
                            const CutMemory memory(1, false);
                            if (!put_before_default()) return 1;
                            memory.truncate(0);
                            return int{plain_load(memory.data())};
                        }),
                        SIGBUS));
}

TEST(FaultSignals, ForgiveOnlyAccessorsInAWindow) {
    // A plain instruction at an address in a window.
    EXPECT_TRUE(died_of(status_of_child([] {
                            if (!put_before_default()) return 1;
                            const CutMemory memory(1);
                            memory.truncate(0);
                            return int{plain_load(memory.data())};
                        }),
                        SIGBUS));
    // An accessor at an address outside.
    EXPECT_TRUE(died_of(status_of_child([] {
                            if (!put_before_default()) return 1;
                            const CutMemory memory(1);
                            return try_load(static_cast<const uint64_t*>(nowhere())).has_value()
                                       ? 2
                                       : 3;
                        }),
                        SIGSEGV));
    // A copy out of a window to a bad address of ours.
    EXPECT_TRUE(died_of(status_of_child([] {
                            if (!put_before_default()) return 1;
                            const CutMemory memory(1);
                            auto* const bad = static_cast<std::byte*>(nowhere());
                            return try_copy_from({bad, 300}, memory.data()) == 0 ? 2 : 3;
                        }),
                        SIGSEGV));
}

TEST(FaultSignals, TellTheEarlierHandlerEverythingTheKernelSaid) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                struct sigaction action = repairing(0);
                                sigaddset(&action.sa_mask, SIGUSR1);
                                if (!put_before(action)) return 1;
                                const CutMemory memory(1, false);
                                memory.protect(0, 1, PROT_NONE);
                                if (plain_load(memory.data() + 9) != 0) return 2;
                                if (seen.calls != 1 || seen.address != memory.data() + 9) return 3;
                                if (seen.code != SEGV_ACCERR) return 4;
                                if (!seen.blocked || !seen.other_blocked) return 5;
                                if (is_blocked(SIGSEGV) || is_blocked(SIGUSR1)) return 6;
                                return 0;
                            }),
                            0));
}

TEST(FaultSignals, CallAnEarlierHandlerOfThePlainKind) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                struct sigaction action{};
                                action.sa_handler = note_plainly;
                                if (!put_before(action)) return 1;
                                const CutMemory memory(1, false);
                                repairable = memory.data();
                                memory.protect(0, 1, PROT_NONE);
                                return plain_load(memory.data()) == 0 && seen.calls == 1 ? 0 : 2;
                            }),
                            0));
}

TEST(FaultSignals, DoNotCallAnEarlierHandlerForAForgivenFault) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                if (!put_before(repairing(0))) return 1;
                                const CutMemory memory(1);
                                memory.truncate(0);
                                if (try_load(memory.at<uint8_t>(0)).has_value()) return 2;
                                return seen.calls == 0 ? 0 : 3;
                            }),
                            0));
}

TEST(FaultSignals, CallAnEarlierHandlerThatResetsItselfOnceOnly) {
    EXPECT_TRUE(died_of(status_of_child([] {
                            if (!put_before(repairing(static_cast<int>(SA_RESETHAND)))) return 1;
                            const CutMemory memory(2, false);
                            memory.protect(0, 2, PROT_NONE);
                            if (plain_load(memory.data()) != 0 || seen.calls != 1) return 2;
                            return int{plain_load(memory.data() + page)};
                        }),
                        SIGSEGV));
}

TEST(FaultSignals, LetSignalsThatWereSentBeIgnoredButNoFault) {
    const auto ignore = [] {
        struct sigaction action{};
        action.sa_handler = SIG_IGN;
        return put_before(action);
    };
    EXPECT_TRUE(exited_with(status_of_child([&] {
                                if (!ignore()) return 1;
                                raise(SIGSEGV);
                                return kill(getpid(), SIGBUS);
                            }),
                            0));
    EXPECT_TRUE(died_of(status_of_child([&] {
                            if (!ignore()) return 1;
                            return int{plain_load(nowhere())};
                        }),
                        SIGSEGV));
}

TEST(FaultSignals, LetASignalThatWasSentKillOnce) {
    EXPECT_TRUE(died_of(status_of_child([] {
                            if (!put_before_default()) return 1;
                            const CutMemory memory(1);
                            return kill(getpid(), SIGBUS);
                        }),
                        SIGBUS));
}

struct sigaction replaced_by_library;
/// A library's handler that calls what it replaced: ours.
void call_replaced(int signal, siginfo_t* info, void* context) {
    seen.calls = seen.calls + 1;
    replaced_by_library.sa_sigaction(signal, info, context);
}

TEST(FaultSignals, MakeNoRingWithALibraryThatCallsTheHandlerItReplaced) {
    const auto in_front_again = [] {
        if (!put_before_default()) return false;
        struct sigaction action{};
        action.sa_sigaction = call_replaced;
        action.sa_flags = SA_SIGINFO;
        if (sigaction(SIGSEGV, &action, &replaced_by_library) != 0) return false;
        return ensure_fault_handlers();
    };
    EXPECT_TRUE(died_of(status_of_child([&] {
                            if (!in_front_again()) return 1;
                            return int{plain_load(nowhere())};
                        }),
                        SIGSEGV));
    EXPECT_TRUE(exited_with(status_of_child([&] {
                                if (!in_front_again()) return 1;
                                const CutMemory memory(1);
                                memory.protect(0, 1, PROT_NONE);
                                if (try_load(memory.at<uint8_t>(0)).has_value()) return 2;
                                return seen.calls == 0 ? 0 : 3;
                            }),
                            0));
}

TEST(FaultSignals, AreRefusedInWordsWhenTheyWereReplacedTooOften) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                int installs = 0;
                                while (put_before_default() && installs < 100) ++installs;
                                const std::byte byte{};
                                const auto window = UserWindow::add({&byte, 1});
                                if (window || !window.error().contains("pread")) return 1;
                                return installs >= 6 && installs <= 8 ? 0 : 2;
                            }),
                            0));
}

/// Forks again and again, with a thread beside that calls `beside` without a pause, and runs `body`
/// in each child. Returns 0, or 3 when a child hung or failed.
template <typename Beside, typename Body>
int fork_beside(Beside&& beside, Body&& body) {
    std::jthread thread([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) beside();
    });
    for (int turn = 0; turn < 200; ++turn) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(5);
            _exit(body() ? 0 : 1);
        }
        int status = 0;
        if (waitpid(child, &status, 0) != child || !exited_with(status, 0)) return 3;
    }
    return 0;
}

TEST(FaultSignals, AreEnsuredInAChildOfAForkWhileAnotherThreadEnsuresThem) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                if (!put_before_default()) return 1;
                                return fork_beside(ensure_fault_handlers, ensure_fault_handlers);
                            }),
                            0));
}

TEST(FaultSignals, MayBeInstalledInAChildOfAForkWhileAnotherThreadInstallsThem) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                // Soon refused each time, as there is no place left: but only after
                                // a look with the mutex held.
                                return fork_beside(put_before_default, [] {
                                    put_before_default();
                                    return true;
                                });
                            }),
                            0));
}

TEST(FaultSignals, WorkOnAnAlternateStack) {
    EXPECT_TRUE(exited_with(status_of_child([] {
                                static char stack[256 * 1024];
                                const stack_t alternate{stack, 0, sizeof(stack)};
                                if (sigaltstack(&alternate, nullptr) != 0) return 1;
                                const CutMemory memory(1);
                                memory.truncate(0);
                                return try_load(memory.at<uint8_t>(0)).has_value() ? 2 : 0;
                            }),
                            0));
}

TEST(FaultSignals, KillAThreadThatBlocksThemUnlessItUnblocksThem) {
    const auto blocked_then = [](bool unblock) {
        return status_of_child([=] {
            if (!put_before_default()) return 1;
            const CutMemory memory(1);
            memory.truncate(0);
            int result = 1;
            std::thread([&] {
                sigset_t all;
                sigfillset(&all);
                pthread_sigmask(SIG_BLOCK, &all, nullptr);
                if (unblock) unblock_fault_signals();
                result = try_load(memory.at<uint8_t>(0)).has_value() ? 2 : 0;
            }).join();
            return result;
        });
    };
    EXPECT_TRUE(exited_with(blocked_then(true), 0));
    EXPECT_TRUE(died_of(blocked_then(false), SIGBUS));
}

}  // namespace
}  // namespace braidway::sync
