// SPDX-License-Identifier: Apache-2.0
#include "path/scsi_disk.h"

#include <algorithm>

#include "base/limits.h"
#include "wire/scsi_block_commands.h"

namespace braidway::path {
namespace {

/// Whether the ten-byte form of a command can say it; old disks have no other.
bool fits_ten(uint64_t lba, uint64_t blocks) {
    return lba + blocks <= UINT32_MAX && blocks <= UINT16_MAX;
}

uint64_t whole_blocks(uint64_t bytes, uint32_t block_bytes) {
    return bytes / block_bytes * block_bytes;
}

wire::Cdb read_cdb(uint64_t lba, uint64_t blocks) {
    if (fits_ten(lba, blocks))
        return wire::read_10_cdb(static_cast<uint32_t>(lba), static_cast<uint16_t>(blocks));
    return wire::read_16_cdb(lba, static_cast<uint32_t>(blocks));
}

wire::Cdb write_cdb(uint64_t lba, uint64_t blocks, bool fua) {
    if (fits_ten(lba, blocks))
        return wire::write_10_cdb(static_cast<uint32_t>(lba), static_cast<uint16_t>(blocks), fua);
    return wire::write_16_cdb(lba, static_cast<uint32_t>(blocks), fua);
}

}  // namespace

block::Geometry ScsiDisk::geometry() const {
    block::Geometry geometry;
    geometry.size_bytes = limits.size_bytes();
    geometry.block_bytes = limits.block_bytes;
    const uint64_t told = uint64_t{limits.preferred_blocks} * limits.block_bytes;
    const uint64_t physical = std::max(limits.physical_block_bytes, 4096u);
    geometry.preferred_bytes = static_cast<uint32_t>(
        std::clamp<uint64_t>(told, physical, limits::scsi_transfer_bytes_max));
    geometry.read_only = read_only;
    geometry.rotational = limits.rotational;
    geometry.can_discard = !read_only && scsi_piece_bytes_max(*this, IoOp::discard) > 0;
    geometry.can_write_zeroes = !read_only;
    return geometry;
}

uint64_t scsi_piece_bytes_max(const ScsiDisk& disk, IoOp op) {
    const wire::ScsiLimits& limits = disk.limits;
    const auto bytes = [&](uint64_t blocks, uint64_t most) {
        return std::min(blocks * limits.block_bytes, whole_blocks(most, limits.block_bytes));
    };
    switch (op) {
        case IoOp::read:
        case IoOp::write:
            return bytes(limits.transfer_blocks_max, limits::scsi_transfer_bytes_max);
        case IoOp::discard:
            if (limits.discard == wire::ScsiDiscard::unmap)
                return bytes(limits.unmap_blocks_max, limits::scsi_range_bytes_max);
            if (limits.discard == wire::ScsiDiscard::write_same_16)
                return bytes(std::min<uint64_t>(limits.write_same_blocks_max, UINT32_MAX),
                             limits::scsi_range_bytes_max);
            return 0;
        case IoOp::write_zeroes:
            if (disk.write_same && limits.write_same_blocks_max > 0)
                return bytes(std::min<uint64_t>(limits.write_same_blocks_max, UINT32_MAX),
                             limits::scsi_range_bytes_max);
            return bytes(limits.transfer_blocks_max, limits::scsi_zeroes_bytes_max);
        case IoOp::flush:
        case IoOp::block_status:
        case IoOp::cache:
            return 0;
    }
    return 0;
}

ScsiPiece scsi_piece(const ScsiDisk& disk, IoOp op, uint64_t offset_bytes, uint64_t length_bytes,
                     bool fua, bool may_unmap) {
    const wire::ScsiLimits& limits = disk.limits;
    ScsiPiece piece;
    if (op == IoOp::flush) {
        piece.cdb = limits.blocks > UINT32_MAX ? wire::synchronize_cache_16_cdb()
                                               : wire::synchronize_cache_10_cdb();
        return piece;
    }
    piece.length_bytes = std::min(length_bytes, scsi_piece_bytes_max(disk, op));
    const uint64_t lba = offset_bytes / limits.block_bytes;
    const uint64_t blocks = piece.length_bytes / limits.block_bytes;
    const auto count = static_cast<uint32_t>(blocks);
    if (op == IoOp::read) {
        piece.payload = ScsiPayload::data_in;
        piece.cdb = read_cdb(lba, blocks);
    } else if (op == IoOp::write) {
        piece.payload = ScsiPayload::data_out;
        piece.cdb = write_cdb(lba, blocks, fua && disk.can_fua);
    } else if (op == IoOp::discard && limits.discard == wire::ScsiDiscard::unmap) {
        piece.payload = ScsiPayload::unmap_range;
        piece.cdb = wire::unmap_cdb();
    } else if (op == IoOp::discard || (disk.write_same && limits.write_same_blocks_max > 0)) {
        piece.payload = ScsiPayload::zero_block;
        const bool frees =
            op == IoOp::discard || (may_unmap && limits.freed_reads_zero &&
                                    limits.discard == wire::ScsiDiscard::write_same_16);
        piece.cdb = wire::write_same_16_cdb(lba, count, frees);
    } else {
        piece.payload = ScsiPayload::zeroes;
        piece.cdb = write_cdb(lba, blocks, false);
    }
    return piece;
}

bool scsi_needs_flush(const ScsiDisk& disk, IoOp op) {
    return changes_data(op) && !(op == IoOp::write && disk.can_fua);
}

}  // namespace braidway::path
