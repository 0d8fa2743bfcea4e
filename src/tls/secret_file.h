// SPDX-License-Identifier: Apache-2.0
// Files with keys in them: who may read them, and how their text is got rid of.
#pragma once

#include <string>

#include "base/error.h"

namespace braidway::tls {

/// The text of a small file, overwritten when it goes.
class SecretText {
  public:
    SecretText() = default;
    explicit SecretText(std::string text) : text_(std::move(text)) {}
    SecretText(SecretText&& other) noexcept;
    SecretText& operator=(SecretText&& other) noexcept;
    ~SecretText();

    const std::string& text() const { return text_; }

  private:
    void wipe();
    std::string text_;
};

/// What a file has in it to hide.
enum class FileSecrecy : uint8_t {
    open,    ///< Nothing: a certificate.
    secret,  ///< A key: a file that others than owner and group may read or write is refused.
};

/// Reads a whole file, at most limits::tls_file_bytes_max of it.
/// Errors:  one line with the file's name and what to do; code ENOENT where there is no such file.
/// Threads: any that may sleep.
Result<SecretText> read_secret_file(const std::string& name, FileSecrecy secrecy);

}  // namespace braidway::tls
