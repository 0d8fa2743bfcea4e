// SPDX-License-Identifier: Apache-2.0
// Options of the command line that count more than the configuration file.
#pragma once

#include <optional>
#include <string>

#include "daemon/config.h"

namespace CLI {
class App;
}

namespace braidway::apps {

/// What the command line says; nothing where it says nothing.
struct Overrides {
    std::optional<std::string> api;  ///< --api: where the control socket is.
    std::optional<daemon::IoBackend> io_backend;
    std::optional<daemon::Severity> log_level;
};

/// Adds --io-backend and --log-level. --api is an option of all commands.
void add_override_options(CLI::App& app, Overrides& overrides);

/// Puts them into `config`, also after a reload.
void apply_overrides(const Overrides& overrides, daemon::Config& config);

}  // namespace braidway::apps
