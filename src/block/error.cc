// SPDX-License-Identifier: Apache-2.0
#include "block/error.h"

#include "loop/loop.h"

namespace braidway::block {

ErrorLayer::ErrorLayer(loop::Loop& loop, std::unique_ptr<BlockDevice> below,
                       const ErrorConfig& config)
    : Layer(std::move(below)), loop_(loop), config_(config) {
}

void ErrorLayer::begin(Request& request) {
    if (!config_.enabled || config_.count == 0 || !strikes(request)) {
        below().submit(request);
        return;
    }
    if (config_.count && --*config_.count == 0) config_.enabled = false;
    request.error_text = "error layer";
    finish_soon(loop_, request, config_.status);
}

bool ErrorLayer::strikes(const Request& request) {
    if (!config_.ops.has(request.op) || !config_.range.touches(request)) return false;
    return config_.chance_ppm >= 1'000'000 || random_.chance_ppm(config_.chance_ppm);
}

ErrorDevice::ErrorDevice(loop::Loop& loop, uint64_t size_bytes, uint32_t block_bytes,
                         IoStatus status)
    : loop_(loop), status_(status) {
    geometry_.size_bytes = size_bytes / block_bytes * block_bytes;
    geometry_.block_bytes = block_bytes;
    geometry_.can_discard = geometry_.can_write_zeroes = geometry_.can_fast_zero = true;
    geometry_.can_block_status = true;
}

void ErrorDevice::begin(Request& request) {
    request.error_text = "error device";
    finish_soon(loop_, request, status_);
}

}  // namespace braidway::block
