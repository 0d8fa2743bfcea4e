// SPDX-License-Identifier: Apache-2.0
// A device in memory, for tests: answers from the ready list, or when the test says.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "block/block_device.h"
#include "loop/loop.h"

namespace braidway::exports {

class MemoryDevice final : public block::BlockDevice {
  public:
    MemoryDevice(loop::Loop& loop, size_t bytes, uint32_t block_bytes = 512)
        : loop_(loop), bytes_(bytes) {
        geometry_.size_bytes = bytes;
        geometry_.block_bytes = block_bytes;
        geometry_.can_discard = geometry_.can_write_zeroes = true;
        geometry_.can_fast_zero = geometry_.can_block_status = true;
    }

    const block::Geometry& geometry() const override { return geometry_; }
    block::Geometry& change_geometry() { return geometry_; }

    void begin(block::Request& request) override {
        ++submitted;
        if (hold) {
            held.push_back(&request);
        } else {
            finish(request);
        }
    }

    /// Does and ends a request now held.
    void finish(block::Request& request) {
        const IoStatus status = fail_with != IoStatus::ok ? fail_with : act(request);
        if (status != IoStatus::ok) request.error_text = error_text;
        block::finish_soon(loop_, request, status);
    }
    void release_held() {
        for (; !held.empty(); held.pop_front()) finish(*held.front());
    }

    std::byte* memory() { return bytes_.data(); }

    bool hold = false;
    std::deque<block::Request*> held;
    IoStatus fail_with = IoStatus::ok;
    std::string_view error_text;
    bool all_holes = false;
    bool last_fua = false;
    bool last_may_unmap = false;
    bool last_fast_zero = false;
    uint64_t submitted = 0;
    uint64_t flushes = 0;
    std::vector<block::Extent> extents;  ///< What block status answers; empty: one of data.

  private:
    IoStatus act(block::Request& request) {
        std::byte* at = bytes_.data() + request.offset_bytes;
        last_fua = request.fua;
        last_may_unmap = request.may_unmap;
        last_fast_zero = request.fast_zero;
        switch (request.op) {
            case IoOp::read:
                if (all_holes)
                    request.hole = true;
                else
                    std::memcpy(request.data[0].iov_base, at, request.length_bytes);
                break;
            case IoOp::write:
                std::memcpy(at, request.data[0].iov_base, request.length_bytes);
                break;
            case IoOp::discard:
            case IoOp::write_zeroes:
                std::memset(at, 0, request.length_bytes);
                break;
            case IoOp::flush:
                ++flushes;
                break;
            case IoOp::block_status:
                request.extents_count =
                    static_cast<uint32_t>(std::min(request.extents.size(), extents.size()));
                std::copy_n(extents.begin(), request.extents_count, request.extents.begin());
                break;
            case IoOp::cache:
                return IoStatus::not_supported;
        }
        return IoStatus::ok;
    }

    loop::Loop& loop_;
    block::Geometry geometry_;
    std::vector<std::byte> bytes_;
};

}  // namespace braidway::exports
