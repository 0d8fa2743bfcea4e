// SPDX-License-Identifier: Apache-2.0
// The configuration: any bytes give a configuration or a list of problems, each of one line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "daemon/config.h"
#include "daemon/config_diff.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway::daemon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = parse_config(text, "/etc/fuzz.toml");
    if (!config) {
        CHECK(!config.error().empty(), "a refused configuration has a problem");
        for (const ConfigProblem& each : config.error())
            CHECK(each.text().find('\n') == std::string::npos, "a problem is one line");
        return 0;
    }
    const auto diff = diff_configs(*config, *config);
    CHECK(diff && diff->empty(), "a configuration does not differ from itself");
    for (const PathConfig& path : config->paths) {
        CHECK(config->map_of_path(path.name) != nullptr, "a path is in a map");
        for (LayerConfig layer : path.layers) layer_parameters_text(layer);
    }
    return 0;
}
