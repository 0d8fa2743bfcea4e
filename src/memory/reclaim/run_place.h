// SPDX-License-Identifier: Apache-2.0
// Where runs meet: the directory of locks and of what must be undone.
#pragma once

#include <string>

#include "base/error.h"

namespace braidway::memory {

/// The directory that all runs of one kind of user share: /run/braidway-node-memory for root, else
/// $XDG_RUNTIME_DIR/braidway or /tmp/braidway-UID. Made when it is not there, and only used when
/// nobody else can write into it.
/// `root` stands before it.
/// Errors: cannot be made, or belongs to somebody else.
Result<std::string> run_place(const std::string& root);

/// Whether the place of this user is that of all runs that may free everybody's memory: root's.
bool run_place_is_shared();

/// A file that is locked as long as the object lives; the kernel lets go of it however the process
/// ends.
class FileLock {
  public:
    FileLock() = default;
    FileLock(FileLock&& other) noexcept;
    FileLock& operator=(FileLock&& other) noexcept;
    ~FileLock();

    /// Takes it if it is free. Errors: `code` EWOULDBLOCK when another one has it; else why the
    /// file could not be opened.
    static Result<FileLock> try_take(const std::string& path);
    int descriptor() const { return fd_; }

  private:
    explicit FileLock(int fd) : fd_(fd) {}
    int fd_ = -1;
};

}  // namespace braidway::memory
