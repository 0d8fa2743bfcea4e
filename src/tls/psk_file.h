// SPDX-License-Identifier: Apache-2.0
// Pre-shared keys: lines of "user:hexadecimal key", as psktool of GnuTLS writes them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace braidway::tls {

/// The keys of some users. Keys are overwritten when it goes.
///
/// Shapes:  up to limits::tls_psk_users_max users; keys of 16 to 64 bytes.
class PskFile {
  public:
    /// One user's key.
    struct User {
        std::string name;
        std::vector<unsigned char> key;
    };

    /// Reads a file; it must not be open to every user of the machine.
    /// Errors: one line with the file's name, the line's number and what was expected there.
    static Result<PskFile> read(const std::string& file);
    /// As read(), from its text. Pure.
    static Result<PskFile> parse(std::string_view text, const std::string& file);

    PskFile(PskFile&&) = default;
    PskFile& operator=(PskFile&&) = delete;
    ~PskFile();

    /// The key of `user`, or nothing.
    std::span<const unsigned char> find(std::string_view user) const;
    const std::vector<User>& users() const { return users_; }
    const std::string& file() const { return file_; }

  private:
    explicit PskFile(std::string file) : file_(std::move(file)) {}

    std::string file_;
    std::vector<User> users_;
};

}  // namespace braidway::tls
