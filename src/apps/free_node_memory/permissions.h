// SPDX-License-Identifier: Apache-2.0
// Modes and owners of the control files, as chmod and chown take them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "base/error.h"

namespace braidway::apps {

/// Who owns a file; what is not said stays as it is.
struct Owner {
    std::optional<uid_t> user{};
    std::optional<gid_t> group{};
};

/// Reads an octal mode, 0 to 0777. Errors: names the text.
Result<mode_t> parse_mode(std::string_view text);

/// Reads "USER", "USER:GROUP" or ":GROUP"; names or numbers. Errors: names who is not known.
Result<Owner> parse_owner(std::string_view text);

}  // namespace braidway::apps
