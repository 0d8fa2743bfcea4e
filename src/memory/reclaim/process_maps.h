// SPDX-License-Identifier: Apache-2.0
// Which processes there are, and what each has mapped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace braidway::memory {

/// A file as /proc/PID/maps names it. On some filesystems (btrfs, overlayfs) stat() says another
/// device; the pair still tells files apart.
struct FileKey {
    uint32_t device_major = 0;
    uint32_t device_minor = 0;
    uint64_t inode = 0;
    auto operator<=>(const FileKey&) const = default;
};

/// One line of /proc/PID/maps.
struct Mapping {
    uint64_t begin = 0;  ///< Address.
    uint64_t end = 0;
    uint64_t offset = 0;  ///< In the file, bytes.
    FileKey file{};       ///< inode 0: not of a file.
    bool writable = false;
    bool shared = false;
    std::string_view path{};  ///< In the text; ends in " (deleted)" when it is.

    uint64_t bytes() const { return end - begin; }
    /// Of an ordinary file, as far as the line tells: neither anonymous nor a device, shared memory
    /// or a huge page. tmpfs looks like a file here.
    bool is_file() const;
};

/// Parses the next line and takes it from `text`. False at the end; a line that is not understood
/// is passed over.
bool next_mapping(std::string_view& text, Mapping& mapping);

/// The second and third number of a /proc/PID/statm: pages in memory, and those of files and
/// shared memory among them. Kernel threads have 0.
struct ProcessSize {
    uint64_t resident_pages = 0;
    uint64_t shared_pages = 0;
};
ProcessSize parse_statm(std::string_view text);

/// Reads a whole file of /proc into `text`, whose memory is used again.
/// Returns 0 or an errno; ENOENT and ESRCH say that the process is gone.
int read_process_file(const char* path, std::string& text);

/// Processes that exist, in the order of their numbers; without this one.
/// Errors: /proc cannot be read.
Result<std::vector<pid_t>> other_processes();

/// "/proc/PID/NAME", made without allocating.
class ProcessPath {
  public:
    ProcessPath(pid_t process, std::string_view name);
    const char* text() const { return text_; }

  private:
    char text_[96];
};

}  // namespace braidway::memory
