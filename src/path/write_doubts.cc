// SPDX-License-Identifier: Apache-2.0
#include "path/write_doubts.h"

#include <utility>

namespace braidway::path {

WriteDoubts::WriteDoubts(loop::Loop& loop, Duration quiesce, Settled settled)
    : loop_(loop), quiesce_(quiesce), settled_(std::move(settled)) {
    timer_.owner = this;
    timer_.fire = [](loop::Timer& timer, Instant) {
        static_cast<WriteDoubts*>(timer.owner)->expired();
    };
}

WriteDoubts::~WriteDoubts() {
    loop_.disarm(timer_);
}

void WriteDoubts::add() {
    ++open_;
    ++added_;
    loop_.arm_after(timer_, quiesce_);
}

void WriteDoubts::clear() {
    if (!any()) return;
    open_ = 0;
    loop_.disarm(timer_);
    settled_(false);
}

void WriteDoubts::expired() {
    risked_ += std::exchange(open_, 0);
    settled_(true);
}

}  // namespace braidway::path
