// SPDX-License-Identifier: Apache-2.0
#include "block/zero.h"

#include <cstring>

#include "loop/loop.h"

namespace braidway::block {

ZeroDevice::ZeroDevice(loop::Loop& loop, const ZeroConfig& config)
    : loop_(loop), holes_(config.holes) {
    geometry_.size_bytes = config.size_bytes / config.block_bytes * config.block_bytes;
    geometry_.block_bytes = config.block_bytes;
    geometry_.can_discard = true;
    geometry_.can_write_zeroes = true;
    geometry_.can_fast_zero = true;
    geometry_.can_block_status = true;
}

void ZeroDevice::begin(Request& request) {
    if (request.op == IoOp::read) {
        if (holes_)
            request.hole = true;
        else
            for (const iovec& piece : request.data) std::memset(piece.iov_base, 0, piece.iov_len);
    } else if (request.op == IoOp::block_status && !request.extents.empty()) {
        request.extents[0] = {request.length_bytes, true, true};
        request.extents_count = 1;
    }
    finish_soon(loop_, request, IoStatus::ok);
}

}  // namespace braidway::block
