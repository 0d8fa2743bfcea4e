// SPDX-License-Identifier: Apache-2.0
// Requests that do something, as commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/control.h"

namespace braidway::daemon {

/// The command of `POST /v1/paths/a1/fail` and its like: `words` is the path without "v1", split.
/// Errors: ENOENT when there is no such command, EPROTOTYPE when the method is another one (the
/// message says which), EINVAL for a body that the command does not take.
Result<Command> read_command(std::string_view method, const std::vector<std::string>& words,
                             const std::string& body);

/// The reverse: method, path and body that read_command() understands.
struct CommandRequest {
    std::string method;
    std::string path;
    std::string body;
};
CommandRequest write_command(const Command& command);

}  // namespace braidway::daemon
