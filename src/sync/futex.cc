// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/futex.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

#include "base/check.h"
#include "base/clock.h"

namespace braidway::sync {
namespace {

// A thread that waits looks at the word at least this often where the kernel has no futex_waitv.
constexpr int64_t poll_pause_ns = 1'000'000;

/// The deadline as the kernel wants it; `space` is where.
const timespec* kernel_time(const Deadline& deadline, timespec& space) {
    if (deadline.is_never()) return nullptr;
    space.tv_sec = deadline.nanoseconds() / 1'000'000'000;
    space.tv_nsec = deadline.nanoseconds() % 1'000'000'000;
    return &space;
}

/// Whose memory the words of a wait are in: the kernel holds on to a page that is shared, which may
/// fail for reasons of its own (no memory, a broken page).
enum class WordsIn : bool { own_memory, shared_memory };

FutexOutcome outcome_of(int error, WordsIn words) {
    switch (error) {
        case EAGAIN:
            return FutexOutcome::changed;
        case EINTR:
            return FutexOutcome::interrupted;
        case ETIMEDOUT:
            return FutexOutcome::timed_out;
        case EFAULT:
            return FutexOutcome::fault;
        case 0:
            return FutexOutcome::woken;
        default:
            break;
    }
    // These are about the call, whatever is at the address; a lock could only spin for ever then.
    const bool refused = error == EINVAL || error == ENOSYS || error == EPERM || error == EACCES;
    CHECK(!refused && words == WordsIn::shared_memory,
          "a futex call was refused: the word is misaligned or the call forbidden");
    return FutexOutcome::fault;
}

int private_flag(FutexScope scope) {
    return scope == FutexScope::process_private ? FUTEX_PRIVATE_FLAG : 0;
}

Deadline poll_pause_from_now(Deadline::Clock clock) {
    const std::chrono::nanoseconds pause(poll_pause_ns);
    if (clock != Deadline::Clock::realtime) return Deadline::after(pause);
    return std::chrono::sys_time<std::chrono::nanoseconds>(wall_clock_now() + pause);
}

/// Whether the kernel cannot do futex_waitv: it does not know the call, a filter of calls does not
/// (some answer EPERM to what is newer than they are), or it has no memory for the list of words.
bool cannot_wait_for_several(int error) {
    return error == ENOSYS || error == EPERM || error == EACCES || error == ENOMEM;
}

/// What futex_wait_any() does then: it looks at one word for a while.
FutexAnyOutcome poll_first(const FutexWait<std::atomic<uint32_t>>& wait, const Deadline& deadline) {
    const Deadline soon = poll_pause_from_now(deadline.clock());
    const bool is_last = !deadline.is_never() && deadline.nanoseconds() <= soon.nanoseconds();
    const FutexOutcome outcome =
        futex_wait(*wait.word, wait.expected, wait.scope, is_last ? deadline : soon);
    if (outcome == FutexOutcome::timed_out && !is_last) return {FutexOutcome::woken, 0};
    return {outcome, 0};
}

}  // namespace

FutexOutcome futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, FutexScope scope,
                        const Deadline& deadline) {
    const int errno_before = errno;
    int operation = FUTEX_WAIT_BITSET | private_flag(scope);
    if (deadline.clock() == Deadline::Clock::realtime) operation |= FUTEX_CLOCK_REALTIME;
    timespec space{};
    const long result = syscall(SYS_futex, &word, operation, expected, kernel_time(deadline, space),
                                nullptr, FUTEX_BITSET_MATCH_ANY);
    const int error = result == 0 ? 0 : errno;
    errno = errno_before;
    return outcome_of(
        error, scope == FutexScope::process_shared ? WordsIn::shared_memory : WordsIn::own_memory);
}

unsigned futex_wake(const std::atomic<uint32_t>* word, unsigned count, FutexScope scope) {
    if (count == 0) return 0;  // The kernel would wake one.
    const int errno_before = errno;
    const int most = static_cast<int>(std::min<unsigned>(count, INT_MAX));
    const long result =
        syscall(SYS_futex, word, FUTEX_WAKE | private_flag(scope), most, nullptr, nullptr, 0);
    errno = errno_before;
    return result > 0 ? static_cast<unsigned>(result) : 0;
}

FutexAnyOutcome futex_wait_any(std::span<const FutexWait<std::atomic<uint32_t>>> waits,
                               const Deadline& deadline) {
    CHECK(!waits.empty() && waits.size() <= futex_waits_max,
          "futex_wait_any() takes 1 to 128 words");
    futex_waitv words[futex_waits_max];
    for (size_t i = 0; i < waits.size(); ++i) {
        words[i] = {};
        words[i].uaddr = reinterpret_cast<uintptr_t>(waits[i].word);
        words[i].val = waits[i].expected;
        words[i].flags = FUTEX_32;
        if (waits[i].scope == FutexScope::process_private) words[i].flags |= FUTEX_PRIVATE_FLAG;
    }
    const int errno_before = errno;
    timespec space{};
    const clockid_t clock =
        deadline.clock() == Deadline::Clock::realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    const long result = syscall(SYS_futex_waitv, words, static_cast<unsigned>(waits.size()), 0,
                                kernel_time(deadline, space), clock);
    const int error = result >= 0 ? 0 : errno;
    errno = errno_before;
    if (cannot_wait_for_several(error)) return poll_first(waits[0], deadline);
    if (error != 0) {
        const bool shared = std::ranges::any_of(
            waits, [](const auto& wait) { return wait.scope == FutexScope::process_shared; });
        return {outcome_of(error, shared ? WordsIn::shared_memory : WordsIn::own_memory), 0};
    }
    return {FutexOutcome::woken, static_cast<unsigned>(result)};
}

Deadline Deadline::after_nanoseconds(int64_t nanoseconds) {
    const int64_t now = monotonic_now().ns;
    return Deadline(Clock::monotonic,
                    nanoseconds > INT64_MAX / 2 - now ? INT64_MAX / 2 : now + nanoseconds);
}

}  // namespace braidway::sync
