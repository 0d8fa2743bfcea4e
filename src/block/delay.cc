// SPDX-License-Identifier: Apache-2.0
#include "block/delay.h"

#include "loop/loop.h"

namespace braidway::block {
namespace {

Instant due_time(Request& request) {
    return {static_cast<int64_t>(request.top().words[0])};
}

}  // namespace

DelayLayer::DelayLayer(loop::Loop& loop, std::unique_ptr<BlockDevice> below,
                       const DelayConfig& config)
    : Layer(std::move(below)), loop_(loop), config_(config) {
    timer_.owner = this;
    timer_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<DelayLayer*>(timer.owner)->release_due(now);
    };
}

DelayLayer::~DelayLayer() {
    CHECK(waiting_.empty(), "a device goes only when no request is on it");
    loop_.disarm(timer_);
}

void DelayLayer::configure(const DelayConfig& config) {
    config_ = config;
    if (!config_.enabled) release_due(never);
}

Duration DelayLayer::delay_of(IoOp op) {
    Duration delay{};
    switch (op) {
        case IoOp::read:
            delay = config_.read;
            break;
        case IoOp::write:
        case IoOp::discard:
        case IoOp::write_zeroes:
            delay = config_.write;
            break;
        case IoOp::flush:
            delay = config_.flush;
            break;
        case IoOp::block_status:
        case IoOp::cache:
            delay = config_.other;
            break;
    }
    if (delay.count() > 0 && config_.jitter.count() > 0)
        delay += Duration(
            static_cast<int64_t>(random_.below(static_cast<uint64_t>(config_.jitter.count()) + 1)));
    return delay;
}

void DelayLayer::begin(Request& request) {
    const Duration delay = config_.enabled ? delay_of(request.op) : Duration{};
    if (delay.count() == 0) {
        below().submit(request);
        return;
    }
    const Instant due = loop_.now() + delay;
    request.push(*this).words[0] = static_cast<uint64_t>(due.ns);
    // Delays are mostly alike, so the place is nearly always the end.
    Request* before = waiting_.back();
    while (before != nullptr && due_time(*before) > due) before = waiting_.before(*before);
    if (before != nullptr)
        waiting_.insert_after(*before, request);
    else
        waiting_.push_front(request);
    if (waiting_.front() == &request) loop_.arm(timer_, due);
}

void DelayLayer::release_due(Instant now) {
    while (Request* request = waiting_.front()) {
        if (due_time(*request) > now) {
            loop_.arm(timer_, due_time(*request));
            return;
        }
        waiting_.remove(*request);
        request->pop();
        below().submit(*request);
    }
    loop_.disarm(timer_);
}

}  // namespace braidway::block
