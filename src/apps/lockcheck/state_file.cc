// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/state_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "apps/lockcheck/files.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view prefix = "lockcheck-state-";

/// The pid in "lockcheck-state-PID-CLOCK"; 0 when it is another file.
int64_t pid_of(std::string_view name) {
    if (!name.starts_with(prefix)) return 0;
    name.remove_prefix(prefix.size());
    int64_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end == name.data() + name.size() || *end != '-') return 0;
    return pid;
}

bool is_gone(int64_t pid) {
    return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

}  // namespace

Result<std::string> make_state_file(const std::string& folder, int64_t pid, Instant now) {
    const std::string path = fmt::format("{}/{}{}-{}", folder, prefix, pid, now.ns);
    const File file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return fail(fmt::format("{}: {}", path, errno_text(errno)), errno);
    const StateLayout layout;
    const std::string_view bytes(reinterpret_cast<const char*>(&layout), sizeof layout);
    if (const auto written = write_all(file.get(), path, bytes); !written) {
        unlink(path.c_str());
        return std::unexpected(written.error());
    }
    return path;
}

void remove_stale_state_files(const std::string& folder, Duration wall_now) {
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(folder, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const int64_t pid = pid_of(entry->path().filename().string());
        if (pid <= 0 || !is_gone(pid)) continue;
        struct stat status{};
        if (lstat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
            status.st_uid != geteuid())
            continue;
        if (wall_now - std::chrono::seconds(status.st_mtime) < limits::lockcheck_state_kept)
            continue;
        unlink(entry->path().c_str());
    }
}

std::string state_folder(const char* temporary) {
    static constexpr const char* shared = "/dev/shm";
    if (access(shared, W_OK | X_OK) == 0) return shared;
    return temporary != nullptr && *temporary == '/' ? temporary : "/tmp";
}

}  // namespace braidway::lockcheck
