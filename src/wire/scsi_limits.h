// SPDX-License-Identifier: Apache-2.0
// What a SCSI disk can do: its capacity, and its pages about limits and thin provisioning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"

namespace braidway::wire {

/// A disk's answers. Empty = not asked, or refused. Owns nothing.
struct ScsiDiskPages {
    std::span<const std::byte> capacity_16 = {};      ///< READ CAPACITY(16).
    std::span<const std::byte> capacity_10 = {};      ///< Read when there is no capacity_16.
    std::span<const std::byte> block_limits = {};     ///< Page 0xB0.
    std::span<const std::byte> characteristics = {};  ///< Page 0xB1.
    std::span<const std::byte> provisioning = {};     ///< Page 0xB2.
};

/// How a disk frees blocks. Closed: switch over it without `default`.
enum class ScsiDiscard : uint8_t {
    none,
    unmap,          ///< UNMAP.
    write_same_16,  ///< WRITE SAME(16) with its UNMAP bit.
    write_same_10,  ///< WRITE SAME(10) with its UNMAP bit.
};

/// The shape of a disk. "Blocks" are logical blocks. Where a page says nothing or nonsense the
/// value is the careful one: no limit told = the limit of the command's fields.
struct ScsiLimits {
    uint64_t blocks = 0;
    uint32_t block_bytes = 512;
    uint64_t size_bytes() const { return blocks * block_bytes; }

    uint32_t physical_block_bytes = 512;  ///< A multiple of block_bytes.
    /// The first block that begins a physical one.
    uint32_t aligned_block = 0;
    bool protection = false;  ///< Formatted with protection information.
    bool rotational = false;  ///< Says that it turns. Not told = it does not.

    /// Of one read or write.
    uint32_t transfer_blocks_max = UINT32_MAX;
    uint32_t preferred_blocks = 0;  ///< 0 = not told.

    bool thin = false;  ///< Blocks may be without storage behind them.
    ScsiDiscard discard = ScsiDiscard::none;
    /// A block that was freed reads as zeroes, surely.
    bool freed_reads_zero = false;
    uint32_t unmap_blocks_max = 0;       ///< In all ranges of one UNMAP. 0 = no UNMAP.
    uint32_t unmap_ranges_max = 0;       ///< Of one UNMAP.
    uint32_t unmap_granule_blocks = 1;   ///< Less than this may free nothing.
    uint32_t unmap_alignment_block = 0;  ///< Where granules begin.

    /// WRITE SAME may be tried: no page forbids it, and most disks have it.
    uint64_t write_same_blocks_max = UINT32_MAX;
    /// WRITE SAME with 0 blocks (the rest of the disk) is refused.
    bool write_same_zero_refused = false;
};

inline constexpr uint32_t scsi_block_bytes_min = 512;
inline constexpr uint32_t scsi_block_bytes_max = 65536;

/// Reads the pages.
///
/// Pages that are missing, cut or of another number tell nothing; values that contradict each other
/// are left out, so that a wrong page makes the disk slower and never wrong.
/// Units:   bytes, or logical blocks by name.
/// Errors:  no capacity; a capacity of nothing, of 2^64 blocks or beyond 2^63 bytes; a block size
///          that is no power of two from 512 to 65536.
/// Source:  SBC-4: READ CAPACITY(16) data, VPD pages 0xB0, 0xB1, 0xB2.
Result<ScsiLimits> parse_limits(const ScsiDiskPages& pages);

}  // namespace braidway::wire
