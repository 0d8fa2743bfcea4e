// SPDX-License-Identifier: Apache-2.0
// The lives of threads.
#pragma once

#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {

/// Makes what tells the end of a thread. Once, at start.
void watch_thread_ends();

/// The calling thread's end will be told, after its last destructor.
void arm_thread_end(ThreadRecord& self);

}  // namespace braidway::lockcheck
