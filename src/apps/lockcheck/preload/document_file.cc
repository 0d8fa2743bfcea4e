// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/document_file.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "apps/lockcheck/preload/raw_calls.h"

namespace braidway::lockcheck {
namespace {

/// Whoever has the lock writes a few kilobytes.
constexpr int lock_tries = 2'000;
constexpr int64_t lock_pause_ns = 5'000'000;

/// Far from the descriptors that programs expect.
constexpr int kept_from = 500;

/// A file that this process will not be allowed to open any more.
struct KeptFile {
    int fd = -1;
    dev_t device = 0;
    ino_t inode = 0;
};
constinit KeptFile kept;

template <typename Try>
bool lock_patiently(const Try& try_once) {
    for (int tries = 0; tries < lock_tries; ++tries) {
        const long result = try_once();
        if (result == 0) return true;
        if (result != -EAGAIN && result != -EACCES && result != -EINTR) return false;
        const timespec pause{0, lock_pause_ns};
        raw_call(SYS_ppoll, 0, 0, as_word(&pause), 0, sizeof(uint64_t));
    }
    return false;
}

long set_record_lock(int fd, short type) {
    struct flock whole{};
    whole.l_type = type;
    whole.l_whence = SEEK_SET;
    return raw_call(SYS_fcntl, fd, F_SETLK, as_word(&whole));
}

/// A kept descriptor may be shared with relatives, for whom flock() is one lock: a record lock,
/// which is the process's own, goes around it.
bool lock_file(int fd, bool shared) {
    if (shared && !lock_patiently([&] { return set_record_lock(fd, F_WRLCK); })) return false;
    if (lock_patiently([&] { return raw_call(SYS_flock, fd, LOCK_EX | LOCK_NB); })) return true;
    if (shared) set_record_lock(fd, F_UNLCK);
    return false;
}

void unlock_file(int fd, bool shared) {
    raw_call(SYS_flock, fd, LOCK_UN);
    if (shared) set_record_lock(fd, F_UNLCK);
}

/// Reads the whole file; nullptr with `bytes` 0 for an empty one.
bool read_whole(int fd, char*& contents, size_t& bytes, size_t& mapped_bytes) {
    struct stat status{};
    if (raw_call(SYS_fstat, fd, as_word(&status)) != 0) return false;
    const auto room = static_cast<size_t>(status.st_size);
    contents = nullptr;
    bytes = 0;
    mapped_bytes = room;
    if (room == 0) return true;
    contents = static_cast<char*>(map_pages(room));
    if (contents == nullptr) return false;
    while (bytes < room) {
        const long count = raw_call(SYS_pread64, fd, as_word(contents + bytes),
                                    static_cast<long>(room - bytes), static_cast<long>(bytes));
        if (count == -EINTR) continue;
        if (count <= 0) break;
        bytes += static_cast<size_t>(count);
    }
    return true;
}

/// Writes what differs from `before` on: readers see whole lines but for the one that changes.
bool write_from(int fd, std::string_view before, std::string_view after) {
    const size_t common = std::min(before.size(), after.size());
    size_t at = 0;
    while (at < common && before[at] == after[at]) ++at;
    while (at < after.size()) {
        const long count = raw_call(SYS_pwrite64, fd, as_word(after.data() + at),
                                    static_cast<long>(after.size() - at), static_cast<long>(at));
        if (count == -EINTR) continue;
        if (count <= 0) return false;
        at += static_cast<size_t>(count);
    }
    return raw_call(SYS_ftruncate, fd, static_cast<long>(after.size())) == 0;
}

bool is_line_of(std::string_view line, std::string_view id) {
    // The only member of that name: quotes inside of texts have a backslash before them.
    size_t at = line.find("\"id\":\"");
    if (at == std::string_view::npos) return false;
    at += 6;
    return line.substr(at).starts_with(id) && line.substr(at + id.size()).starts_with("\"");
}

}  // namespace

void add_file_name(Text& name, const char* pattern, int process) {
    for (; *pattern != '\0'; ++pattern) {
        if (pattern[0] == '%' && pattern[1] == 'p') {
            name.add_number(static_cast<uint64_t>(process));
            ++pattern;
        } else {
            name.add({pattern, 1});
            if (pattern[0] == '%' && pattern[1] == '%') ++pattern;
        }
    }
    name.add({"\0", 1});
}

void replace_line(Text& into, std::string_view contents, std::string_view id,
                  std::string_view line) {
    bool replaced = false;
    for (size_t end = contents.find('\n'); end != std::string_view::npos;
         end = contents.find('\n')) {
        const std::string_view each = contents.substr(0, end + 1);
        contents.remove_prefix(end + 1);
        if (!is_line_of(each, id)) {
            into.add(each);
        } else if (!replaced) {
            into.add(line);
            replaced = true;
        }
    }
    if (!replaced) into.add(line);
}

int kept_document_file() {
    struct stat now{};
    if (kept.fd < 0 || raw_call(SYS_fstat, kept.fd, as_word(&now)) != 0 ||
        now.st_dev != kept.device || now.st_ino != kept.inode)
        return -1;
    return kept.fd;
}

void keep_document_file(const char* pattern, int process) {
    if (kept_document_file() >= 0) return;
    Text name;
    add_file_name(name, pattern, process);
    const int fd = open_file(name.data(), O_RDWR | O_CREAT | O_NOCTTY, 0666);
    name.clear_and_free();
    if (fd < 0) return;
    struct stat status{};
    const long moved = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kept_from);
    if (moved >= 0 && raw_call(SYS_fstat, fd, as_word(&status)) == 0)
        kept = {static_cast<int>(moved), status.st_dev, status.st_ino};
    close_file(fd);
}

bool write_document(const char* pattern, int process, std::string_view id, std::string_view line) {
    Text name;
    add_file_name(name, pattern, process);
    int fd = open_file(name.data(), O_RDWR | O_CREAT | O_NOCTTY, 0666);
    name.clear_and_free();
    const bool is_kept = fd < 0;
    if (is_kept) fd = kept_document_file();
    if (fd < 0) return false;
    char* before = nullptr;
    size_t bytes = 0;
    size_t mapped_bytes = 0;
    Text after;
    bool written = false;
    if (lock_file(fd, is_kept)) {
        if (read_whole(fd, before, bytes, mapped_bytes)) {
            replace_line(after, {before, bytes}, id, line);
            written = after.complete() && write_from(fd, {before, bytes}, after.view());
        }
        unlock_file(fd, is_kept);
    }
    if (before != nullptr) unmap_pages(before, mapped_bytes);
    after.clear_and_free();
    if (!is_kept) close_file(fd);
    return written;
}

}  // namespace braidway::lockcheck
