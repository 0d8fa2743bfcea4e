// SPDX-License-Identifier: Apache-2.0
#include "daemon/lane.h"

#include <algorithm>
#include <future>
#include <utility>

namespace braidway::daemon {

Result<std::unique_ptr<Lane>> Lane::start(loop::Backend backend, size_t pool_bytes) {
    auto pool = memory::BufferPool::create(pool_bytes);
    if (!pool) return std::unexpected(pool.error());
    auto lane = loop::Lane::create(backend);
    if (!lane) return std::unexpected(lane.error());
    // A refusal costs a little CPU per I/O; the loop's description says which it is.
    (*lane)->loop().register_memory((*pool)->base(),
                                    std::min(limits::registered_bytes, (*pool)->bytes()));
    if (auto started = (*lane)->start(); !started) return std::unexpected(started.error());
    return std::unique_ptr<Lane>(new Lane(std::move(*lane), std::move(*pool)));
}

Lane::Lane(std::unique_ptr<loop::Lane> lane, std::unique_ptr<memory::BufferPool> pool)
    : pool_(std::move(pool)), lane_(std::move(lane)) {
}

bool Lane::call(std::function<void()> work, Duration deadline) {
    auto promise = std::make_shared<std::promise<void>>();
    std::future<void> done = promise->get_future();
    lane_->call([promise, work = std::move(work)] {
        work();
        promise->set_value();
    });
    return done.wait_for(deadline) == std::future_status::ready;
}

}  // namespace braidway::daemon
