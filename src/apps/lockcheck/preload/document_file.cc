// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/document_file.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constexpr int64_t lock_tries = limits::lockcheck_file_patience / limits::lockcheck_file_pause;

template <typename Try>
bool lock_patiently(const Try& try_once) {
    for (int64_t tries = 0; tries < lock_tries; ++tries) {
        const long result = try_once();
        if (result == 0) return true;
        if (result != -EAGAIN && result != -EACCES && result != -EINTR) return false;
        const timespec pause{0, limits::lockcheck_file_pause.count()};
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

/// May this process make the file so long? Trying would bring SIGXFSZ, and leave half a line.
bool may_reach(size_t bytes) {
    rlimit limit{};
    return raw_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, as_word(&limit)) != 0 ||
           bytes <= limit.rlim_cur;
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

bool same_file(int left, int right) {
    struct stat one{};
    struct stat other{};
    return raw_call(SYS_fstat, left, as_word(&one)) == 0 &&
           raw_call(SYS_fstat, right, as_word(&other)) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/// Before a line that does not move; no other line begins with it.
constexpr char fixed_mark = ' ';
constexpr size_t page_bytes = 65'536;  ///< The largest there is.

/// What replaces a line that does not move is as long, if that can be.
void add_in_place_of(Text& into, std::string_view old, std::string_view line) {
    if (!old.starts_with(fixed_mark) || line.size() + 1 > old.size() || line.empty()) {
        into.add(line);
        return;
    }
    into.add({&fixed_mark, 1}).add(line.substr(0, line.size() - 1));
    for (size_t at = line.size() + 1; at < old.size(); ++at) into.add({&fixed_mark, 1});
    into.add("\n");
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
            add_in_place_of(into, each, line);
            replaced = true;
        }
    }
    if (!replaced) into.add(line);
}

void add_fixed_line(Text& into, std::string_view contents, std::string_view id,
                    std::string_view line, FixedLine& place) {
    const auto next_line = [&contents] {
        const std::string_view each = contents.substr(0, contents.find('\n') + 1);
        contents.remove_prefix(each.size());
        return each;
    };
    // Those of other processes come first and stay where they are.
    while (contents.starts_with(fixed_mark) && contents.find('\n') != std::string_view::npos)
        into.add(next_line());
    into.add({&fixed_mark, 1});
    place.offset_bytes = into.size();
    if (line.ends_with('\n')) line.remove_suffix(1);
    into.add(line);
    for (size_t at = line.size(); at < place.room_bytes; ++at) into.add({&fixed_mark, 1});
    into.add("\n");
    while (contents.find('\n') != std::string_view::npos)
        if (const std::string_view each = next_line(); !is_line_of(each, id)) into.add(each);
}

void keep_document_file(const char* pattern, int process) {
    if (kept_descriptor(OwnDescriptor::document) >= 0) return;
    Text name;
    add_file_name(name, pattern, process);
    const int fd = open_file(name.data(), O_RDWR | O_CREAT | O_NOCTTY, 0666);
    name.clear_and_free();
    if (fd < 0) return;
    keep_descriptor(OwnDescriptor::document, fd);
    close_file(fd);
}

DocumentFile::DocumentFile(const char* pattern, int process) {
    Text name;
    add_file_name(name, pattern, process);
    fd_ = open_file(name.data(), O_RDWR | O_CREAT | O_NOCTTY, 0666);
    name.clear_and_free();
    // Below another root the same path may be another file.
    const int kept = kept_descriptor(OwnDescriptor::document);
    if (kept >= 0 && (fd_ < 0 || !same_file(fd_, kept))) {
        if (fd_ >= 0) close_file(fd_);
        fd_ = kept;
        is_kept_ = true;
    }
    is_locked_ = fd_ >= 0 && lock_file(fd_, is_kept_);
}

DocumentFile::~DocumentFile() {
    if (is_locked_) unlock_file(fd_, is_kept_);
    if (contents_ != nullptr) unmap_pages(contents_, mapped_bytes_);
    if (fd_ >= 0 && !is_kept_) close_file(fd_);
}

bool DocumentFile::read() {
    return is_locked_ && read_whole(fd_, contents_, bytes_, mapped_bytes_);
}

bool DocumentFile::write(const Text& after) {
    return after.complete() && may_reach(after.size()) && write_from(fd_, contents(), after.view());
}

bool DocumentFile::append(std::string_view line) {
    struct stat status{};
    if (!is_locked_ || raw_call(SYS_fstat, fd_, as_word(&status)) != 0) return false;
    const auto end = static_cast<size_t>(status.st_size);
    char last = '\n';
    if (end > 0 && raw_call(SYS_pread64, fd_, as_word(&last), 1, status.st_size - 1) != 1)
        return false;
    if (last != '\n' || !may_reach(end + line.size())) return false;
    size_t at = 0;
    while (at < line.size()) {
        const long count =
            raw_call(SYS_pwrite64, fd_, as_word(line.data() + at),
                     static_cast<long>(line.size() - at), static_cast<long>(end + at));
        if (count == -EINTR) continue;
        if (count <= 0) return false;
        at += static_cast<size_t>(count);
    }
    return true;
}

void* DocumentFile::map(const FixedLine& place) const {
    const size_t below = place.offset_bytes % page_bytes;
    const long at =
        raw_call(SYS_mmap, 0, static_cast<long>(below + place.room_bytes), PROT_READ | PROT_WRITE,
                 MAP_SHARED, fd_, static_cast<long>(place.offset_bytes - below));
    if (at < 0 && at > -4096) return nullptr;
    return reinterpret_cast<char*>(at) + below;
}

bool write_document(const char* pattern, int process, std::string_view id, std::string_view line) {
    DocumentFile file(pattern, process);
    if (!file.read()) return false;
    Text after;
    replace_line(after, file.contents(), id, line);
    const bool written = file.write(after);
    after.clear_and_free();
    return written;
}

bool begin_document(const char* pattern, int process, std::string_view id, std::string_view line) {
    {
        DocumentFile file(pattern, process);
        if (file.append(line)) return true;
    }
    return write_document(pattern, process, id, line);
}

bool read_line(const char* pattern, int process, std::string_view id, Text& into) {
    DocumentFile file(pattern, process);
    if (!file.read()) return false;
    std::string_view rest = file.contents();
    for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        if (is_line_of(rest.substr(0, end), id)) {
            into.add(rest.substr(0, end + 1));
            return into.complete();
        }
        rest.remove_prefix(end + 1);
    }
    return false;
}

char* fix_line(const char* pattern, int process, std::string_view id, std::string_view line,
               size_t room_bytes) {
    DocumentFile file(pattern, process);
    if (line.size() > room_bytes || !file.read()) return nullptr;
    Text after;
    FixedLine place{0, room_bytes};
    add_fixed_line(after, file.contents(), id, line, place);
    void* const mapped = file.write(after) ? file.map(place) : nullptr;
    after.clear_and_free();
    return static_cast<char*>(mapped);
}

}  // namespace braidway::lockcheck
