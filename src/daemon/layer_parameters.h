// SPDX-License-Identifier: Apache-2.0
// The table of the small devices' parameters: name, how to read a value, how to print it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "daemon/layer_config.h"

namespace braidway::daemon {

/// One parameter of one kind of layer.
struct LayerParameter {
    std::string_view name;
    Result<void> (*set)(LayerConfig& layer, std::string_view value);
    /// The value as set() takes it; empty when another parameter says it already.
    std::string (*text)(const LayerConfig& layer);
};

/// The parameters of one kind, in the order in which they are shown.
std::span<const LayerParameter> layer_parameters(LayerKind kind);

}  // namespace braidway::daemon
