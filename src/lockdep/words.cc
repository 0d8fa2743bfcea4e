// SPDX-License-Identifier: Apache-2.0
#include "lockdep/words.h"

namespace braidway::lockdep {

const char* word(FindingKind kind) {
    switch (kind) {
        case FindingKind::order:
            return "order";
        case FindingKind::recursive_read:
            return "recursive-read";
        case FindingKind::relock:
            return "relock";
        case FindingKind::unlock_unheld:
            return "unlock-unheld";
        case FindingKind::destroy_held:
            return "destroy-held";
        case FindingKind::exit_held:
            return "exit-held";
        case FindingKind::held_while_wait:
            return "held-while-wait";
        case FindingKind::held_while_join:
            return "held-while-join";
        case FindingKind::signal:
            return "signal";
        case FindingKind::hang:
            return "hang";
        case FindingKind::held_while_sleep:
            return "held-while-sleep";
    }
    return "?";
}

}  // namespace braidway::lockdep
