// SPDX-License-Identifier: Apache-2.0
// CHAP secrets, kept in files that only their owner and group can read.
#pragma once

#include <string>

#include "base/error.h"

namespace braidway::path {

/// Reads the secret in `file`: its first line, without the line's end. May sleep: not for a lane.
///
/// Errors: one line with the file's name and what to do: tls::read_secret_file()'s; the secret is
/// empty, longer than 255 bytes, or not alone in the file. The secret itself is in none of them.
Result<std::string> read_chap_secret(const std::string& file);

}  // namespace braidway::path
