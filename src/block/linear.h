// SPDX-License-Identifier: Apache-2.0
// A window on another device.
#pragma once

#include "block/layer.h"

namespace braidway::block {

/// The stretch of the device below that a linear device shows.
struct LinearConfig {
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = UINT64_MAX;  ///< UINT64_MAX: to the end of the device below.

    friend bool operator==(const LinearConfig&, const LinearConfig&) = default;
};

/// Shows the stretch of the device below that begins at offset_bytes. Like dm-linear.
///
/// Shapes:  offset and length are multiples of the block size and lie inside the device below.
/// Errors:  create() says what does not fit.
/// Threads: one lane.
class LinearDevice final : public Layer {
  public:
    static Result<std::unique_ptr<LinearDevice>> create(std::unique_ptr<BlockDevice> below,
                                                        const LinearConfig& config);
    const Geometry& geometry() const override;
    void begin(Request& request) override;

  private:
    LinearDevice(std::unique_ptr<BlockDevice> below, const LinearConfig& config);
    void completed(Request& request) override;

    LinearConfig config_;
    mutable Geometry geometry_;
};

}  // namespace braidway::block
