// SPDX-License-Identifier: Apache-2.0
// Children and other programs: fork(), exec and spawn.
#pragma once

namespace braidway::lockcheck {

/// Registers what runs around every fork(), also those inside the C library. Once, at start.
void watch_forks();

}  // namespace braidway::lockcheck
