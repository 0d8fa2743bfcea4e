// SPDX-License-Identifier: Apache-2.0
// How a thread blocks so that a deadlock that happens is seen: it waits in slices.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/exits.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/settings.h"
#include "base/clock.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constexpr int64_t ms = 1'000'000;

/// Also those that nobody watches; 0: not known.
uint32_t threads_of_process() {
    constexpr uint32_t links_of_a_folder = 2;
    struct stat status{};
    if (raw_call(SYS_newfstatat, AT_FDCWD, as_word("/proc/self/task"), as_word(&status), 0) != 0 ||
        status.st_nlink < links_of_a_folder)
        return 0;
    return static_cast<uint32_t>(status.st_nlink) - links_of_a_folder;
}

/// Has the process a handler for a signal that may come from outside? Then nobody knows whom that
/// wakes. Handlers of faults come from within, and the C library has two of its own.
bool handles_signals() {
    constexpr int first_of_library = 32;
    constexpr int last_of_library = 33;
    constexpr int last_signal = 64;
    for (int number = 1; number <= last_signal; ++number) {
        if (number >= first_of_library && number <= last_of_library) continue;
        if (number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
            number == SIGTRAP || number == SIGSYS || number == SIGABRT)
            continue;
        constexpr uintptr_t ignored = 1;
        if (action_of_signal(number).function > ignored) return true;
    }
    return false;
}

/// What the looks at a thread that blocks have shown so far.
class Watch {
  public:
    /// Looks. Afterwards pause_ns() is how long to wait until the next time.
    void look(ThreadRecord& self) {
        lockdep::Validator::Hang hang{};
        in_validator(self, [&] { hang = validator().hung(*self.thread); });
        const int64_t now_ns = monotonic_now().ns;
        // The whole process may have been stopped, and the others have not run since.
        const bool slept = last_look_ns_ != 0 && now_ns - last_look_ns_ > 2 * pause_ns_;
        last_look_ns_ = now_ns;
        if (hang.all_threads != 0 && (slept || hang.all_threads != threads_of_process()))
            hang.certain = false;
        if (hang.certain && hang.unless_signal && handles_signals()) hang.certain = false;
        pause_ns_ = std::min<int64_t>(pause_ns_ * 2, limits::lockcheck_hang_pause_max.count());
        if (!hang.certain) {
            seen_ = false;
            return;
        }
        if (!seen_ || hang.signature != signature_) {
            seen_ = true;
            signature_ = hang.signature;
            since_ns_ = now_ns;
        }
        const int64_t rest_ns =
            since_ns_ + static_cast<int64_t>(settings.hang_after_ms) * ms - now_ns;
        if (rest_ns > 0 || reported_ == signature_) {
            if (rest_ns > 0) pause_ns_ = std::min(pause_ns_, rest_ns);
            return;
        }
        reported_ = signature_;
        in_validator(self, [&] { validator().report_hang(*self.thread); });
        if (settings.hang_exits) end_after_hang();
    }

    int64_t pause_ns() const { return pause_ns_; }

  private:
    int64_t pause_ns_ = limits::lockcheck_hang_pause_min.count();
    bool seen_ = false;
    uint64_t signature_ = 0;
    uint64_t reported_ = 0;
    int64_t since_ns_ = 0;
    int64_t last_look_ns_ = 0;
};

timespec as_timespec(int64_t ns) {
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

timespec monotonic_time(int64_t until_ns) {
    return as_timespec(until_ns);
}

timespec wall_time(int64_t until_ns) {
    return as_timespec(wall_clock_now().count() + (until_ns - monotonic_now().ns));
}

int wait_watching(ThreadRecord& self, void* object, WaitSlice slice) {
    Watch watch;
    for (;;) {
        const int result = slice(object, monotonic_now().ns + watch.pause_ns());
        if (result != ETIMEDOUT) return result;
        watch.look(self);
    }
}

[[gnu::noinline]] int wait_for_lock(ThreadRecord& self, const lockdep::Pending& pending,
                                    void* object, WaitSlice slice) {
    if (pending.lock != nullptr) validator().blocks(*self.thread, *pending.lock, pending.access);
    const int result = wait_watching(self, object, slice);
    if (pending.lock != nullptr) validator().unblocked(*self.thread);
    return result;
}

}  // namespace braidway::lockcheck
