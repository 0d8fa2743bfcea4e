// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "wire/scsi_cdb.h"
#include "wire/scsi_inquiry.h"

namespace braidway::wire {
namespace {

using namespace scsi;
using Bytes = std::span<const std::byte>;

constexpr uint64_t disk_bytes_max = uint64_t{1} << 63;

/// A number at `at` of a page with its header, or 0 behind its end.
template <typename T>
T number_at(Bytes page, size_t at) {
    if (page.size() < at + sizeof(T)) return 0;
    return load_big<T>(page.data() + at);
}

/// The page with its header, as far as it says it goes; empty when it is another one.
Bytes page_of(Bytes data, uint8_t page) {
    const auto contents = vpd_contents(data, page);
    return contents ? data.first(vpd_header_bytes + contents->size()) : Bytes{};
}

Result<void> read_capacity(const ScsiDiskPages& pages, ScsiLimits& limits) {
    auto capacity = parse_capacity_16(pages.capacity_16);
    if (!capacity) {
        capacity = parse_capacity_10(pages.capacity_10);
        if (!capacity) return fail("the device did not tell its capacity");
        if (capacity->last_lba == UINT32_MAX)
            return fail(
                "the device has more blocks than READ CAPACITY(10) can tell, and refuses "
                "READ CAPACITY(16)");
    }
    const uint32_t block = capacity->block_bytes;
    if (!std::has_single_bit(block) || block < scsi_block_bytes_min || block > scsi_block_bytes_max)
        return fail(
            fmt::format("the device has blocks of {} bytes; a power of two from {} to {} "
                        "can be used",
                        block, scsi_block_bytes_min, scsi_block_bytes_max));
    if (capacity->last_lba >= disk_bytes_max / block)
        return fail(
            fmt::format("the device says that its last block is {} of {} bytes each, which "
                        "no disk has",
                        capacity->last_lba, block));
    limits.blocks = capacity->last_lba + 1;
    limits.block_bytes = block;
    return {};
}

void read_capacity_flags(Bytes data, ScsiLimits& limits) {
    limits.physical_block_bytes = limits.block_bytes;
    const uint32_t exponent = byte_at(data, 13) & 0x0f;
    const uint64_t physical = uint64_t{limits.block_bytes} << exponent;
    if (physical <= scsi_block_bytes_max) {
        limits.physical_block_bytes = static_cast<uint32_t>(physical);
        const uint32_t aligned = number_at<uint16_t>(data, 14) & 0x3fff;
        if (aligned < (uint32_t{1} << exponent)) limits.aligned_block = aligned;
    }
    limits.protection = (byte_at(data, 12) & 0x01) != 0;
    limits.thin = (byte_at(data, 14) & 0x80) != 0;
    limits.freed_reads_zero = limits.thin && (byte_at(data, 14) & 0x40) != 0;
}

void read_block_limits(Bytes page, ScsiLimits& limits) {
    if (const auto most = number_at<uint32_t>(page, 8); most != 0)
        limits.transfer_blocks_max = most;
    limits.preferred_blocks = std::min(number_at<uint32_t>(page, 12), limits.transfer_blocks_max);
    limits.write_same_zero_refused = (byte_at(page, 4) & 0x01) != 0;
    if (const auto most = number_at<uint64_t>(page, 36); most != 0)
        limits.write_same_blocks_max = std::min<uint64_t>(most, UINT32_MAX);
    limits.unmap_blocks_max = number_at<uint32_t>(page, 20);
    limits.unmap_ranges_max = number_at<uint32_t>(page, 24);
    limits.unmap_granule_blocks = std::max(number_at<uint32_t>(page, 28), uint32_t{1});
    const auto alignment = number_at<uint32_t>(page, 32);
    constexpr uint32_t alignment_valid = uint32_t{1} << 31;
    if ((alignment & alignment_valid) != 0)
        limits.unmap_alignment_block = (alignment & ~alignment_valid) % limits.unmap_granule_blocks;
}

ScsiDiscard discard_of(Bytes page, const ScsiLimits& limits) {
    if (!limits.thin) return ScsiDiscard::none;
    const bool can_unmap = limits.unmap_blocks_max != 0 && limits.unmap_ranges_max != 0;
    // Disks from before the page was invented tell by the limits alone.
    if (page.empty()) return can_unmap ? ScsiDiscard::unmap : ScsiDiscard::none;
    const uint8_t flags = byte_at(page, 5);
    if ((flags & 0x80) != 0 && can_unmap) return ScsiDiscard::unmap;
    if ((flags & 0x40) != 0) return ScsiDiscard::write_same_16;
    if ((flags & 0x20) != 0) return ScsiDiscard::write_same_10;
    return ScsiDiscard::none;
}

void read_provisioning(Bytes page, ScsiLimits& limits) {
    limits.discard = discard_of(page, limits);
    if (limits.discard != ScsiDiscard::unmap) {
        limits.unmap_blocks_max = 0;
        limits.unmap_ranges_max = 0;
    }
    if (page.empty() || !limits.thin) return;
    // The page's own word is finer than the bit beside the capacity: odd = zeroes, 2 = a pattern.
    const unsigned reads = (byte_at(page, 5) >> 2) & 0x07;
    if (reads != 0) limits.freed_reads_zero = (reads & 1) != 0;
}

}  // namespace

Result<ScsiLimits> parse_limits(const ScsiDiskPages& pages) {
    ScsiLimits limits;
    if (auto known = read_capacity(pages, limits); !known) return std::unexpected(known.error());
    const bool long_capacity = parse_capacity_16(pages.capacity_16).has_value();
    read_capacity_flags(long_capacity ? pages.capacity_16 : Bytes{}, limits);
    read_block_limits(page_of(pages.block_limits, page_block_limits), limits);
    read_provisioning(page_of(pages.provisioning, page_provisioning), limits);
    const Bytes characteristics = page_of(pages.characteristics, page_characteristics);
    // 0 = not told, 1 = does not turn; 0x0401 to 0xfffe are turns a minute.
    const auto turns = number_at<uint16_t>(characteristics, 4);
    limits.rotational = turns > 0x0400 && turns < 0xffff;
    return limits;
}

}  // namespace braidway::wire
