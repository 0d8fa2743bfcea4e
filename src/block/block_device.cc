// SPDX-License-Identifier: Apache-2.0
#include "block/block_device.h"

#include "loop/loop.h"

namespace braidway::block {
namespace {

bool supported(const Request& request, const Geometry& geometry) {
    switch (request.op) {
        case IoOp::flush:
            return geometry.can_flush;
        case IoOp::discard:
            return geometry.can_discard;
        case IoOp::write_zeroes:
            return geometry.can_write_zeroes;
        case IoOp::read:
        case IoOp::write:
        case IoOp::block_status:
        case IoOp::cache:
            return true;
    }
    return false;
}

}  // namespace

IoStatus check_request(const Request& request, const Geometry& geometry) {
    if (geometry.read_only && changes_data(request.op)) return IoStatus::not_supported;
    if (!supported(request, geometry)) return IoStatus::not_supported;
    if (request.op == IoOp::flush) return IoStatus::ok;
    const uint64_t offset = request.offset_bytes;
    const uint64_t length = request.length_bytes;
    if (length == 0) return IoStatus::invalid;
    // Written so that offset + length cannot wrap.
    if (offset > geometry.size_bytes || length > geometry.size_bytes - offset)
        return changes_data(request.op) ? IoStatus::no_space : IoStatus::invalid;
    if ((offset | length) & (geometry.block_bytes - 1)) return IoStatus::invalid;
    return IoStatus::ok;
}

void finish_soon(loop::Loop& loop, Request& request, IoStatus status) {
    request.operation.owner = &request;
    request.operation.done = [](loop::Operation& operation, int32_t result) {
        static_cast<Request*>(operation.owner)->finish(static_cast<IoStatus>(result));
    };
    loop.complete_soon(request.operation, static_cast<int32_t>(status));
}

}  // namespace braidway::block
