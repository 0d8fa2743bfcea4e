// SPDX-License-Identifier: Apache-2.0
// Where things are when nobody says where.
#pragma once

#include <string>
#include <vector>

namespace braidway::apps {

/// ${XDG_STATE_HOME:-$HOME/.local/state}/braidway/demo; empty when neither is set.
std::string default_demo_state();

/// The control socket of a demo with this state folder.
std::string demo_api_socket(const std::string& state);

/// Where a daemon's control socket is looked for, in this order: /run/braidway/api.sock,
/// $XDG_RUNTIME_DIR/braidway/api.sock, the demo's.
std::vector<std::string> usual_api_sockets();

inline constexpr const char* default_config_file = "/etc/braidway/braidway.toml";

}  // namespace braidway::apps
