// SPDX-License-Identifier: Apache-2.0
// The buddy system: a piece of 2^k units starts at a multiple of 2^k units; its buddy is the piece
// whose number differs in bit k alone, and two free buddies are one piece of twice the size.
#include "memory/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "base/check.h"

namespace braidway::memory {

namespace {

/// 2 GiB: Buffer counts its bytes in 32 bits.
constexpr unsigned piece_order_max = 19;

/// Reserves `bytes` of address space that start at a multiple of `alignment`; null when refused.
std::byte* map_aligned(size_t bytes, size_t alignment) {
    const size_t reserved = bytes + alignment;
    void* mapped = mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* start = static_cast<std::byte*>(mapped);
    const size_t over = reinterpret_cast<uintptr_t>(start) % alignment;
    const size_t head = over == 0 ? 0 : alignment - over;
    if (head != 0) munmap(start, head);
    const size_t tail = reserved - head - bytes;
    if (tail != 0) munmap(start + head + bytes, tail);
    return start + head;
}

unsigned order_of(uint32_t bytes) {
    const size_t units = (size_t{bytes} + BufferPool::unit_bytes - 1) / BufferPool::unit_bytes;
    return static_cast<unsigned>(std::bit_width(std::max<size_t>(units, 1) - 1));
}

}  // namespace

void Buffer::release() {
    CHECK(holds > 0, "a piece that nobody holds cannot be released");
    if (--holds == 0) pool->give_back(*this);
}

Result<std::unique_ptr<BufferPool>> BufferPool::create(size_t bytes) {
    constexpr size_t bytes_max = size_t{unit_bytes} << (orders_max - 1);
    if (bytes == 0 || bytes > bytes_max) return fail("a buffer pool of this size is not possible");
    bytes = std::bit_ceil(std::max<size_t>(bytes, unit_bytes));
    std::byte* base = map_aligned(bytes, std::min(bytes, size_t{unit_bytes} << piece_order_max));
    if (base == nullptr) {
        const int code = errno;
        return fail("no address space for a buffer pool: " + errno_text(code), code);
    }
    const size_t beside = bytes / unit_bytes * sizeof(Unit);
    std::byte* units = map_aligned(beside, unit_bytes);
    if (units == nullptr) {
        const int code = errno;
        munmap(base, bytes);
        return fail("no address space for a buffer pool: " + errno_text(code), code);
    }
    return std::unique_ptr<BufferPool>(new BufferPool(base, bytes, reinterpret_cast<Unit*>(units)));
}

BufferPool::BufferPool(std::byte* base, size_t bytes, Unit* units)
    : base_(base),
      bytes_(bytes),
      units_(units),
      order_top_(static_cast<unsigned>(std::countr_zero(bytes / unit_bytes))) {
    std::ranges::fill(free_, none);
    std::ranges::fill(parked_, none);
    push_free(0, order_top_);
}

BufferPool::~BufferPool() {
    CHECK(in_use_ == 0, "a pool must get its pieces back before it goes");
    munmap(base_, bytes_);
    munmap(reinterpret_cast<std::byte*>(units_), bytes_ / unit_bytes * sizeof(Unit));
}

Buffer* BufferPool::allocate(uint32_t bytes) {
    CHECK(bytes > 0, "a piece has at least one byte");
    const unsigned order = order_of(bytes);
    uint32_t unit = order <= std::min(order_top_, piece_order_max) ? take(order) : none;
    if (unit == none) {
        failed_ = true;
        return nullptr;
    }
    Buffer& buffer = units_[unit].buffer;
    units_[unit].order = static_cast<uint8_t>(order);
    buffer.data = base_ + size_t{unit} * unit_bytes;
    buffer.bytes = unit_bytes << order;
    buffer.holds = 1;
    buffer.pool = this;
    in_use_ += buffer.bytes;
    return &buffer;
}

void BufferPool::set_notify(void (*notify)(void*), void* context) {
    notify_ = notify;
    notify_context_ = context;
}

size_t BufferPool::piece_bytes_max() const {
    return size_t{unit_bytes} << std::min(order_top_, piece_order_max);
}

void BufferPool::give_back(Buffer& buffer) {
    const auto unit = static_cast<uint32_t>((buffer.data - base_) / unit_bytes);
    const unsigned order = units_[unit].order;
    in_use_ -= buffer.bytes;
    if (parked_count_[order] < parked_max) {
        units_[unit].next = parked_[order];
        parked_[order] = unit;
        ++parked_count_[order];
    } else {
        merge(unit, order);
    }
    if (failed_) {
        failed_ = false;
        if (notify_ != nullptr) notify_(notify_context_);
    }
}

/// Takes a piece out of the pool: a parked one of this size, or the smallest free one that is
/// large enough, of which the upper parts stay free.
uint32_t BufferPool::take(unsigned order) {
    if (const uint32_t unit = parked_[order]; unit != none) {
        parked_[order] = units_[unit].next;
        --parked_count_[order];
        return unit;
    }
    do {
        unsigned found = order;
        while (found <= order_top_ && free_[found] == none) ++found;
        if (found > order_top_) continue;
        const uint32_t unit = free_[found];
        unlink_free(unit);
        while (found > order) {
            --found;
            push_free(unit + (1u << found), found);
        }
        return unit;
    } while (merge_parked());
    return none;
}

/// Merges every parked piece with its free buddies. Returns whether there was any.
bool BufferPool::merge_parked() {
    bool any = false;
    for (unsigned order = 0; order <= order_top_; ++order) {
        while (parked_[order] != none) {
            const uint32_t unit = parked_[order];
            parked_[order] = units_[unit].next;
            merge(unit, order);
            any = true;
        }
        parked_count_[order] = 0;
    }
    return any;
}

/// Frees a piece, together with its buddy when that is free, and so on upwards.
void BufferPool::merge(uint32_t unit, unsigned order) {
    while (order < order_top_) {
        const uint32_t buddy = unit ^ (1u << order);
        if (!units_[buddy].free || units_[buddy].order != order) break;
        unlink_free(buddy);
        unit = std::min(unit, buddy);
        ++order;
    }
    push_free(unit, order);
}

void BufferPool::push_free(uint32_t unit, unsigned order) {
    Unit& piece = units_[unit];
    piece.order = static_cast<uint8_t>(order);
    piece.free = true;
    piece.previous = none;
    piece.next = free_[order];
    if (piece.next != none) units_[piece.next].previous = unit;
    free_[order] = unit;
}

void BufferPool::unlink_free(uint32_t unit) {
    Unit& piece = units_[unit];
    piece.free = false;
    if (piece.next != none) units_[piece.next].previous = piece.previous;
    if (piece.previous != none) {
        units_[piece.previous].next = piece.next;
    } else {
        free_[piece.order] = piece.next;
    }
}

}  // namespace braidway::memory
