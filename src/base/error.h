// SPDX-License-Identifier: Apache-2.0
// What went wrong outside the data path, in the user's words.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace braidway {

/// The world said no. `message` is one line a user can act on: where (file:line, option, path
/// name), what was expected, what to do. `code` is an errno value where one is known, else 0.
struct Error {
    std::string message;
    int code = 0;
};

/// A value, or the reason why there is none.
template <typename T>
using Result = std::expected<T, Error>;

/// Makes the error half of a Result: `return fail("path a1: ...", errno);`
inline std::unexpected<Error> fail(std::string message, int code = 0) {
    return std::unexpected(Error{std::move(message), code});
}

/// The system's text for an errno value ("No such file or directory"). Thread-safe.
std::string errno_text(int code);

}  // namespace braidway
