// SPDX-License-Identifier: Apache-2.0
// Page cache of our own, that opens the kernel's gate without touching a setting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/open_gate.h"

namespace braidway::memory {

/// Reads `bytes` of a file full of holes on `node`, so that this much more clean, unmapped page
/// cache counts for the gate; it goes with the object, or with the process.
///
/// The file has no name and takes no room on disk. It is read twice, so that the kernel takes
/// everything else first. Measuring has to leave it out: bytes() says how much of it is there.
/// `keep_free`: this much of the node stays free in any case.
/// Errors: no filesystem with a page cache among /var/tmp, /tmp and /, or not enough free memory;
///         cancelled.
Result<std::unique_ptr<OpenGate>> load_ballast(Machine& machine, uint32_t node, uint64_t bytes,
                                               uint64_t keep_free);

}  // namespace braidway::memory
