// SPDX-License-Identifier: Apache-2.0
#include "path/scsi_disk.h"

#include <gtest/gtest.h>

namespace braidway::path {
namespace {

using wire::ScsiDiscard;

ScsiDisk disk_of(uint64_t blocks = 1u << 20, uint32_t block_bytes = 512) {
    ScsiDisk disk;
    disk.limits.blocks = blocks;
    disk.limits.block_bytes = block_bytes;
    return disk;
}

ScsiPiece piece_of(const ScsiDisk& disk, IoOp op, uint64_t offset, uint64_t length,
                   bool fua = false, bool may_unmap = false) {
    return scsi_piece(disk, op, offset, length, fua, may_unmap);
}

TEST(ScsiDisk, ReadsAndWritesInTheShortFormWhereItFits) {
    const ScsiDisk disk = disk_of(uint64_t{1} << 40);
    const ScsiPiece read = piece_of(disk, IoOp::read, 512 * 5, 4096);
    EXPECT_EQ(read.cdb, wire::read_10_cdb(5, 8));
    EXPECT_EQ(read.payload, ScsiPayload::data_in);
    EXPECT_EQ(read.length_bytes, 4096u);
    EXPECT_EQ(piece_of(disk, IoOp::write, 512 * 5, 4096).cdb, wire::write_10_cdb(5, 8, false));
    const uint64_t far = uint64_t{UINT32_MAX} * 512;
    EXPECT_EQ(piece_of(disk, IoOp::read, far - 512, 512).cdb, wire::read_10_cdb(UINT32_MAX - 1, 1));
    EXPECT_EQ(piece_of(disk, IoOp::read, far, 512).cdb, wire::read_16_cdb(UINT32_MAX, 1));
    EXPECT_EQ(piece_of(disk, IoOp::write, far, 512).cdb, wire::write_16_cdb(UINT32_MAX, 1, false));
}

TEST(ScsiDisk, AsksForFuaOnlyWhereItIsObeyed) {
    ScsiDisk disk = disk_of();
    EXPECT_EQ(piece_of(disk, IoOp::write, 0, 512, true).cdb, wire::write_10_cdb(0, 1, false));
    EXPECT_TRUE(scsi_needs_flush(disk, IoOp::write));
    disk.can_fua = true;
    EXPECT_EQ(piece_of(disk, IoOp::write, 0, 512, true).cdb, wire::write_10_cdb(0, 1, true));
    EXPECT_FALSE(scsi_needs_flush(disk, IoOp::write));
    EXPECT_TRUE(scsi_needs_flush(disk, IoOp::write_zeroes));
    EXPECT_FALSE(scsi_needs_flush(disk, IoOp::read));
}

TEST(ScsiDisk, CutsAtTheLimitsOfDiskAndHouse) {
    ScsiDisk disk = disk_of();
    EXPECT_EQ(piece_of(disk, IoOp::read, 0, 32u << 20).length_bytes,
              limits::scsi_transfer_bytes_max);
    disk.limits.transfer_blocks_max = 100;
    EXPECT_EQ(piece_of(disk, IoOp::read, 0, 32u << 20).cdb, wire::read_10_cdb(0, 100));
    EXPECT_EQ(piece_of(disk, IoOp::write, 0, 32u << 20).length_bytes, 51200u);
    ScsiDisk wide = disk_of(1u << 20, 65536);
    EXPECT_EQ(piece_of(wide, IoOp::write, 0, 32u << 20).length_bytes, 1u << 20);
}

TEST(ScsiDisk, FlushesAllOfTheDisk) {
    EXPECT_EQ(piece_of(disk_of(), IoOp::flush, 0, 0).cdb.opcode(),
              wire::scsi::op_synchronize_cache_10);
    EXPECT_EQ(piece_of(disk_of(uint64_t{1} << 33), IoOp::flush, 0, 0).cdb.opcode(),
              wire::scsi::op_synchronize_cache_16);
}

TEST(ScsiDisk, FreesTheWayTheDiskDoes) {
    ScsiDisk disk = disk_of();
    EXPECT_EQ(scsi_piece_bytes_max(disk, IoOp::discard), 0u);
    EXPECT_FALSE(disk.geometry().can_discard);
    disk.limits.discard = ScsiDiscard::unmap;
    disk.limits.unmap_blocks_max = 2048;
    const ScsiPiece unmap = piece_of(disk, IoOp::discard, 0, 8u << 20);
    EXPECT_EQ(unmap.payload, ScsiPayload::unmap_range);
    EXPECT_EQ(unmap.length_bytes, 1u << 20);
    EXPECT_TRUE(disk.geometry().can_discard);
    disk.limits.discard = ScsiDiscard::write_same_16;
    disk.limits.write_same_blocks_max = 8;
    const ScsiPiece same = piece_of(disk, IoOp::discard, 4096, 8u << 20);
    EXPECT_EQ(same.payload, ScsiPayload::zero_block);
    EXPECT_EQ(same.cdb.bytes[1], std::byte{0x08});
    EXPECT_EQ(same.length_bytes, 4096u);
}

TEST(ScsiDisk, ZeroesFreeOnlyWhenTheyMayAndThenReadAsZeroes) {
    ScsiDisk disk = disk_of();
    disk.limits.discard = ScsiDiscard::write_same_16;
    const auto unmaps = [&](bool may_unmap) {
        return piece_of(disk, IoOp::write_zeroes, 0, 4096, false, may_unmap).cdb.bytes[1] ==
               std::byte{0x08};
    };
    EXPECT_FALSE(unmaps(true));
    disk.limits.freed_reads_zero = true;
    EXPECT_TRUE(unmaps(true));
    EXPECT_FALSE(unmaps(false));
}

TEST(ScsiDisk, ZeroesAreDataWhereWriteSameIsRefused) {
    ScsiDisk disk = disk_of();
    disk.write_same = false;
    const ScsiPiece piece = piece_of(disk, IoOp::write_zeroes, 0, 8u << 20);
    EXPECT_EQ(piece.payload, ScsiPayload::zeroes);
    EXPECT_EQ(piece.length_bytes, limits::scsi_zeroes_bytes_max);
    EXPECT_EQ(piece.cdb.opcode(), wire::scsi::op_write_10);
    EXPECT_TRUE(disk.geometry().can_write_zeroes);
}

TEST(ScsiDisk, ShowsItsGeometry) {
    ScsiDisk disk = disk_of(1000, 4096);
    disk.limits.physical_block_bytes = 8192;
    disk.limits.rotational = true;
    disk.read_only = true;
    const block::Geometry geometry = disk.geometry();
    EXPECT_EQ(geometry.size_bytes, 4096000u);
    EXPECT_EQ(geometry.block_bytes, 4096u);
    EXPECT_EQ(geometry.preferred_bytes, 8192u);
    EXPECT_TRUE(geometry.rotational && geometry.read_only);
    EXPECT_FALSE(geometry.can_write_zeroes || geometry.can_discard);
}

}  // namespace
}  // namespace braidway::path
