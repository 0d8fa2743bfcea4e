// SPDX-License-Identifier: Apache-2.0
// The file of documents, one a line, as a process without anything to show writes it.
#pragma once

#include <string_view>

#include "apps/lockcheck/preload/text.h"

namespace braidway::lockcheck {

/// Puts `line` (with its newline) into the file in place of the line of the process `id`, or at the
/// end, under flock(). "%p" in `pattern` is `process`, "%%" a percent sign. False: the file cannot
/// be opened, read or written, or it is locked for too long.
bool write_document(const char* pattern, int process, std::string_view id, std::string_view line);

/// The name that `pattern` makes, with its final zero.
void add_file_name(Text& name, const char* pattern, int process);

/// `contents` with the line of `id` replaced. What follows the last newline is dropped: its writer
/// was killed while it wrote.
void replace_line(Text& into, std::string_view contents, std::string_view id,
                  std::string_view line);

/// The descriptor that keep_document_file() kept; -1: there is none, or it is another file now.
int kept_document_file();

/// Keeps the file open for write_document(), for a process that will not be allowed to open it, or
/// not find it, any more.
void keep_document_file(const char* pattern, int process);

}  // namespace braidway::lockcheck
