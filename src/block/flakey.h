// SPDX-License-Identifier: Apache-2.0
// A device that works for a while and then does not for a while.
#pragma once

#include "base/time.h"
#include "block/layer.h"

namespace braidway::block {

/// When a flakey layer is up and down, and what it does to which requests while it is down.
struct FlakeyConfig {
    bool enabled = true;
    Duration up{};
    Duration down{};  ///< 0: never down.
    IoStatus status = IoStatus::io;
    IoOpSet ops = IoOpSet::all();
    /// While down, say that writes, discards and zeroes were done, and do not do them; `ops` says
    /// what else fails.
    bool drop_writes = false;
    ByteRange range;

    friend bool operator==(const FlakeyConfig&, const FlakeyConfig&) = default;
};

/// Passes requests for `up`, then fails the chosen ones for `down`, and so on, counted from when it
/// was configured. Like dm-flakey. Needs no timer: the time of each request decides.
///
/// Threads: one lane.
class FlakeyLayer final : public Layer {
  public:
    FlakeyLayer(loop::Loop& loop, std::unique_ptr<BlockDevice> below, const FlakeyConfig& config);
    void begin(Request& request) override;

    /// Starts a new `up` period with this configuration.
    void configure(const FlakeyConfig& config);
    const FlakeyConfig& config() const { return config_; }
    bool down_at(Instant now) const;

  private:
    loop::Loop& loop_;
    FlakeyConfig config_;
    Instant since_;
};

}  // namespace braidway::block
