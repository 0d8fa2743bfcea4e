// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/writeback.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/limits.h"

namespace braidway::memory {
namespace {

constexpr std::array<std::string_view, 3> in_memory{"tmpfs", "ramfs", "devtmpfs"};
/// With storage below them, although their source is a name of their own.
constexpr std::array<std::string_view, 5> named{"zfs", "virtiofs", "9p", "gpfs", "beegfs"};

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const size_t end = std::min(line.find(' '), line.size());
        if (end > 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

/// mountinfo writes blanks, tabs and backslashes as \040 and so on.
std::string unescape(std::string_view text) {
    std::string plain;
    for (size_t at = 0; at < text.size(); ++at) {
        const bool octal = text[at] == '\\' && at + 3 < text.size() &&
                           std::ranges::all_of(text.substr(at + 1, 3),
                                               [](char c) { return c >= '0' && c <= '7'; });
        if (!octal) {
            plain += text[at];
            continue;
        }
        plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                                   (text[at + 3] - '0'));
        at += 3;
    }
    return plain;
}

/// Shared with the thread that writes, which may outlive the wait for it.
struct Work {
    std::vector<std::string> paths;
    std::atomic<bool> over = false;
    std::mutex lock;
    std::string error;
};

void sync_all(const std::shared_ptr<Work>& work) {
    for (const std::string& path : work->paths) {
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        const bool written = fd >= 0 && syncfs(fd) == 0;
        const int code = errno;
        if (fd >= 0) close(fd);
        if (written) continue;
        const std::lock_guard guard(work->lock);
        if (work->error.empty())
            work->error = fmt::format("writing back {}: {}", path, errno_text(code));
    }
    work->over.store(true, std::memory_order_release);
}

}  // namespace

std::vector<MountPoint> parse_mounts(std::string_view mountinfo) {
    std::vector<MountPoint> mounts;
    std::set<std::string, std::less<>> devices;
    while (!mountinfo.empty()) {
        const size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
        const auto words = words_of(mountinfo.substr(0, end));
        mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
        const auto dash = std::ranges::find(words, std::string_view("-"));
        // "36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
        if (words.size() < 7 || words.end() - dash < 4) continue;
        const std::string_view type = dash[1];
        const std::string_view source = dash[2];
        const bool read_only = words[5].starts_with("ro") || dash[3].starts_with("ro");
        // Local filesystems name a device, network ones a host; the others name themselves.
        const bool stored =
            source.starts_with('/') || source.contains(':') || std::ranges::count(named, type) > 0;
        if (read_only || !stored || std::ranges::count(in_memory, type) > 0) continue;
        if (!devices.emplace(words[2]).second) continue;
        mounts.push_back({unescape(words[4]), std::string(type), std::string(words[2])});
    }
    return mounts;
}

Result<std::string> write_back(Machine& machine, const std::vector<std::string>& paths,
                               Instant until) {
    auto work = std::make_shared<Work>();
    work->paths = paths;
    if (paths.empty()) {
        const auto mountinfo = machine.read("/proc/self/mountinfo");
        if (!mountinfo) return std::unexpected(mountinfo.error());
        for (MountPoint& mount : parse_mounts(*mountinfo))
            work->paths.push_back(std::move(mount.path));
    }
    // syncfs cannot be interrupted, and a dead server may hold it for ever: nobody waits for the
    // thread but through `over`.
    std::thread(sync_all, work).detach();
    while (!work->over.load(std::memory_order_acquire)) {
        if (!machine.pause(limits::reclaim_writeback_poll))
            return fail("cancelled while dirty pages were written back", EINTR);
        if (machine.now() >= until)
            return fail("writing dirty pages back took too long", ETIMEDOUT);
    }
    const std::lock_guard guard(work->lock);
    if (!work->error.empty()) return fail(work->error, EIO);
    return fmt::format("{} filesystem{} written back", work->paths.size(),
                       work->paths.size() == 1 ? "" : "s");
}

}  // namespace braidway::memory
