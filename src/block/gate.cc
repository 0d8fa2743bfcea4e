// SPDX-License-Identifier: Apache-2.0
#include "block/gate.h"

namespace braidway::block {

void Gate::reopen() {
    if (open_) return;
    open_ = true;
    // A waiter may close the gate again (then the rest stay in line) or wait once more (then it
    // stands at the end and is not told twice).
    const uint64_t opening = ++openings_;
    while (GateWaiter* waiter = waiters_.front()) {
        if (!open_ || waiter->after_opening >= opening) break;
        waiters_.remove(*waiter);
        waiter->opened(*waiter);
    }
}

}  // namespace braidway::block
