// SPDX-License-Identifier: Apache-2.0
// The daemon's life: start, signals, reloads, the end. The same for `serve` and `demo`.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "apps/braidway/program.h"
#include "daemon/config.h"

namespace braidway::apps {

/// What a daemon is started with.
struct ServiceOptions {
    daemon::Config config;
    /// Reads the configuration again, with the command line's options on top; empty when there is
    /// nothing to read again.
    std::function<std::expected<daemon::Config, daemon::ConfigProblems>()> reload;
    /// How to get out of the way of a taken address: "--nbd ADDRESS chooses another one".
    std::string address_hint;
    /// Called once everything is served.
    std::function<void()> started;
};

/// Serves until SIGINT or SIGTERM, then drains. Returns the exit code: 0 after a clean end, 1 when
/// something could not be started or is stuck. A second signal ends the process at once with 1.
int run_service(const Program& program, ServiceOptions options);

}  // namespace braidway::apps
