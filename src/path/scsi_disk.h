// SPDX-License-Identifier: Apache-2.0
// Block requests as SCSI commands: what a disk can do, and which command does the next part. Pure.
#pragma once

#include <cstdint>

#include "base/io.h"
#include "block/block_device.h"
#include "wire/scsi_cdb.h"
#include "wire/scsi_limits.h"

namespace braidway::path {

/// A disk as its pages describe it.
struct ScsiDisk {
    wire::ScsiLimits limits{};
    bool read_only = false;  ///< Write protected.
    bool can_fua = false;    ///< The FUA bit is obeyed (DPOFUA).
    /// Cleared when the disk refuses WRITE SAME: then zeroes are written as data.
    bool write_same = true;

    /// What requests may ask. FUA always works, if need be by a SYNCHRONIZE CACHE afterwards.
    block::Geometry geometry() const;
};

/// What goes with a command.
enum class ScsiPayload : uint8_t {
    none,
    data_in,      ///< The request's memory is filled.
    data_out,     ///< The request's memory is written.
    unmap_range,  ///< The parameter list of UNMAP, of the piece's range.
    zero_block,   ///< One logical block of zeroes.
    zeroes,       ///< As many zeroes as the piece is long.
};

/// The command for a part of a request.
struct ScsiPiece {
    wire::Cdb cdb{};
    ScsiPayload payload = ScsiPayload::none;
    uint64_t length_bytes = 0;  ///< How much of the request it does; 0 for a flush.
};

/// The most that one command does of `op`; 0 = nothing of it is possible. A multiple of blocks.
uint64_t scsi_piece_bytes_max(const ScsiDisk& disk, IoOp op);

/// The command that does `op` from `offset_bytes` on, as much of `length_bytes` as one does. `fua`
/// and `may_unmap` as in block::Request. The disk can do it: scsi_piece_bytes_max() is not 0.
ScsiPiece scsi_piece(const ScsiDisk& disk, IoOp op, uint64_t offset_bytes, uint64_t length_bytes,
                     bool fua, bool may_unmap);

/// Whether `op` with FUA needs a flush afterwards to be on stable storage.
bool scsi_needs_flush(const ScsiDisk& disk, IoOp op);

}  // namespace braidway::path
