// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/sysctl_gate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "base/limits.h"
#include "memory/reclaim/gate.h"
#include "memory/reclaim/run_place.h"

namespace braidway::memory {
namespace {

constexpr uint64_t mode_unmap = 4;

/// One sysctl, what it was and what it is for the moment.
struct Changed {
    std::string path;
    std::string was;
    std::string is;
};
using Changes = std::vector<Changed>;

Result<std::string> read_value(const Machine& machine, const std::string& path) {
    auto text = machine.read(path);
    if (!text) return text;
    while (!text->empty() && text->back() == '\n') text->pop_back();
    return text;
}

/// Puts back those that still have the value that the run gave them.
Result<void> put_back(Machine& machine, const Changes& changes) {
    Result<void> result;
    for (const Changed& change : changes) {
        const auto value = read_value(machine, change.path);
        if (!value || *value != change.is) continue;
        if (auto written = machine.write(change.path, change.was); !written) result = written;
    }
    return result;
}

Result<Changes> read_record(const std::string& path) {
    std::ifstream file(path);
    if (!file) return fail(fmt::format("cannot read {}", path), ENOENT);
    Changes changes;
    for (std::string line; std::getline(file, line);) {
        Changed change;
        if (std::istringstream(line) >> change.path >> change.was >> change.is)
            changes.push_back(change);
    }
    return changes;
}

Result<void> write_record(const std::string& path, const Changes& changes) {
    // Renamed into place, so that a record is whole or not there.
    const std::string fresh = path + ".new";
    std::ofstream file(fresh, std::ios::trunc);
    for (const Changed& change : changes)
        file << change.path << ' ' << change.was << ' ' << change.is << '\n';
    file.close();
    if (!file || std::rename(fresh.c_str(), path.c_str()) != 0)
        return fail(fmt::format("cannot record the sysctls in {}: {}", path, errno_text(errno)),
                    errno);
    return {};
}

/// What the guardian needs, laid out before the fork: after it, in a process with threads, nothing
/// may allocate.
struct Watch {
    struct Item {
        std::array<char, 256> path{};
        std::array<char, 32> was{};
        std::array<char, 32> is{};
    };
    std::array<Item, 3> items{};
    size_t count = 0;
    std::array<char, 256> record{};
};

template <size_t size>
bool put(std::array<char, size>& place, const std::string& text) {
    if (text.size() >= size) return false;
    std::memcpy(place.data(), text.c_str(), text.size() + 1);
    return true;
}

bool lay_out(Watch& watch, const std::string& root, const Changes& changes,
             const std::string& record) {
    if (changes.size() > watch.items.size() || !put(watch.record, record)) return false;
    for (const Changed& change : changes) {
        Watch::Item& item = watch.items[watch.count++];
        if (!put(item.path, root + change.path) || !put(item.was, change.was) ||
            !put(item.is, change.is))
            return false;
    }
    return true;
}

/// Only calls that are safe after fork() in a process with threads.
void restore_one(const Watch::Item& item) {
    const int fd = open(item.path.data(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    std::array<char, 32> now{};
    const ssize_t got = read(fd, now.data(), now.size() - 1);
    if (got > 0 && now[static_cast<size_t>(got) - 1] == '\n')
        now[static_cast<size_t>(got) - 1] = '\0';
    if (got > 0 && std::strcmp(now.data(), item.is.data()) == 0)
        (void)!pwrite(fd, item.was.data(), std::strlen(item.was.data()), 0);
    close(fd);
}

/// The guardian: sleeps until its pipe says that all is well, or closes because the run died.
[[noreturn]] void stand_guard(const Watch& watch, int pipe, int lock) {
    // A session of its own: what ends the run's process group must not end this.
    setsid();
    for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) signal(ignored, SIG_IGN);
    // It keeps nothing else open: no lock of a node, no output somebody waits for the end of.
    if (dup2(pipe, 0) < 0 || dup2(lock, 1) < 0) _exit(1);
    close_range(2, ~0U, 0);
    char done = 0;
    ssize_t got = 0;
    do got = read(0, &done, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1) _exit(0);
    for (size_t at = 0; at < watch.count; ++at) restore_one(watch.items[at]);
    unlink(watch.record.data());
    _exit(0);
}

class SysctlGate final : public OpenGate {
  public:
    SysctlGate(Machine& machine, Changes changes, std::string record, FileLock lock)
        : machine_(machine),
          changes_(std::move(changes)),
          record_(std::move(record)),
          lock_(std::move(lock)) {}

    ~SysctlGate() override {
        if (open_ && put_back(machine_, changes_)) (void)unlink(record_.c_str());
        if (guardian_ > 0) {
            const char done = 1;
            // If it cannot be told, it restores what is restored already.
            // A guardian that was killed must not end the host program by SIGPIPE.
            (void)!send(pipe_, &done, 1, MSG_NOSIGNAL);
            close(pipe_);
            while (waitpid(guardian_, nullptr, 0) < 0 && errno == EINTR) continue;
        }
    }

    Result<void> open(const std::string& root) {
        if (auto recorded = write_record(record_, changes_); !recorded) return recorded;
        if (auto guarded = start_guardian(root); !guarded) {
            (void)unlink(record_.c_str());
            return guarded;
        }
        open_ = true;
        for (const Changed& change : changes_)
            if (auto written = machine_.write(change.path, change.is); !written) return written;
        return {};
    }

  private:
    Result<void> start_guardian(const std::string& root) {
        Watch watch;
        int ends[2];
        if (!lay_out(watch, root, changes_, record_) ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            return fail("cannot start the guardian of the sysctls", errno);
        guardian_ = fork();
        if (guardian_ == 0) {
            // Else it would keep its own pipe open for ever.
            close(ends[1]);
            stand_guard(watch, ends[0], lock_.descriptor());
        }
        const int code = errno;
        close(ends[0]);
        pipe_ = ends[1];
        if (guardian_ > 0) return {};
        close(pipe_);
        return fail(fmt::format("cannot start the guardian of the sysctls: {}", errno_text(code)),
                    code);
    }

    Machine& machine_;
    Changes changes_;
    std::string record_;
    FileLock lock_;
    pid_t guardian_ = -1;
    int pipe_ = -1;
    bool open_ = false;
};

Result<Changes> changes_for(const Machine& machine, bool anonymous) {
    Changes changes;
    for (const char* path : {sysctl_min_unmapped, sysctl_min_slab}) {
        const auto was = read_value(machine, path);
        if (!was) return std::unexpected(was.error());
        changes.push_back({path, *was, "0"});
    }
    if (!anonymous) return changes;
    const auto was = read_value(machine, sysctl_zone_reclaim);
    if (!was) return std::unexpected(was.error());
    uint64_t mode = 0;
    (void)std::from_chars(was->data(), was->data() + was->size(), mode);
    changes.push_back({sysctl_zone_reclaim, *was, fmt::format("{}", mode | mode_unmap)});
    return changes;
}

Result<FileLock> take_lock(Machine& machine, const std::string& place, Instant until) {
    while (true) {
        auto lock = FileLock::try_take(place + "/sysctl.lock");
        if (lock || lock.error().code != EWOULDBLOCK) return lock;
        if (!machine.pause(limits::reclaim_lock_poll)) return fail("cancelled", EINTR);
        if (machine.now() >= until)
            return fail("another run has changed the sysctls of the gate and still has them",
                        EBUSY);
    }
}

}  // namespace

std::string sysctl_record_path(const std::string& place) {
    return place + "/sysctl.restore";
}

Result<std::unique_ptr<OpenGate>> open_sysctl_gate(Machine& machine, const std::string& root,
                                                   const std::string& place, bool anonymous,
                                                   Instant until) {
    for (const char* path : {sysctl_min_unmapped, sysctl_min_slab, sysctl_zone_reclaim})
        if (const auto usable = machine.writable(path); !usable)
            return std::unexpected(usable.error());
    auto lock = take_lock(machine, place, until);
    if (!lock) return std::unexpected(lock.error());
    // Under the lock nobody else has a record: one that is there was left by a killed run.
    const std::string record = sysctl_record_path(place);
    if (const auto left = read_record(record)) {
        if (auto restored = put_back(machine, *left); !restored)
            return std::unexpected(restored.error());
        (void)unlink(record.c_str());
    }
    auto changes = changes_for(machine, anonymous);
    if (!changes) return std::unexpected(changes.error());
    auto gate =
        std::make_unique<SysctlGate>(machine, std::move(*changes), record, std::move(*lock));
    if (auto opened = gate->open(root); !opened) return std::unexpected(opened.error());
    return gate;
}

Result<bool> restore_sysctls(Machine& machine, const std::string& place) {
    const std::string record = sysctl_record_path(place);
    if (access(record.c_str(), F_OK) != 0) return false;
    // Whoever is alive holds the lock, and puts them back himself.
    const auto lock = FileLock::try_take(place + "/sysctl.lock");
    if (!lock) return false;
    const auto left = read_record(record);
    if (!left) return false;
    if (auto restored = put_back(machine, *left); !restored)
        return std::unexpected(restored.error());
    (void)unlink(record.c_str());
    return true;
}

}  // namespace braidway::memory
