// SPDX-License-Identifier: Apache-2.0
// The small devices on a path, as they are configured and as `set path` changes them: one parser
// for both, so that what the configuration accepts the command line accepts too.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/io.h"
#include "base/time.h"
#include "block/delay.h"
#include "block/error.h"
#include "block/flakey.h"
#include "block/linear.h"
#include "daemon/control.h"

namespace braidway::daemon {

/// What a small device does.
enum class LayerKind : uint8_t {
    delay,   ///< Lets I/O wait before it goes down.
    error,   ///< Answers I/O with an error.
    flakey,  ///< Works for a while, fails for a while, as dm-flakey.
    linear,  ///< A part of the device below, as dm-linear. Cannot be switched at run time.
};

/// One small device; only the parameters of its kind matter.
struct LayerConfig {
    LayerKind kind = LayerKind::delay;
    bool enabled = true;
    block::DelayConfig delay;  ///< Parameters: read, write, flush, other, jitter.
    block::ErrorConfig error;  ///< class, ops, offset, length, blocks, chance, count.
    /// up, down, class, ops, error_reads, error_writes, drop_writes, offset, length, blocks. With
    /// drop_writes, ops does not hold write.
    block::FlakeyConfig flakey;
    block::LinearConfig linear;  ///< offset, length.

    friend bool operator==(const LayerConfig&, const LayerConfig&) = default;
};

/// "delay", "error", "flakey", "linear".
std::string_view layer_kind_name(LayerKind kind);
std::optional<LayerKind> layer_kind_from_name(std::string_view name);
/// The names of all kinds, for messages.
std::span<const std::string> layer_kind_names();

/// Sets `parameters` in `layer`; what is not named keeps its value. All or nothing.
/// Errors: unknown parameter (with the known ones), wrong value, a combination without sense; code
/// EINVAL.
Result<void> set_layer_parameters(LayerConfig& layer,
                                  std::span<const Command::Parameter> parameters);

/// The names of the parameters that a layer of this kind has.
std::span<const std::string> layer_parameter_names(LayerKind kind);

/// "read=5ms write=0s flush=0s other=0s jitter=0s": every parameter with its value, in the form
/// that `set path` takes.
std::string layer_parameters_text(const LayerConfig& layer);

/// What `current` becomes by a set_layer command: enabled or not, and the parameters it names.
/// Parameters without on or off switch the layer on.
Result<LayerConfig> change_layer(const LayerConfig& current, const Command& command);

/// The layer as the API shows it.
LayerSnapshot layer_snapshot(const LayerConfig& layer);

}  // namespace braidway::daemon
