// SPDX-License-Identifier: Apache-2.0
// Starting a thread with a name that top and gdb show.
#pragma once

#include <functional>
#include <thread>

#include "base/error.h"

namespace braidway::loop {

/// Starts a thread that runs `body`. It takes no signals: those belong to the main thread.
/// `name` has at most 15 bytes. Errors: the system has no room for another thread.
Result<std::thread> start_thread(const char* name, std::function<void()> body);

}  // namespace braidway::loop
