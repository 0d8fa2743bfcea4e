// SPDX-License-Identifier: Apache-2.0
// One lock within another, with a point between where the forced build lets the threads meet.
#pragma once

#include <mutex>

#include "corpus.h"

template <class Lock>
void nest(Lock& outer, Lock& inner) {
    std::lock_guard hold_outer(outer);
    meet(0);
    std::lock_guard hold_inner(inner);
}
