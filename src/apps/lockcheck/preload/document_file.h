// SPDX-License-Identifier: Apache-2.0
// The file of documents, one a line, as a process without anything to show writes it.
#pragma once

#include <string_view>

#include "apps/lockcheck/preload/text.h"

namespace braidway::lockcheck {

/// Puts `line` (with its newline) into the file in place of the line of the process `id`, or at the
/// end, under flock(). "%p" in `pattern` is `process`, "%%" a percent sign. An empty `line` takes
/// the old one out. False: the file cannot be opened, read or written, or it is locked for too
/// long.
bool write_document(const char* pattern, int process, std::string_view id, std::string_view line);

/// The same for a process that has no line there yet: what others wrote is not read.
bool begin_document(const char* pattern, int process, std::string_view id, std::string_view line);

/// Adds the line of the process `id`, with its newline. False: there is none.
bool read_line(const char* pattern, int process, std::string_view id, Text& into);

/// Makes the process's line one that stays where it is and has `room_bytes`, filled up with blanks,
/// and maps it: whoever will not be allowed any system call can still write there. nullptr: it
/// cannot. `line` is with its newline.
char* fix_line(const char* pattern, int process, std::string_view id, std::string_view line,
               size_t room_bytes);

/// The name that `pattern` makes, with its final zero.
void add_file_name(Text& name, const char* pattern, int process);

/// `contents` with the line of `id` replaced. What follows the last newline is dropped: its writer
/// was killed while it wrote.
void replace_line(Text& into, std::string_view contents, std::string_view id,
                  std::string_view line);

/// Where a line is that does not move.
struct FixedLine {
    size_t offset_bytes = 0;
    size_t room_bytes = 0;
};

/// `contents` with the line of `id` among those that do not move, which are the first of the file
/// and begin with a blank. `place.room_bytes` is what it may have; sets the offset.
void add_fixed_line(Text& into, std::string_view contents, std::string_view id,
                    std::string_view line, FixedLine& place);

/// Keeps the file open for the functions above, for a process that will not be allowed to open it,
/// or not find it, any more.
void keep_document_file(const char* pattern, int process);

/// The file, open and locked as long as this lives.
class DocumentFile {
  public:
    DocumentFile(const char* pattern, int process);
    ~DocumentFile();
    DocumentFile(const DocumentFile&) = delete;
    DocumentFile& operator=(const DocumentFile&) = delete;

    /// Reads all of it. False: it is not there, not ours, or cannot be read.
    bool read();
    std::string_view contents() const { return {contents_, bytes_}; }
    /// Makes `after` its contents; read() came before.
    bool write(const Text& after);
    /// Adds a line at the end. False, and nothing was added: the last one is not whole.
    bool append(std::string_view line);
    /// The part of the file, in memory that is the file; nullptr: it cannot be mapped.
    void* map(const FixedLine& place) const;

  private:
    int fd_ = -1;
    bool is_kept_ = false;
    bool is_locked_ = false;
    char* contents_ = nullptr;
    size_t bytes_ = 0;
    size_t mapped_bytes_ = 0;
};

}  // namespace braidway::lockcheck
