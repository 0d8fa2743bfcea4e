// SPDX-License-Identifier: Apache-2.0
// The one shape of every data layer: anything that takes block requests.
#pragma once

#include <cstdint>
#include <string>

#include "block/request.h"

namespace braidway::loop {
class Loop;
}

namespace braidway::block {

/// What a device is like. Fixed while it is in use, but for growth of size_bytes.
struct Geometry {
    uint64_t size_bytes = 0;
    /// Offsets and lengths are multiples of this; a power of two.
    uint32_t block_bytes = 512;
    /// Memory of read and write data must be aligned to this; at most 4096.
    uint32_t memory_alignment = 1;
    uint32_t preferred_bytes = 4096;
    bool read_only = false;
    bool rotational = false;
    bool can_flush = true;
    bool can_fua = true;
    bool can_discard = false;
    bool can_write_zeroes = false;
    /// write_zeroes with fast_zero is never slower than writing.
    bool can_fast_zero = false;
    bool can_block_status = false;

    friend bool operator==(const Geometry&, const Geometry&) = default;
};

/// Anything that takes block requests: a cache, a multipath map, one path, a fault injector.
///
/// Threads: one lane.
class BlockDevice {
  public:
    virtual ~BlockDevice() = default;
    virtual const Geometry& geometry() const = 0;
    /// Starts `request`, whose range and alignment the caller has checked (block::check_request).
    /// Its top stage's completed() runs exactly once, from the loop, never inside this call.
    void submit(Request& request) {
        request.enter();
        begin(request);
        request.leave();
    }

  private:
    /// What submit() does.
    virtual void begin(Request& request) = 0;
};

/// Whether `request` is well formed for `geometry`: inside the device, aligned, non-empty where
/// data moves, allowed on a read-only device. Answers ok, invalid, no_space (a write past the end)
/// or not_supported (also changes of a read-only device). Exports call it before submit().
IoStatus check_request(const Request& request, const Geometry& geometry);

/// Ends `request` with `status` from the loop, not inside the
/// caller. For devices that can answer at once.
void finish_soon(loop::Loop& loop, Request& request, IoStatus status);

}  // namespace braidway::block
