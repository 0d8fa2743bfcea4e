// SPDX-License-Identifier: Apache-2.0
// The buffers of one lane: a fixed range of memory, lent in aligned pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/error.h"

namespace braidway::memory {

class BufferPool;

/// One piece of a pool, counted: whoever may still have the kernel write into it holds it.
/// A piece is aligned to its own size (a power of two, 4 KiB at least).
struct Buffer {
    std::byte* data = nullptr;
    uint32_t bytes = 0;  ///< Size of the piece: what was asked for, rounded up to a power of two.
    uint32_t holds = 0;
    BufferPool* pool = nullptr;

    void hold() { ++holds; }
    /// Gives up one hold; the last one returns the piece to the pool.
    void release();
};

/// A buddy allocator over one anonymous mapping: O(log size) and no system call per piece. Memory
/// is touched as it is lent, and the piece that came back last is lent first.
///
/// A few pieces of each size that came back are parked, not merged with their neighbours: the same
/// sizes are asked for again and again, and splitting and merging across all sizes for each of them
/// is the cost of a buddy system. When a request cannot be met, the parked pieces are merged and it
/// is tried again, so parking never makes an allocation fail.
///
/// Shapes:  pieces of 4 KiB up to the size of the pool.
/// Errors:  allocate() returns nullptr when no piece is free: back-pressure, the caller waits.
/// Threads: one lane.
/// Source:  Knuth, The Art of Computer Programming, vol. 1, 2.5, the buddy system.
class BufferPool {
  public:
    static constexpr uint32_t unit_bytes = 4096;

    /// Errors: no address space. `bytes` is rounded up to a power of two.
    static Result<std::unique_ptr<BufferPool>> create(size_t bytes);
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    /// Lends a piece of at least `bytes` (1 or more) with one hold.
    Buffer* allocate(uint32_t bytes);

    /// The pool calls `notify(context)` when a piece comes back after an allocate() failed; once
    /// per failure. For waiters, who queue elsewhere.
    void set_notify(void (*notify)(void*), void* context);

    size_t bytes() const { return bytes_; }
    size_t bytes_in_use() const { return in_use_; }
    /// The largest piece that could be lent from an empty pool.
    size_t piece_bytes_max() const;
    /// The whole mapping, for registering with the kernel.
    std::byte* base() const { return base_; }

  private:
    friend struct Buffer;
    static constexpr unsigned orders_max = 32;
    /// Pieces of one size that wait unmerged; bounds what a merge after a failure costs.
    static constexpr uint32_t parked_max = 64;
    static constexpr uint32_t none = UINT32_MAX;

    /// Beside each unit; meaningful at the first unit of a piece. Memory full of zeroes is a unit
    /// that is not free, so fresh pages of the mapping need no initialisation.
    struct Unit {
        Buffer buffer;
        uint32_t previous = none;
        uint32_t next = none;
        uint8_t order = 0;
        bool free = false;  ///< In a free list; lent and parked pieces are not.
    };

    BufferPool(std::byte* base, size_t bytes, Unit* units);
    void give_back(Buffer& buffer);
    uint32_t take(unsigned order);
    bool merge_parked();
    void merge(uint32_t unit, unsigned order);
    void push_free(uint32_t unit, unsigned order);
    void unlink_free(uint32_t unit);

    std::byte* base_;
    size_t bytes_;
    Unit* units_;  ///< In a mapping of its own, so that untouched parts cost nothing.
    unsigned order_top_;
    uint32_t free_[orders_max];    ///< First free piece of each size, newest first.
    uint32_t parked_[orders_max];  ///< First parked piece of each size, newest first.
    uint32_t parked_count_[orders_max] = {};
    size_t in_use_ = 0;
    bool failed_ = false;
    void (*notify_)(void*) = nullptr;
    void* notify_context_ = nullptr;
};

}  // namespace braidway::memory
