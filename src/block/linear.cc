// SPDX-License-Identifier: Apache-2.0
#include "block/linear.h"

#include <fmt/format.h>

#include <algorithm>

namespace braidway::block {

Result<std::unique_ptr<LinearDevice>> LinearDevice::create(std::unique_ptr<BlockDevice> below,
                                                           const LinearConfig& config) {
    const Geometry& inner = below->geometry();
    const uint64_t mask = inner.block_bytes - 1;
    const uint64_t length = config.length_bytes == UINT64_MAX ? 0 : config.length_bytes;
    if ((config.offset_bytes | length) & mask)
        return fail(fmt::format("linear: offset and length must be multiples of the block size, {}",
                                inner.block_bytes));
    // A device that is not there yet has no size; its window is cut when it appears.
    if (inner.size_bytes != 0 && (config.offset_bytes >= inner.size_bytes ||
                                  length > inner.size_bytes - config.offset_bytes))
        return fail(fmt::format("linear: offset {} + length {} do not fit in a device of {} bytes",
                                config.offset_bytes, length, inner.size_bytes));
    return std::unique_ptr<LinearDevice>(new LinearDevice(std::move(below), config));
}

LinearDevice::LinearDevice(std::unique_ptr<BlockDevice> below, const LinearConfig& config)
    : Layer(std::move(below)), config_(config) {
}

const Geometry& LinearDevice::geometry() const {
    geometry_ = below().geometry();
    const uint64_t after_offset =
        geometry_.size_bytes - std::min(geometry_.size_bytes, config_.offset_bytes);
    geometry_.size_bytes = std::min(after_offset, config_.length_bytes);
    return geometry_;
}

void LinearDevice::begin(Request& request) {
    request.push(*this).words[0] = request.offset_bytes;
    if (request.op != IoOp::flush) request.offset_bytes += config_.offset_bytes;
    below().submit(request);
}

void LinearDevice::completed(Request& request) {
    request.offset_bytes = request.top().words[0];
    Layer::completed(request);
}

}  // namespace braidway::block
