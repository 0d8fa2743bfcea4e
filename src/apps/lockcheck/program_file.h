// SPDX-License-Identifier: Apache-2.0
// Which file a program's name means, and whether its locks can be watched.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::lockcheck {

/// Why a program is not started, and what lockcheck then exits with.
struct Refusal {
    std::string message;  ///< One line.
    int status = 2;
};

/// What the beginning of a file says about it.
struct FileKind {
    enum class Format : uint8_t {
        elf,     ///< Machine code.
        script,  ///< Begins with "#!".
        other,   ///< As execvp(3) does, it is handed to /bin/sh.
    };
    Format format = Format::other;
    std::string interpreter;  ///< Of a script; or an ELF file's dynamic linker, "" = static.
    uint16_t machine = 0;     ///< ELF's e_machine.
    uint8_t bits = 0;         ///< 32 or 64.
};

/// Reads the first bytes of a file: `head` is its beginning. Any bytes are understood.
FileKind kind_of(std::string_view head);

/// As execvp(3) looks for it: a word with a slash is the file; another is looked for in each folder
/// of `search` (the value of PATH). Status 127: not found; 126: found, but it cannot be executed.
std::expected<std::string, Refusal> find_program(std::string_view word, std::string_view search);

/// Whether the runtime in `library` will be loaded into this program: it is no setuid program for
/// this user, it is linked dynamically against the C library that lockcheck knows, and for the same
/// machine. Of a script the interpreter is asked. Status 2 when not.
std::expected<void, Refusal> check_program(const std::string& path, const std::string& library);

}  // namespace braidway::lockcheck
