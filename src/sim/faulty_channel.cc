// SPDX-License-Identifier: Apache-2.0
#include "sim/faulty_channel.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "loop/loop.h"

namespace braidway::sim {

using wire::ScsiTransport;

FaultyChannel::~FaultyChannel() {
    CHECK(under_way_ == 0, "a channel goes after its commands have ended");
}

FaultyChannel::Passing& FaultyChannel::free_passing() {
    auto free = std::ranges::find(passing_, false, [](const auto& each) { return each->busy(); });
    if (free == passing_.end()) free = passing_.insert(free, std::make_unique<Passing>());
    return **free;
}

void FaultyChannel::execute(path::ScsiTask& task) {
    Passing& passing = free_passing();
    static_cast<path::ScsiTask&>(passing) = {.cdb = task.cdb,
                                             .data_out = task.data_out,
                                             .data_in_bytes = task.data_in_bytes,
                                             .timeout = task.timeout};
    passing.channel = this;
    passing.task = &task;
    passing.transport = ScsiTransport::no_connection;
    passing.done = [](path::ScsiTask& below) { static_cast<Passing&>(below).below = false; };
    passing.timer.owner = &passing;
    ++under_way_;

    const bool is_lost = lost_ > 0 && task.cdb.opcode() == lost_opcode_;
    if (is_lost) --lost_;
    const bool overdue = late_ == Duration::zero() && (is_lost || delay_ >= task.timeout);
    if (overdue)
        passing.timer.fire = [](loop::Timer& timer, Instant) {
            auto& late = *static_cast<Passing*>(timer.owner);
            late.channel->answer(late, ScsiTransport::timed_out);
        };
    else
        passing.timer.fire = [](loop::Timer& timer, Instant) {
            auto& late = *static_cast<Passing*>(timer.owner);
            CHECK(!late.below, "the device answers in the loop's next turn");
            late.channel->answer(late, late.transport);
        };
    if (!down_) {
        passing.below = true;
        below_.execute(passing);
    }
    // A nanosecond, so that the device answers first.
    Duration until = down_ ? Duration::zero() : delay_;
    if (overdue) until = task.timeout;
    if (late_ > Duration::zero()) until = task.timeout + late_;
    loop_.arm_after(passing.timer, std::max(until, Duration(1)));
}

void FaultyChannel::tear_down() {
    down_ = true;
    for (const auto& each : passing_) {
        if (each->task == nullptr) continue;
        each->timer.fire = [](loop::Timer& timer, Instant) {
            auto& cut = *static_cast<Passing*>(timer.owner);
            cut.channel->answer(cut, ScsiTransport::connection_lost);
        };
        loop_.arm_after(each->timer, Duration(1));
    }
}

void FaultyChannel::answer(Passing& passing, ScsiTransport transport) {
    path::ScsiTask& task = *std::exchange(passing.task, nullptr);
    --under_way_;
    task.transport = transport;
    const bool answered = transport == ScsiTransport::answered;
    task.status = answered ? passing.status : uint8_t{0};
    task.sense = answered ? passing.sense : std::vector<std::byte>();
    task.data_in = answered ? passing.data_in : std::vector<std::byte>();
    task.done(task);
}

}  // namespace braidway::sim
