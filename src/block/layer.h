// SPDX-License-Identifier: Apache-2.0
// What the small devices that sit on another device have in common.
#pragma once

#include <initializer_list>
#include <memory>
#include <utility>

#include "block/block_device.h"

namespace braidway::block {

/// A device on top of another one, with the same geometry unless it says otherwise.
class Layer : public BlockDevice, protected CompletionStage {
  public:
    explicit Layer(std::unique_ptr<BlockDevice> below) : below_(std::move(below)) {}
    const Geometry& geometry() const override { return below_->geometry(); }

  protected:
    BlockDevice& below() { return *below_; }
    const BlockDevice& below() const { return *below_; }

    /// Most layers push no frame; those that do override this.
    void completed(Request& request) override {
        const IoStatus status = request.status();
        request.pop();
        request.finish(status);
    }

  private:
    std::unique_ptr<BlockDevice> below_;
};

/// A set of operations, for layers that touch only some.
class IoOpSet {
  public:
    static constexpr IoOpSet all() { return IoOpSet((1u << io_ops) - 1); }
    constexpr IoOpSet() = default;
    constexpr IoOpSet(std::initializer_list<IoOp> ops) {
        for (const IoOp op : ops) add(op);
    }
    constexpr void add(IoOp op) { bits_ |= bit(op); }
    constexpr bool has(IoOp op) const { return (bits_ & bit(op)) != 0; }
    constexpr void remove(IoOp op) { bits_ &= ~bit(op); }
    constexpr bool empty() const { return bits_ == 0; }
    friend constexpr bool operator==(IoOpSet, IoOpSet) = default;

  private:
    explicit constexpr IoOpSet(unsigned bits) : bits_(bits) {}
    static constexpr unsigned bit(IoOp op) { return 1u << static_cast<unsigned>(op); }
    unsigned bits_ = 0;
};

/// A stretch of a device that a fault applies to.
struct ByteRange {
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = UINT64_MAX;  ///< UINT64_MAX: to the end of the device.

    friend bool operator==(const ByteRange&, const ByteRange&) = default;

    /// Whether `request` touches it. Operations without a range (flush) always do.
    bool touches(const Request& request) const {
        if (request.op == IoOp::flush) return true;
        if (length_bytes == 0) return false;
        const bool ends_before = request.offset_bytes + request.length_bytes <= offset_bytes;
        const bool begins_behind = request.offset_bytes >= offset_bytes &&
                                   request.offset_bytes - offset_bytes >= length_bytes;
        return !ends_before && !begins_behind;
    }
};

}  // namespace braidway::block
