// SPDX-License-Identifier: Apache-2.0
// How often the heap was asked for memory. A test program that is built with heap_counter.cc has
// its operator new replaced.
#pragma once

#include <cstdint>

namespace braidway {

/// Calls of operator new by this thread.
uint64_t heap_requests_of_this_thread();
/// Calls of operator new by all threads.
uint64_t heap_requests();

}  // namespace braidway
