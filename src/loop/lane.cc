// SPDX-License-Identifier: Apache-2.0
#include "loop/lane.h"

#include <utility>

#include "loop/named_thread.h"

namespace braidway::loop {

namespace {

struct Call : Message {
    std::function<void()> function;
};

}  // namespace

Result<std::unique_ptr<Lane>> Lane::create(Backend backend) {
    auto loop = Loop::create(backend);
    if (!loop) return std::unexpected(loop.error());
    return std::unique_ptr<Lane>(new Lane(std::move(*loop)));
}

Lane::~Lane() {
    stop();
    join();
}

Result<void> Lane::start() {
    CHECK(!thread_.joinable(), "a lane is started once");
    auto started = start_thread("bw-lane", [this] { loop_->run(); });
    if (!started) return std::unexpected(started.error());
    thread_ = std::move(*started);
    return {};
}

void Lane::call(std::function<void()> function) {
    auto call = std::make_unique<Call>();
    call->function = std::move(function);
    call->run = [](Message& message) {
        const std::unique_ptr<Call> self(static_cast<Call*>(&message));
        self->function();
    };
    post(*call.release());
}

void Lane::join() {
    if (thread_.joinable()) thread_.join();
}

}  // namespace braidway::loop
