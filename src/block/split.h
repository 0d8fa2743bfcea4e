// SPDX-License-Identifier: Apache-2.0
// Requests that are too large for a device, taken apart.
#pragma once

#include "base/slot_pool.h"
#include "block/layer.h"

namespace braidway::block {

/// Takes reads and writes apart so that none below is longer than a limit or crosses a multiple of
/// it; all parts are awaited, the first error in offset order is the answer, and it is given once.
/// Other operations pass whole.
///
/// Shapes:  the limit is a power of two and at least the block size; data in one piece of memory;
///          below a path, never above one: a part cannot be moved to another buffer.
/// Limits:  `parts` children are made at start; a request that finds none waits its turn, in order.
/// Threads: one lane. No allocation per request.
class SplitLayer final : public Layer {
  public:
    SplitLayer(std::unique_ptr<BlockDevice> below, uint32_t length_bytes_max, uint32_t parts);
    ~SplitLayer() override;
    void begin(Request& request) override;

  private:
    struct Part final : CompletionStage {
        SplitLayer* layer = nullptr;
        Request* parent = nullptr;
        Request request;
        iovec memory{};
        void completed(Request&) override { layer->part_done(*this); }
    };

    void feed();
    void part_done(Part& part);

    uint32_t length_bytes_max_;
    SlotPool<Part> parts_;
    IntrusiveList<Request> waiting_;  ///< Not all of their parts are under way.
};

}  // namespace braidway::block
