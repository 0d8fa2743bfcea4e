// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/may_sleep.h"

namespace braidway::sync {

constinit std::atomic<MaySleepHook> may_sleep_hook = nullptr;

MaySleepHook set_may_sleep_hook(MaySleepHook hook) {
    return may_sleep_hook.exchange(hook, std::memory_order_acq_rel);
}

}  // namespace braidway::sync
