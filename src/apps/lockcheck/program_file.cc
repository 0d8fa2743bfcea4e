// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/program_file.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "apps/lockcheck/files.h"
#include "apps/lockcheck/naming.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

template <typename Struct>
std::optional<Struct> at(std::string_view bytes, uint64_t offset) {
    Struct value;
    if (offset > bytes.size() || bytes.size() - offset < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

template <typename Header, typename Segment>
FileKind elf_kind(std::string_view head, uint8_t bits) {
    FileKind kind{FileKind::Format::elf, "", 0, bits};
    const auto header = at<Header>(head, 0);
    if (!header) return kind;
    kind.machine = header->e_machine;
    for (uint64_t index = 0; index < header->e_phnum; ++index) {
        const auto segment = at<Segment>(head, header->e_phoff + index * sizeof(Segment));
        if (!segment) return kind;
        if (segment->p_type != PT_INTERP || segment->p_offset >= head.size()) continue;
        const std::string_view name = head.substr(segment->p_offset, segment->p_filesz);
        kind.interpreter = name.substr(0, name.find('\0'));
    }
    return kind;
}

Result<std::string> read_head(const std::string& path) {
    const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file) return fail(fmt::format("{}: {}", path, errno_text(errno)), errno);
    std::string head(limits::lockcheck_program_head_bytes, '\0');
    const ssize_t count = pread(file.get(), head.data(), head.size(), 0);
    if (count < 0) return fail(fmt::format("{}: {}", path, errno_text(errno)), errno);
    head.resize(static_cast<size_t>(count));
    return head;
}

/// Whether the dynamic linker will not listen to LD_PRELOAD: the program gets rights that its
/// caller has not.
bool gains_rights(const std::string& path) {
    struct stat status{};
    struct statvfs mount{};
    if (stat(path.c_str(), &status) != 0) return false;
    if (statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0) return false;
    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) return true;
    const bool set_group = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if (set_group && status.st_gid != getgid()) return true;
    return getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

std::unexpected<Refusal> refuse(const std::string& path, std::string_view why) {
    return std::unexpected(Refusal{fmt::format("{}: {}", path, why), 2});
}

bool is_dynamic_linker(const std::string& path) {
    const std::string_view name = file_name(path);
    return name.starts_with("ld-linux") || name.starts_with("ld-2.") || name == "ld.so";
}

std::expected<void, Refusal> check_elf(const std::string& path, const FileKind& kind,
                                       const std::string& library) {
    if (gains_rights(path))
        return refuse(path,
                      "is a setuid program or has capabilities: the dynamic linker loads "
                      "nothing else into it, so lockcheck cannot see its locks");
    const auto head = read_head(library);
    if (!head) return refuse(library, errno_text(head.error().code));
    const FileKind own = kind_of(*head);
    if (own.format != FileKind::Format::elf) return refuse(library, "is not a shared library");
    if (own.machine != kind.machine || own.bits != kind.bits)
        return refuse(path, fmt::format("is built for another machine than {}: lockcheck cannot "
                                        "see its locks",
                                        file_name(library)));
    if (kind.interpreter.empty() && !is_dynamic_linker(path))
        return refuse(path, "is statically linked: lockcheck cannot see its locks");
    if (kind.interpreter.find("/ld-musl") != std::string::npos)
        return refuse(path, "is linked with musl: lockcheck knows the locks of the GNU C library");
    return {};
}

}  // namespace

FileKind kind_of(std::string_view head) {
    if (head.starts_with("#!")) {
        std::string_view line = head.substr(2, head.find('\n') - 2);
        const size_t first = line.find_first_not_of(" \t");
        if (first == std::string_view::npos) return {};
        line.remove_prefix(first);
        return {FileKind::Format::script, std::string(line.substr(0, line.find_first_of(" \t\r"))),
                0, 0};
    }
    if (!head.starts_with(std::string_view(ELFMAG, SELFMAG)) || head.size() < EI_NIDENT) return {};
    if (head[EI_CLASS] == ELFCLASS64) return elf_kind<Elf64_Ehdr, Elf64_Phdr>(head, 64);
    if (head[EI_CLASS] == ELFCLASS32) return elf_kind<Elf32_Ehdr, Elf32_Phdr>(head, 32);
    return {};
}

std::expected<std::string, Refusal> find_program(std::string_view word, std::string_view search) {
    const auto is_file = [](const std::string& path) {
        struct stat status{};
        return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    };
    const auto refused = [](std::string_view name, std::string_view why, int status) {
        return std::unexpected(Refusal{fmt::format("{}: {}", name, why), status});
    };
    if (word.find('/') != std::string_view::npos) {
        const std::string path(word);
        if (access(path.c_str(), F_OK) != 0)
            return refused(word, errno_text(errno),
                           errno == ENOENT || errno == ENOTDIR ? 127 : 126);
        if (!is_file(path)) return refused(word, "is not a program", 126);
        if (access(path.c_str(), X_OK) != 0) return refused(word, errno_text(errno), 126);
        return path;
    }
    bool seen = false;
    while (!word.empty()) {
        const size_t colon = search.find(':');
        std::string folder(search.substr(0, colon));
        // An empty entry is the current folder.
        if (folder.empty()) folder = ".";
        std::string path = fmt::format("{}/{}", folder, word);
        if (is_file(path)) {
            if (access(path.c_str(), X_OK) == 0) return path;
            seen = true;
        }
        if (colon == std::string_view::npos) break;
        search.remove_prefix(colon + 1);
    }
    if (seen) return refused(word, errno_text(EACCES), 126);
    return refused(word, "not found in PATH", 127);
}

std::expected<void, Refusal> check_program(const std::string& path, const std::string& library) {
    std::string file = path;
    for (int depth = 0; depth <= limits::lockcheck_scripts_max; ++depth) {
        const auto head = read_head(file);
        // It may be executed by those who may not read it.
        if (!head && head.error().code == EACCES) {
            if (gains_rights(file)) return check_elf(file, {}, library);
            return {};
        }
        if (!head) return std::unexpected(Refusal{head.error().message, 126});
        const FileKind kind = kind_of(*head);
        if (kind.format == FileKind::Format::elf) return check_elf(file, kind, library);
        file = kind.format == FileKind::Format::script ? kind.interpreter : "/bin/sh";
        if (access(file.c_str(), X_OK) != 0)
            return std::unexpected(Refusal{
                fmt::format("{}: its interpreter {}: {}", path, file, errno_text(errno)), 126});
    }
    return refuse(path, "has too many interpreters");
}

}  // namespace braidway::lockcheck
