// SPDX-License-Identifier: Apache-2.0
// The command line's side of the control API.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "apps/braidway/program.h"
#include "base/error.h"
#include "daemon/control.h"

namespace braidway::apps {

/// What the daemon answered.
struct ApiAnswer {
    int status = 0;
    std::string body;
};

/// Asks one daemon.
class ApiClient {
  public:
    /// Finds the daemon: --api, else $BRAIDWAY_API, else the usual places.
    /// Errors: none answers; the message says where it was looked for and what to do.
    static Result<ApiClient> find(const Program& program);

    Result<ApiAnswer> request(const std::string& method, const std::string& path,
                              const std::string& body) const;
    /// Gets `path` and hands over each line as it comes, until the daemon ends the answer or
    /// `line` returns false. An answer that is no 200 is returned, not handed over.
    Result<ApiAnswer> stream(const std::string& path,
                             const std::function<bool(std::string_view line)>& line) const;

  private:
    explicit ApiClient(std::string socket) : socket_(std::move(socket)) {}

    std::string socket_;
};

/// Asks for `path` and prints the answer: text, or with --json the document. Returns the exit code.
int show_page(const Program& program, const std::string& path);

/// Sends `command` and prints what the daemon says to it. Returns the exit code.
int send_command(const Program& program, const daemon::Command& command);

/// Prints an answer that is an error and returns the exit code for it.
int print_error(const Program& program, const ApiAnswer& answer);

}  // namespace braidway::apps
