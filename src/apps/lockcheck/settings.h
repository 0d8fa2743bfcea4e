// SPDX-License-Identifier: Apache-2.0
// What the user wished, and how it comes to the runtime and the renderer: in the environment, which
// children inherit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace braidway::lockcheck {

/// The wishes of one run.
struct Settings {
    std::string json;  ///< Absolute; may have a %p. "" = none.
    bool quiet = false;
    std::vector<std::string> suppressions;  ///< Absolute.
    int exit_status = 66;
    bool hang_ends_program = true;
    Duration hang_after = std::chrono::seconds(3);
    std::string picture;  ///< Absolute; .dot or .svg; may have a %p. "" = none.
    bool github = false;
    bool assume_writers = false;
    bool generate_suppressions = false;
    // Found by the front end, not wished.
    int64_t root = 0;      ///< The process that lockcheck started.
    std::string renderer;  ///< This program.
    std::string state;     ///< The counts that the tree shares.
};

/// One variable of the environment.
struct Variable {
    std::string name;
    std::optional<std::string> value;  ///< None: it must not be set.
};

/// All LOCKCHECK_ variables for these settings, also those that must not be set: one from outside
/// would be taken for a wish.
std::vector<Variable> variables(const Settings& settings);

/// Reads the environment back. `value_of` answers a variable's value or null. What cannot be
/// understood keeps its default: it comes from lockcheck itself.
Settings settings_from(const std::function<const char*(const char*)>& value_of);

/// LD_PRELOAD with `library` before what was there.
std::string preload(std::string_view library, std::string_view before);

/// `path` from the folder `from`, without "." and "..".
std::string absolute(std::string_view path, std::string_view from);

}  // namespace braidway::lockcheck
