// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace braidway::sync {
namespace {

// Of the fields of /proc/PID/stat, counted from 1 as in proc(5).
constexpr unsigned state_field = 3;
constexpr unsigned threads_field = 20;
constexpr unsigned start_field = 22;

struct ProcessStat {
    char state;
    uint64_t threads;
    uint64_t start_ticks;
};

/// The beginning of a small file; empty when it cannot be read.
template <size_t size>
std::string_view read_beginning(const char* path, std::array<char, size>& space) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    ssize_t count = 0;
    do {
        count = read(file, space.data(), space.size());
    } while (count < 0 && errno == EINTR);
    close(file);
    return count > 0 ? std::string_view(space.data(), static_cast<size_t>(count))
                     : std::string_view();
}

std::optional<ProcessStat> stat_of(uint64_t pid) {
    std::array<char, 32> path;
    std::snprintf(path.data(), path.size(), "/proc/%llu/stat",
                  static_cast<unsigned long long>(pid));
    std::array<char, 1024> space;
    std::string_view rest = read_beginning(path.data(), space);
    // The name in field 2 may have spaces and brackets of its own.
    const size_t name_end = rest.rfind(')');
    if (name_end == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(name_end + 1);
    ProcessStat stat{};
    for (unsigned field = state_field; field <= start_field; ++field) {
        const size_t begin = rest.find_first_not_of(' ');
        if (begin == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(begin);
        const std::string_view text = rest.substr(0, rest.find(' '));
        rest.remove_prefix(text.size());
        if (field == state_field) stat.state = text[0];
        uint64_t* const number = field == threads_field ? &stat.threads
                                 : field == start_field ? &stat.start_ticks
                                                        : nullptr;
        if (number == nullptr) continue;
        if (std::from_chars(text.data(), text.data() + text.size(), *number).ec != std::errc{}) {
            return std::nullopt;
        }
    }
    return stat;
}

bool has_no_process(uint64_t pid) {
    return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

/// The FNV-1a hash, continued from `before`.
uint64_t hash(uint64_t before, std::string_view bytes) {
    for (const char byte : bytes) {
        before = (before ^ static_cast<unsigned char>(byte)) * 0x100'0000'01b3;
    }
    return before;
}

uint64_t namespace_number(const char* path) {
    struct stat status{};
    return ::stat(path, &status) == 0 ? status.st_ino : 0;
}

uint64_t place_here() {
    std::array<char, 64> space;
    uint64_t place =
        hash(0xcbf2'9ce4'8422'2325, read_beginning("/proc/sys/kernel/random/boot_id", space));
    for (const char* const path : {"/proc/self/ns/pid", "/proc/self/ns/time"}) {
        const uint64_t number = namespace_number(path);
        place = hash(place, {reinterpret_cast<const char*>(&number), sizeof(number)});
    }
    return place;
}

}  // namespace

ProcessIdentity SystemProcesses::self() const {
    // Read once per process: a child of fork() has another pid than the one that was kept.
    static std::atomic<ProcessIdentity> kept = 0;
    const uint64_t pid = static_cast<uint64_t>(getpid());
    const ProcessIdentity known = kept.load(std::memory_order_relaxed);
    if (known != 0 && pid_of(known) == pid) return known;
    const int errno_before = errno;
    const std::optional<ProcessStat> stat = stat_of(pid);
    errno = errno_before;
    const ProcessIdentity self = process_identity(pid, stat ? stat->start_ticks : 0);
    kept.store(self, std::memory_order_relaxed);
    return self;
}

bool SystemProcesses::ended(ProcessIdentity process) const {
    const uint64_t pid = pid_of(process);
    if (pid == 0) return true;
    const int errno_before = errno;
    bool has_ended = has_no_process(pid);
    if (!has_ended) {
        if (const std::optional<ProcessStat> stat = stat_of(pid)) {
            // The first thread of a living process may be a zombie before the others.
            const bool is_zombie = (stat->state == 'Z' || stat->state == 'X') && stat->threads <= 1;
            // 0: its owner could not read its own start time.
            const bool is_another =
                start_ticks_of(process) != 0 &&
                start_ticks_of(process_identity(pid, stat->start_ticks)) != start_ticks_of(process);
            has_ended = is_zombie || is_another;
        } else {
            has_ended = has_no_process(pid);
        }
    }
    errno = errno_before;
    return has_ended;
}

uint64_t SystemProcesses::place() const {
    const int errno_before = errno;
    const uint64_t place = place_here();
    errno = errno_before;
    return place;
}

Look SystemProcesses::next_look(const Deadline& deadline, LookAt what) const {
    const int64_t period_ns = what == LookAt::guard ? guard_look_period_ns : turn_look_period_ns;
    const Deadline look = Deadline::after(std::chrono::nanoseconds(period_ns));
    switch (deadline.clock()) {
        case Deadline::Clock::none:
            return {look, false};
        case Deadline::Clock::monotonic:
            if (deadline.nanoseconds() <= look.nanoseconds()) return {deadline, true};
            return {look, false};
        case Deadline::Clock::realtime:
            break;
    }
    // When the wall clock is set while somebody sleeps, it is noticed at the next look.
    if (deadline.nanoseconds() - period_ns <= wall_clock_now().count()) return {deadline, true};
    return {look, false};
}

}  // namespace braidway::sync
