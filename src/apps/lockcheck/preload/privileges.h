// SPDX-License-Identifier: Apache-2.0
// What a process gives up.
#pragma once

namespace braidway::lockcheck {

/// The document's file may be out of reach after the call that follows: keeps what is needed.
void privileges_may_go();

}  // namespace braidway::lockcheck
