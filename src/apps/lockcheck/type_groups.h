// SPDX-License-Identifier: Apache-2.0
// Which classes of locks are one by their type: what the runtime asks at a program's end.
//
// The runtime starts `lockcheck --types` with its question on stdin and reads the answer from
// stdout; it waits meanwhile. The option is no part of the interface for users.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lockcheck/lock_types.h"
#include "base/error.h"
#include "base/limits.h"

namespace braidway::lockcheck {

/// More is not asked; each is a look into debug information.
inline constexpr size_t origins_max = limits::lockcheck_types_asked_max;

/// Reads the question: {"lockcheck_types":1,"origins":[{"place":"heap","made":[...],...},...]}.
/// Errors: one line. Never throws, whatever the bytes are.
Result<std::vector<LockOrigin>> read_origins(std::string_view text);

/// The answer is a line for each group of at least two origins with one type: their numbers, with
/// blanks between. Behind a line "=" such lines follow for those that the same calls in the
/// program's source initialised (LockTypes::calls_of): nobody can tell them apart. Behind another
/// "=" there is a line for each that is of mixed code (LockTypes::is_of_mixed_code).
///
/// This makes the lines of groups. `type_of` answers "" for what is not known.
std::string type_groups(const std::vector<LockOrigin>& origins,
                        const std::function<std::string(const LockOrigin&)>& type_of);

/// `lockcheck --types`: from stdin to stdout. Returns an exit status, 0 for an answer.
int run_types();

}  // namespace braidway::lockcheck
