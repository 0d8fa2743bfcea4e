// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/json_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "apps/lockcheck/files.h"
#include "base/clock.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

bool is_line_of(std::string_view line, std::string_view id) {
    // Cheap first: there may be thousands of lines.
    if (line.find(id) == std::string_view::npos) return false;
    const auto document = nlohmann::json::parse(line, nullptr, false);
    if (!document.is_object()) return false;
    const auto process = document.find("process");
    if (process == document.end() || !process->is_object()) return false;
    const auto found = process->find("id");
    return found != process->end() && found->is_string() &&
           found->get_ref<const std::string&>() == id;
}

Result<void> lock(int file, const std::string& name) {
    const Instant give_up = monotonic_now() + limits::lockcheck_file_patience;
    while (flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK)
            return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
        if (monotonic_now() >= give_up)
            return fail(fmt::format("{}: is locked by another process for too long", name));
        poll(nullptr, 0, static_cast<int>(limits::lockcheck_file_pause / 1ms));
    }
    return {};
}

/// Writes what differs from `before` on, and cuts the file to its new length.
Result<void> write_from(int file, const std::string& name, std::string_view before,
                        std::string_view after) {
    const size_t same =
        static_cast<size_t>(std::ranges::mismatch(before, after).in1 - before.begin());
    size_t at = same;
    while (at < after.size()) {
        const ssize_t count =
            pwrite(file, after.data() + at, after.size() - at, static_cast<off_t>(at));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
        at += static_cast<size_t>(count);
    }
    if (ftruncate(file, static_cast<off_t>(after.size())) != 0)
        return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    return {};
}

}  // namespace

std::string replace_line(std::string_view contents, std::string_view id, std::string_view line) {
    std::string out;
    out.reserve(contents.size() + line.size() + 1);
    bool replaced = false;
    while (!contents.empty()) {
        const size_t end = contents.find('\n');
        const std::string_view each = contents.substr(0, end);
        const bool is_whole = end != std::string_view::npos;
        contents = is_whole ? contents.substr(end + 1) : "";
        if (!is_whole && !nlohmann::json::accept(each)) break;
        if (!is_line_of(each, id)) {
            out.append(each).append("\n");
        } else if (!replaced) {
            // One that the runtime has mapped does not move: it begins with a blank, and what
            // replaces it is as long.
            const bool is_fixed = each.starts_with(' ') && line.size() <= each.size();
            if (is_fixed)
                out.append(" ")
                    .append(line.substr(0, line.size() - 1))
                    .append(each.size() - line.size(), ' ')
                    .append("\n");
            else
                out += line;
            replaced = true;
        }
    }
    if (!replaced) out += line;
    return out;
}

bool is_per_process(std::string_view pattern) {
    for (size_t at = 0; at + 1 < pattern.size(); ++at) {
        if (pattern[at] != '%') continue;
        if (pattern[at + 1] == 'p') return true;
        ++at;
    }
    return false;
}

std::string file_of(std::string_view pattern, int64_t pid) {
    std::string out;
    for (size_t at = 0; at < pattern.size(); ++at) {
        const char next = at + 1 < pattern.size() ? pattern[at + 1] : '\0';
        if (pattern[at] == '%' && next == 'p') {
            out += fmt::format("{}", pid);
            ++at;
        } else if (pattern[at] == '%' && next == '%') {
            out += '%';
            ++at;
        } else {
            out += pattern[at];
        }
    }
    return out;
}

Result<void> write_line(const std::string& name, std::string_view id, std::string_view line,
                        int otherwise) {
    const File file(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666));
    if (!file && otherwise < 0) return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    const int used = file ? file.get() : otherwise;
    if (const auto locked = lock(used, name); !locked) return locked;
    lseek(used, 0, SEEK_SET);
    const auto before = read_all(used, name, SIZE_MAX);
    const auto written = before ? write_from(used, name, *before, replace_line(*before, id, line))
                                : Result<void>(std::unexpected(before.error()));
    // A descriptor that was handed in stays open elsewhere, and with it the lock.
    flock(used, LOCK_UN);
    return written;
}

Result<void> make_file(const std::string& name) {
    const File file(
        open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666));
    struct stat status{};
    if (!file || fstat(file.get(), &status) != 0)
        return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    if (!S_ISREG(status.st_mode))
        return fail(
            fmt::format("{}: is not a regular file; documents in it are changed in place", name));
    if (ftruncate(file.get(), 0) != 0)
        return fail(fmt::format("{}: {}", name, errno_text(errno)), errno);
    return {};
}

std::vector<Document> read_documents(const std::string& name) {
    const auto contents = read_file(name, SIZE_MAX);
    if (!contents) return {};
    std::vector<Document> documents;
    std::string_view rest = *contents;
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        if (auto document = read_document(rest.substr(0, end)); document)
            documents.push_back(std::move(*document));
        rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    }
    return documents;
}

}  // namespace braidway::lockcheck
