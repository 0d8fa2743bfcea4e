// SPDX-License-Identifier: Apache-2.0
// Reading and writing whole files.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::lockcheck {

/// A descriptor that is closed at the end. Move it nowhere.
class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    explicit operator bool() const { return descriptor_ >= 0; }
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

/// Reads from where the descriptor is to the end. `name` is for errors.
/// Errors: reading fails, or there are more than `bytes_max`.
Result<std::string> read_all(int descriptor, const std::string& name, size_t bytes_max);

/// Reads a whole file. Errors: as read_all(); cannot be opened.
Result<std::string> read_file(const std::string& name, size_t bytes_max);

/// Writes all of `text`. Errors: "NAME: REASON".
Result<void> write_all(int descriptor, const std::string& name, std::string_view text);

/// Makes the file anew with this text; readers see the old one or the new one, never half of it.
Result<void> replace_file(const std::string& name, std::string_view text);

}  // namespace braidway::lockcheck
