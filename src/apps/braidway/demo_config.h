// SPDX-License-Identifier: Apache-2.0
// The configuration of `braidway demo`, and its image.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "daemon/config.h"

namespace braidway::apps {

inline constexpr uint64_t demo_image_bytes = uint64_t{1} << 30;
inline constexpr const char* demo_tcp_address = "tcp:127.0.0.1:10809";

/// Four file paths to STATE/disk.img in two groups, exported as "demo" on unix:STATE/demo.sock and
/// on `nbd` (when empty: demo_tcp_address).
/// Errors: an address that is none, a state folder whose name is too long for a socket.
Result<daemon::Config> make_demo_config(const std::string& state,
                                        const std::vector<std::string>& nbd);

/// Makes the state folder and in it a sparse image of 1 GiB; both stay as they are when they exist.
Result<void> make_demo_image(const std::string& state);

/// What to try with a running demo, one command a line.
std::string demo_hints(const daemon::Config& config, const std::string& default_state);

}  // namespace braidway::apps
