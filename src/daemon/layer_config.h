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
#include "daemon/control.h"

namespace braidway::daemon {

/// What a small device does.
enum class LayerKind : uint8_t {
    delay,   ///< Lets I/O wait before it goes down.
    error,   ///< Answers I/O with an error.
    flakey,  ///< Works for a while, fails for a while, as dm-flakey.
    linear,  ///< A part of the device below, as dm-linear. Cannot be switched at run time.
};

/// A set of IoOps, one bit each.
struct OpSet {
    uint8_t bits = (1u << io_ops) - 1;  ///< All of them.

    bool has(IoOp op) const { return (bits & (1u << static_cast<unsigned>(op))) != 0; }
    friend bool operator==(OpSet, OpSet) = default;
};

/// The bytes that error and flakey apply to.
struct ByteRange {
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = UINT64_MAX;  ///< UINT64_MAX: to the end of the device.

    friend bool operator==(ByteRange, ByteRange) = default;
};

/// How long I/O of each sort waits. Parameters: read, write, flush, other, jitter.
struct DelayParameters {
    Duration read{}, write{}, flush{}, other{};
    Duration jitter{};  ///< Up to this much is added, evenly spread.

    friend bool operator==(const DelayParameters&, const DelayParameters&) = default;
};

/// Which I/O fails, and how. Parameters: class, ops, offset, length, blocks, chance, count.
struct ErrorParameters {
    IoStatus status = IoStatus::io;
    OpSet ops;
    ByteRange range;
    uint32_t chance_ppm = 1'000'000;  ///< How many of a million such I/Os fail.
    std::optional<uint64_t> count;    ///< So many fail, then none; nothing = all.

    friend bool operator==(const ErrorParameters&, const ErrorParameters&) = default;
};

/// Up for a while, then down for a while, and so on. Parameters: up, down, class, ops, error_reads,
/// error_writes, drop_writes, offset, length, blocks.
struct FlakeyParameters {
    Duration up{};
    Duration down{};
    IoStatus status = IoStatus::io;
    OpSet ops;  ///< What fails while it is down.
    /// While down, writes are forgotten and answered with success; ops does not hold write then.
    bool drop_writes = false;
    ByteRange range;

    friend bool operator==(const FlakeyParameters&, const FlakeyParameters&) = default;
};

/// The part that shows. Parameters: offset, length.
struct LinearParameters {
    uint64_t offset_bytes = 0;
    std::optional<uint64_t> length_bytes;  ///< Nothing: to the end.

    friend bool operator==(const LinearParameters&, const LinearParameters&) = default;
};

/// One small device; only the parameters of its kind matter.
struct LayerConfig {
    LayerKind kind = LayerKind::delay;
    bool enabled = true;
    DelayParameters delay;
    ErrorParameters error;
    FlakeyParameters flakey;
    LinearParameters linear;

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
