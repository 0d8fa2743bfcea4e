// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/real_machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/clock.h"
#include "base/limits.h"

namespace braidway::memory {
namespace {

constexpr size_t piece_bytes = 32u << 10;

/// Closes at the end of its scope.
struct File {
    int fd;
    explicit File(int descriptor) : fd(descriptor) {}
    ~File() {
        if (fd >= 0) close(fd);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
};

std::unexpected<Error> failed(std::string_view verb, std::string_view path, int code) {
    return fail(fmt::format("cannot {} {}: {}", verb, path, errno_text(code)), code);
}

}  // namespace

RealMachine::RealMachine(const Cancel& cancel, std::string root)
    : cancel_(cancel), root_(std::move(root)) {
}

Result<std::string> RealMachine::read(const std::string& path) const {
    const File file(open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd < 0) return failed("open", path, errno);
    std::string text;
    // The kernel makes most of these files anew for each open and hands out a page or more a read.
    while (text.size() < limits::machine_file_bytes_max) {
        const size_t had = text.size();
        text.resize(had + piece_bytes);
        const ssize_t got = ::read(file.fd, text.data() + had, piece_bytes);
        const int code = errno;
        text.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
        if (got < 0 && code == EINTR) continue;
        if (got < 0) return failed("read", path, code);
        if (got == 0) break;
    }
    return text;
}

Result<void> RealMachine::write(const std::string& path, std::string_view text) {
    const File file(open((root_ + path).c_str(), O_WRONLY | O_CLOEXEC));
    if (file.fd < 0) return failed("open", path, errno);
    const ssize_t put = ::write(file.fd, text.data(), text.size());
    if (put < 0) return failed("write", path, errno);
    if (static_cast<size_t>(put) != text.size()) return failed("write", path, EIO);
    return {};
}

Result<std::vector<std::string>> RealMachine::list(const std::string& path) const {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir((root_ + path).c_str()), closedir);
    if (!directory) return failed("list", path, errno);
    std::vector<std::string> names;
    while (const dirent* entry = readdir(directory.get()))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    std::ranges::sort(names);
    return names;
}

Result<void> RealMachine::writable(const std::string& path) const {
    // Opening tells more than access(): read-only mounts, security modules, missing drivers.
    const File file(open((root_ + path).c_str(), O_WRONLY | O_CLOEXEC));
    if (file.fd < 0) return failed("write", path, errno);
    return {};
}

uint64_t RealMachine::page_bytes() const {
    return static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

unsigned RealMachine::cpus() const {
    return static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

Instant RealMachine::now() const {
    return monotonic_now();
}
bool RealMachine::pause(Duration length) {
    return cancel_.pause(length);
}
bool RealMachine::cancelled() const {
    return cancel_.cancelled();
}

}  // namespace braidway::memory
