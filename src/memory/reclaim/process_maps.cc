// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/process_maps.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/limits.h"

namespace braidway::memory {
namespace {

/// Reads a number and the character after it, which must be `after`.
template <typename Number>
bool take_number(std::string_view& line, Number& number, int base, char after) {
    const auto [stop, error] =
        std::from_chars(line.data(), line.data() + line.size(), number, base);
    if (error != std::errc() || stop == line.data() + line.size() || *stop != after) return false;
    line.remove_prefix(static_cast<size_t>(stop - line.data()) + 1);
    return true;
}

bool parse_line(std::string_view line, Mapping& mapping) {
    if (!take_number(line, mapping.begin, 16, '-') || !take_number(line, mapping.end, 16, ' '))
        return false;
    if (line.size() < 5 || line[4] != ' ') return false;
    mapping.writable = line[1] == 'w';
    mapping.shared = line[3] == 's';
    line.remove_prefix(5);
    if (!take_number(line, mapping.offset, 16, ' ') ||
        !take_number(line, mapping.file.device_major, 16, ':') ||
        !take_number(line, mapping.file.device_minor, 16, ' ') ||
        !take_number(line, mapping.file.inode, 10, ' '))
        return false;
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    mapping.path = line;
    return mapping.begin < mapping.end;
}

}  // namespace

bool Mapping::is_file() const {
    if (file.inode == 0 || !path.starts_with('/')) return false;
    constexpr std::string_view others[] = {"/dev/", "/memfd:", "/SYSV", "/anon_hugepage", "/[aio]"};
    return std::ranges::none_of(others,
                                [&](std::string_view other) { return path.starts_with(other); });
}

bool next_mapping(std::string_view& text, Mapping& mapping) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (parse_line(line, mapping)) return true;
    }
    return false;
}

ProcessSize parse_statm(std::string_view text) {
    ProcessSize size;
    uint64_t total = 0;
    if (!take_number(text, total, 10, ' ') || !take_number(text, size.resident_pages, 10, ' ') ||
        !take_number(text, size.shared_pages, 10, ' '))
        return {};
    return size;
}

int read_process_file(const char* path, std::string& text) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return errno;
    size_t filled = 0;
    int error = 0;
    for (;;) {
        if (text.size() < filled + 4096) text.resize(std::max<size_t>(2 * filled, 64u << 10));
        const ssize_t got = ::read(file, text.data() + filled, text.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) error = errno;
        if (got <= 0 || filled > limits::machine_file_bytes_max) break;
        filled += static_cast<size_t>(got);
    }
    ::close(file);
    text.resize(filled);
    return error;
}

Result<std::vector<pid_t>> other_processes() {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
    if (!directory) return fail("/proc cannot be read: " + errno_text(errno), errno);
    std::vector<pid_t> processes;
    const pid_t own = ::getpid();
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        pid_t process = 0;
        const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), process);
        if (error == std::errc() && stop == name.data() + name.size() && process != own)
            processes.push_back(process);
    }
    return processes;
}

ProcessPath::ProcessPath(pid_t process, std::string_view name) {
    constexpr std::string_view proc = "/proc/";
    char* at = std::ranges::copy(proc, text_).out;
    at = std::to_chars(at, text_ + sizeof(text_), process).ptr;
    *at++ = '/';
    const size_t room = static_cast<size_t>(text_ + sizeof(text_) - at) - 1;
    at = std::ranges::copy(name.substr(0, room), at).out;
    *at = '\0';
}

}  // namespace braidway::memory
