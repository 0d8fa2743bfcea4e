// SPDX-License-Identifier: Apache-2.0
// Errors on purpose: a switchable layer, and a device that has nothing else.
#pragma once

#include <optional>

#include "base/random.h"
#include "block/layer.h"

namespace braidway::block {

/// Which requests of an error layer fail, and how.
struct ErrorConfig {
    bool enabled = true;
    IoStatus status = IoStatus::io;
    IoOpSet ops = IoOpSet::all();
    ByteRange range;
    uint32_t chance_ppm = 1'000'000;
    /// Switches itself off after so many errors.
    std::optional<uint64_t> count;

    friend bool operator==(const ErrorConfig&, const ErrorConfig&) = default;
};

/// Answers the chosen requests with an error of a chosen class and passes on the rest.
///
/// Threads: one lane. No allocation; a pass-through costs a comparison.
class ErrorLayer final : public Layer {
  public:
    ErrorLayer(loop::Loop& loop, std::unique_ptr<BlockDevice> below, const ErrorConfig& config);
    void begin(Request& request) override;

    /// Takes effect for requests that come from now on.
    void configure(const ErrorConfig& config) { config_ = config; }
    const ErrorConfig& config() const { return config_; }

  private:
    bool strikes(const Request& request);

    loop::Loop& loop_;
    ErrorConfig config_;
    Random random_{0x6572726f72};
};

/// A device whose every request fails. Like dm-error, with a class to choose.
class ErrorDevice final : public BlockDevice {
  public:
    ErrorDevice(loop::Loop& loop, uint64_t size_bytes, uint32_t block_bytes, IoStatus status);
    const Geometry& geometry() const override { return geometry_; }
    void begin(Request& request) override;

  private:
    loop::Loop& loop_;
    IoStatus status_;
    Geometry geometry_;
};

}  // namespace braidway::block
