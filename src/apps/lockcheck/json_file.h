// SPDX-License-Identifier: Apache-2.0
// The JSON FILE: one document a line, each process's own line replaced as a whole.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/lockcheck/document.h"
#include "base/error.h"

namespace braidway::lockcheck {

/// `contents` with the line of the process `id` replaced by `line`, or with `line` at the end when
/// there is none. What follows the last newline is kept when it is a whole document, and else
/// dropped: its writer was killed while it wrote.
std::string replace_line(std::string_view contents, std::string_view id, std::string_view line);

/// `pattern` with every %p replaced by `pid`; %% is a percent sign.
std::string file_of(std::string_view pattern, int64_t pid);

/// Whether the pattern has a %p: then each process has a file of its own.
bool is_per_process(std::string_view pattern);

/// Puts `line` into FILE in place of the former line of `id`, under flock(2). Makes the file.
/// `otherwise`: a descriptor of it for a process that may not open it, or -1.
/// Errors: it cannot be opened, locked within 10 s, or written.
/// Threads: any; processes, too.
Result<void> write_line(const std::string& file, std::string_view id, std::string_view line,
                        int otherwise = -1);

/// Makes FILE, or empties it. Errors: cannot be made, or is no regular file (it is read again and
/// changed in the middle).
Result<void> make_file(const std::string& file);

/// All whole documents in FILE; lines that are none are left out.
std::vector<Document> read_documents(const std::string& file);

}  // namespace braidway::lockcheck
