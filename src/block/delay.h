// SPDX-License-Identifier: Apache-2.0
// A device that takes its time.
#pragma once

#include "base/random.h"
#include "base/time.h"
#include "block/layer.h"
#include "loop/timer.h"

namespace braidway::block {

/// How long a delay layer keeps each kind of request.
struct DelayConfig {
    bool enabled = true;
    Duration read{};
    Duration write{};  ///< Also discard and write_zeroes.
    Duration flush{};
    Duration other{};   ///< block_status, cache.
    Duration jitter{};  ///< Up to this much is added at random to a delay that is not 0.

    friend bool operator==(const DelayConfig&, const DelayConfig&) = default;
};

/// Keeps each request for a while before it passes it on, by kind of operation. Like dm-delay.
///
/// Threads: one lane. No allocation: waiting requests are linked.
class DelayLayer final : public Layer {
  public:
    DelayLayer(loop::Loop& loop, std::unique_ptr<BlockDevice> below, const DelayConfig& config);
    ~DelayLayer() override;
    void begin(Request& request) override;

    /// For requests that come from now on; when it is switched off, the waiting ones go on at once.
    void configure(const DelayConfig& config);
    const DelayConfig& config() const { return config_; }
    size_t waiting() const { return waiting_.size(); }

  private:
    Duration delay_of(IoOp op);
    void release_due(Instant now);

    loop::Loop& loop_;
    DelayConfig config_;
    loop::Timer timer_;
    IntrusiveList<Request> waiting_;  ///< By due time, which is in the frame's first word.
    Random random_{0x64656c6179};
};

}  // namespace braidway::block
