// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/places.h"

#include <cstdlib>

namespace braidway::apps {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::string default_demo_state() {
    if (const std::string state = environment("XDG_STATE_HOME"); !state.empty())
        return state + "/braidway/demo";
    const std::string home = environment("HOME");
    return home.empty() ? std::string() : home + "/.local/state/braidway/demo";
}

std::string demo_api_socket(const std::string& state) {
    return state + "/api.sock";
}

std::vector<std::string> usual_api_sockets() {
    std::vector<std::string> places{"/run/braidway/api.sock"};
    if (const std::string runtime = environment("XDG_RUNTIME_DIR"); !runtime.empty())
        places.push_back(runtime + "/braidway/api.sock");
    if (const std::string state = default_demo_state(); !state.empty())
        places.push_back(demo_api_socket(state));
    return places;
}

}  // namespace braidway::apps
