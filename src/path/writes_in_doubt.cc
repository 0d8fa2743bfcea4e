// SPDX-License-Identifier: Apache-2.0
#include "path/writes_in_doubt.h"

#include <algorithm>
#include <utility>

namespace braidway::path {

WritesInDoubt::WritesInDoubt(loop::Loop& loop, Duration quiesce, Settled settled)
    : loop_(loop), quiesce_(quiesce), settled_(std::move(settled)) {
    timer_.owner = this;
    timer_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<WritesInDoubt*>(timer.owner)->time_out(now);
    };
}

WritesInDoubt::~WritesInDoubt() {
    loop_.disarm(timer_);
}

WritesInDoubt::Group WritesInDoubt::add(uint32_t writes) {
    const Instant now = loop_.now();
    if (groups_.empty()) since_ = now;
    counters_.writes += writes;
    counters_.unsettled += writes;
    groups_.push_back({next_, writes, now + quiesce_});
    if (!timer_.armed()) loop_.arm(timer_, groups_.front().until);
    return next_++;
}

void WritesInDoubt::settle(Group group) {
    const auto found = std::ranges::find(groups_, group, &Doubt::group);
    if (found == groups_.end()) return;
    counters_.unsettled -= found->writes;
    groups_.erase(found);
    end_if_last();
}

void WritesInDoubt::time_out(Instant now) {
    while (!groups_.empty() && groups_.front().until <= now) {
        counters_.unsettled -= groups_.front().writes;
        counters_.at_risk += groups_.front().writes;
        risky_ = true;
        groups_.erase(groups_.begin());
    }
    if (!groups_.empty())
        loop_.arm(timer_, groups_.front().until);
    else
        end_if_last();
}

void WritesInDoubt::end_if_last() {
    if (!groups_.empty()) return;
    loop_.disarm(timer_);
    counters_.held += loop_.now() - since_;
    settled_(std::exchange(risky_, false));
}

DoubtCounters WritesInDoubt::counters() const {
    DoubtCounters counters = counters_;
    if (any()) counters.held += loop_.now() - since_;
    return counters;
}

}  // namespace braidway::path
