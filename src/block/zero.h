// SPDX-License-Identifier: Apache-2.0
// A device that reads as zeroes and forgets what is written.
#pragma once

#include "block/block_device.h"

namespace braidway::block {

/// How large a zero device is, and how it answers reads.
struct ZeroConfig {
    uint64_t size_bytes = 0;
    uint32_t block_bytes = 512;
    /// Answer reads as holes (nothing to send) instead of zero-filled data.
    bool holes = false;
};

/// Reads as zeroes, accepts writes and forgets them; answers at once. Like dm-zero.
///
/// Shapes:  a size that is no multiple of the block size is rounded down.
/// Errors:  none.
/// Threads: one lane.
class ZeroDevice final : public BlockDevice {
  public:
    ZeroDevice(loop::Loop& loop, const ZeroConfig& config);
    const Geometry& geometry() const override { return geometry_; }
    void begin(Request& request) override;

  private:
    loop::Loop& loop_;
    bool holes_;
    Geometry geometry_;
};

}  // namespace braidway::block
