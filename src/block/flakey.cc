// SPDX-License-Identifier: Apache-2.0
#include "block/flakey.h"

#include "loop/loop.h"

namespace braidway::block {
FlakeyLayer::FlakeyLayer(loop::Loop& loop, std::unique_ptr<BlockDevice> below,
                         const FlakeyConfig& config)
    : Layer(std::move(below)), loop_(loop) {
    configure(config);
}

void FlakeyLayer::configure(const FlakeyConfig& config) {
    config_ = config;
    since_ = loop_.now();
}

bool FlakeyLayer::down_at(Instant now) const {
    if (!config_.enabled || config_.down.count() == 0) return false;
    const int64_t period = (config_.up + config_.down).count();
    return (now - since_).count() % period >= config_.up.count();
}

void FlakeyLayer::begin(Request& request) {
    if (!config_.enabled || !config_.range.touches(request) || !down_at(loop_.now())) {
        below().submit(request);
        return;
    }
    if (config_.drop_writes && changes_data(request.op)) {
        finish_soon(loop_, request, IoStatus::ok);
        return;
    }
    if (!config_.ops.has(request.op)) {
        below().submit(request);
        return;
    }
    request.error_text = "flakey layer is down";
    finish_soon(loop_, request, config_.status);
}

}  // namespace braidway::block
