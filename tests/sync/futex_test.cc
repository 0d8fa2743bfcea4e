// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/futex.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "support/until.h"

namespace braidway::sync {
namespace {

using namespace std::chrono_literals;
using Word = std::atomic<uint32_t>;
using Wait = FutexWait<Word>;
constexpr FutexScope here = FutexScope::process_private;
constexpr FutexScope shared = FutexScope::process_shared;

Deadline in_real_time(std::chrono::nanoseconds duration) {
    return std::chrono::sys_time<std::chrono::nanoseconds>(wall_clock_now() + duration);
}

/// A word in memory that other processes may map, and that can be taken away.
class SharedWord {
  public:
    SharedWord() : fd_(memfd_create("futex_test", MFD_CLOEXEC)) {
        if (ftruncate(fd_, page_bytes) != 0) return;
        void* const at = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
        if (at != MAP_FAILED) word_ = ::new (at) Word(0);
    }
    ~SharedWord() {
        munmap(word_, page_bytes);
        close(fd_);
    }
    SharedWord(const SharedWord&) = delete;
    SharedWord& operator=(const SharedWord&) = delete;

    Word* word() { return word_; }
    bool truncate() { return ftruncate(fd_, 0) == 0; }

  private:
    static constexpr size_t page_bytes = 4096;
    int fd_;
    Word* word_ = nullptr;
};

TEST(Futex, AWordWithAnotherValueLetsNobodySleep) {
    Word word = 1;
    EXPECT_EQ(futex_wait(word, 0, here), FutexOutcome::changed);
    EXPECT_EQ(futex_wait(word, 0, shared), FutexOutcome::changed);
    EXPECT_EQ(futex_wait(word, 0, here, Deadline::after(-1s)), FutexOutcome::changed);
}

TEST(Futex, AWakeEndsASleep) {
    for (const FutexScope scope : {here, shared}) {
        Word word = 0;
        FutexOutcome outcome = FutexOutcome::fault;
        std::thread sleeper([&] { outcome = futex_wait(word, 0, scope); });
        EXPECT_TRUE(holds_soon([&] { return futex_wake(&word, 1, scope) == 1; }));
        sleeper.join();
        EXPECT_EQ(outcome, FutexOutcome::woken);
    }
}

TEST(Futex, WakesAsManyAsAskedAndSaysHowMany) {
    Word word = 0;
    std::atomic<int> back = 0;
    std::vector<std::thread> sleepers;
    for (int i = 0; i < 5; ++i) {
        sleepers.emplace_back([&] {
            while (futex_wait(word, 0, here) != FutexOutcome::woken) {}
            ++back;
        });
    }
    EXPECT_EQ(futex_wake(&word, 0, here), 0u);
    unsigned woken = 0;
    EXPECT_TRUE(holds_soon([&] {
        const unsigned now = futex_wake(&word, 2, here);
        EXPECT_LE(now, 2u);
        woken += now;
        return woken >= 2;
    }));
    EXPECT_TRUE(holds_soon([&] { return back == static_cast<int>(woken); }));
    EXPECT_TRUE(holds_soon([&] { return (woken += futex_wake(&word, UINT32_MAX, here)) == 5; }));
    for (std::thread& sleeper : sleepers) sleeper.join();
    EXPECT_EQ(futex_wake(&word, UINT32_MAX, here), 0u);
}

TEST(Futex, AWakeOfNobodyByCountWakesNobody) {
    // The kernel takes 0 for 1.
    Word word = 0;
    std::atomic<bool> back = false;
    std::thread sleeper([&] {
        futex_wait(word, 0, here, Deadline::after(50ms));
        back = true;
    });
    unsigned woken = 0;
    EXPECT_TRUE(holds_soon([&] {
        woken += futex_wake(&word, 0, here);
        return back.load();
    }));
    sleeper.join();
    EXPECT_EQ(woken, 0u);
}

TEST(Futex, SleepsUntilTheDeadlineOnEitherClockAndNotShorter) {
    Word word = 0;
    for (const bool real : {false, true}) {
        const Instant before = monotonic_now();
        const Deadline deadline = real ? in_real_time(20ms) : Deadline::after(20ms);
        EXPECT_EQ(futex_wait(word, 0, here, deadline), FutexOutcome::timed_out);
        // A real-time clock may be set meanwhile, but not by half of this.
        EXPECT_GE(monotonic_now().ns - before.ns, real ? 10'000'000 : 20'000'000);
    }
}

TEST(Futex, ADeadlineThatHasPassedEndsAtOnce) {
    Word word = 0;
    EXPECT_EQ(futex_wait(word, 0, here, Deadline::after(-1h)), FutexOutcome::timed_out);
    EXPECT_EQ(futex_wait(word, 0, here, in_real_time(-1h)), FutexOutcome::timed_out);
    EXPECT_EQ(futex_wait(word, 0, here, std::chrono::steady_clock::time_point::min()),
              FutexOutcome::timed_out);
}

TEST(Futex, AVeryLateDeadlineIsNoPast) {
    for (const bool real : {false, true}) {
        Word word = 0;
        FutexOutcome outcome = FutexOutcome::fault;
        std::thread sleeper([&] {
            const Deadline late = real ? Deadline(std::chrono::system_clock::time_point::max())
                                       : Deadline::after(std::chrono::hours::max());
            outcome = futex_wait(word, 0, here, late);
        });
        EXPECT_TRUE(holds_soon([&] { return futex_wake(&word, 1, here) == 1; }));
        sleeper.join();
        EXPECT_EQ(outcome, FutexOutcome::woken);
    }
}

TEST(Futex, ASignalHandlerInterrupts) {
    struct sigaction action{};
    struct sigaction before{};
    action.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    Word word = 0;
    for (const bool several : {false, true}) {
        std::atomic<bool> back = false;
        FutexOutcome outcome = FutexOutcome::fault;
        std::thread sleeper([&] {
            const std::array waits{Wait{&word, 0, here}};
            outcome = several ? futex_wait_any(waits).outcome : futex_wait(word, 0, here);
            back = true;
        });
        // Again and again: the first ones may come before the thread sleeps.
        EXPECT_TRUE(holds_soon([&] {
            pthread_kill(sleeper.native_handle(), SIGUSR1);
            return back.load();
        }));
        sleeper.join();
        EXPECT_EQ(outcome, FutexOutcome::interrupted);
    }
    sigaction(SIGUSR1, &before, nullptr);
}

TEST(Futex, AWakeAtADeadAddressWakesNobody) {
    void* const page =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    const Word* const word = ::new (page) Word(0);
    munmap(page, 4096);
    EXPECT_EQ(futex_wake(word, 1, here), 0u);
    EXPECT_EQ(futex_wake(word, 1, shared), 0u);
}

TEST(Futex, ASharedWordThatIsNotThereAnyMoreIsAFault) {
    SharedWord held;
    ASSERT_NE(held.word(), nullptr);
    ASSERT_TRUE(held.truncate());
    EXPECT_EQ(futex_wait(*held.word(), 0, shared), FutexOutcome::fault);
    EXPECT_EQ(futex_wake(held.word(), 1, shared), 0u);
    const std::array waits{Wait{held.word(), 0, shared}};
    EXPECT_EQ(futex_wait_any(waits).outcome, FutexOutcome::fault);
}

TEST(Futex, ASharedWordWakesAcrossProcesses) {
    SharedWord held;
    ASSERT_NE(held.word(), nullptr);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const FutexOutcome outcome = futex_wait(*held.word(), 0, shared, Deadline::after(20s));
        std::_Exit(outcome == FutexOutcome::woken ? 0 : 1);
    }
    EXPECT_TRUE(holds_soon([&] { return futex_wake(held.word(), 1, shared) == 1; }));
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(Futex, ChangesNoErrno) {
    Word word = 0;
    SharedWord gone;
    ASSERT_TRUE(gone.truncate());
    const std::array waits{Wait{&word, 1, here}};
    errno = 4321;
    futex_wait(word, 1, here);
    futex_wait(word, 0, here, Deadline::after(-1s));
    futex_wake(gone.word(), 1, shared);
    futex_wake(&word, 1, here);
    futex_wait_any(waits);
    futex_wait_any(waits, Deadline::after(-1s));
    EXPECT_EQ(errno, 4321);
}

TEST(FutexDeathTest, AMisalignedWordEndsTheProcess) {
    alignas(8) std::array<std::byte, 16> bytes{};
    const auto at = reinterpret_cast<uintptr_t>(bytes.data()) + 1;
    // Through a number, or the sanitizer sees a reference to a misaligned word.
    const auto wait = [at] { futex_wait(*reinterpret_cast<const Word*>(at), 0, here); };
    EXPECT_DEATH(wait(), "misaligned");
}

/// Sleeps on `count` words, of which every other is shared, until word `chosen` is woken.
void wakes_the_one_of(unsigned count, unsigned chosen) {
    std::vector<Word> words(count);
    std::vector<Wait> waits;
    for (unsigned i = 0; i < count; ++i)
        waits.push_back({&words[i], 0, i % 2 == 0 ? here : shared});
    FutexAnyOutcome outcome{FutexOutcome::fault, 0};
    std::thread sleeper([&] { outcome = futex_wait_any(waits); });
    EXPECT_TRUE(
        holds_soon([&] { return futex_wake(&words[chosen], 1, waits[chosen].scope) == 1; }));
    sleeper.join();
    EXPECT_EQ(outcome.outcome, FutexOutcome::woken);
    EXPECT_EQ(outcome.index, chosen);
}

TEST(FutexAny, SaysWhichOfTheWordsWasWoken) {
    wakes_the_one_of(1, 0);
    wakes_the_one_of(5, 0);
    wakes_the_one_of(5, 3);
    wakes_the_one_of(5, 4);
    wakes_the_one_of(futex_waits_max, 0);
    wakes_the_one_of(futex_waits_max, 77);
    wakes_the_one_of(futex_waits_max, futex_waits_max - 1);
}

TEST(FutexAny, OneWordWithAnotherValueLetsNobodySleep) {
    std::array<Word, 3> words{};
    words[2] = 1;
    const std::array waits{Wait{&words[0], 0, here}, Wait{&words[1], 0, shared},
                           Wait{&words[2], 0, here}};
    EXPECT_EQ(futex_wait_any(waits).outcome, FutexOutcome::changed);
}

TEST(FutexAny, SleepsUntilTheDeadlineOnEitherClock) {
    std::array<Word, 2> words{};
    const std::array waits{Wait{&words[0], 0, here}, Wait{&words[1], 0, shared}};
    for (const bool real : {false, true}) {
        const Instant before = monotonic_now();
        const Deadline deadline = real ? in_real_time(20ms) : Deadline::after(20ms);
        EXPECT_EQ(futex_wait_any(waits, deadline).outcome, FutexOutcome::timed_out);
        EXPECT_GE(monotonic_now().ns - before.ns, real ? 10'000'000 : 20'000'000);
    }
}

TEST(FutexAnyDeathTest, TakesOneTo128Words) {
    Word word = 0;
    const std::vector<Wait> waits(futex_waits_max + 1, Wait{&word, 0, here});
    EXPECT_DEATH(futex_wait_any(waits), "1 to 128 words");
    EXPECT_DEATH(futex_wait_any({}), "1 to 128 words");
}

/// Makes the kernel answer `error` to a system call, in this process.
bool refuse_call(unsigned call, unsigned error) {
    std::array filter{
        sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))),
        sock_filter(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1)),
        sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error)),
        sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)),
    };
    const sock_fprog program{filter.size(), filter.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// Of a process whose kernel answers `error` to futex_waitv: 0 when all is well, 99 when it cannot
/// be tried.
int polls_where_the_kernel_answers(unsigned error) {
    if (!refuse_call(SYS_futex_waitv, error)) return 99;
    std::array<Word, 2> words{};
    const std::array waits{Wait{&words[0], 0, here}, Wait{&words[1], 0, here}};
    const FutexAnyOutcome polled = futex_wait_any(waits);
    if (polled.outcome != FutexOutcome::woken || polled.index != 0) return 1;
    if (futex_wait_any(waits, Deadline::after(-1s)).outcome != FutexOutcome::timed_out) return 2;
    if (futex_wait_any(waits, in_real_time(-1s)).outcome != FutexOutcome::timed_out) return 3;
    if (futex_wait_any(waits, in_real_time(1h)).outcome != FutexOutcome::woken) return 4;
    const Instant before = monotonic_now();
    const Deadline deadline = Deadline::after(10ms);
    while (futex_wait_any(waits, deadline).outcome == FutexOutcome::woken) {
        if (monotonic_now().ns - before.ns > 10'000'000'000) return 5;
    }
    if (monotonic_now().ns - before.ns < 10'000'000) return 6;
    words[0] = 1;
    if (futex_wait_any(waits).outcome != FutexOutcome::changed) return 7;
    return 0;
}

/// What `body` returns in a child of its own; 98 when the child was killed.
template <typename Body>
int in_child(Body&& body) {
    const pid_t child = fork();
    if (child == 0) std::_Exit(body());
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 98;
    return WEXITSTATUS(status);
}

TEST(FutexAny, PollsWhereTheKernelCannotWaitForSeveralAndStillTimesOut) {
    for (const int error : {ENOSYS, EPERM, ENOMEM}) {
        const int result =
            in_child([&] { return polls_where_the_kernel_answers(static_cast<unsigned>(error)); });
        if (result == 99) GTEST_SKIP() << "seccomp filters are not allowed here";
        EXPECT_EQ(result, 0) << error;
    }
}

TEST(Futex, ASharedWordForWhichTheKernelHasNoMemoryIsAFault) {
    for (const unsigned call : {unsigned{SYS_futex}, unsigned{SYS_futex_waitv}}) {
        for (const int error : {ENOMEM, EHWPOISON}) {
            if (call == SYS_futex_waitv && error == ENOMEM) continue;  // It polls then.
            const int result = in_child([&] {
                Word word = 0;
                const std::array waits{Wait{&word, 0, shared}};
                if (!refuse_call(call, static_cast<unsigned>(error))) return 99;
                const FutexOutcome outcome =
                    call == SYS_futex ? futex_wait(word, 0, shared) : futex_wait_any(waits).outcome;
                return outcome == FutexOutcome::fault ? 0 : 1;
            });
            if (result == 99) GTEST_SKIP() << "seccomp filters are not allowed here";
            EXPECT_EQ(result, 0) << call << ": " << error;
        }
    }
}

}  // namespace
}  // namespace braidway::sync
