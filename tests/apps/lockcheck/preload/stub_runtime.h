// SPDX-License-Identifier: Apache-2.0
// A runtime that only writes down what the validator would be told.
#pragma once

#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/initialiser.h"
#include "apps/lockcheck/preload/runtime.h"

namespace braidway::lockcheck {

/// What memory_gone() was told.
struct Gone {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    bool quiet = false;

    bool covers(const void* place) const {
        const auto address = reinterpret_cast<uintptr_t>(place);
        return address >= begin && address < end;
    }
};

/// The thread is watched, and locks may live in `begin`..`end`, until stop().
void stub_watch(const void* begin, const void* end);
void stub_stop();
size_t stub_gone_count();
Gone stub_gone(size_t index);
/// The number of in_validator() so far.
size_t stub_entries();
/// The state of the calling thread, with the bounds of its stack.
ThreadState& stub_thread();

/// What initialiser_on_the_stack() said in the last stub_init_call().
const Initialiser& stub_initialiser();

}  // namespace braidway::lockcheck

/// Stands for pthread_mutex_init(): asks who initialises.
extern "C" int stub_init_call(void* lock, const void* attributes);
