// SPDX-License-Identifier: Apache-2.0
#include "explore/runner.h"

namespace braidway::explore {

Outcome minimised(Runner& runner, const Outcome& failing) {
    return runner.run_once(failing.decisions, true);
}

}  // namespace braidway::explore
