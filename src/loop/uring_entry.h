// SPDX-License-Identifier: Apache-2.0
// How an operation looks to io_uring.
#pragma once

#include <liburing.h>

#include "loop/operation.h"

namespace braidway::loop {

/// Fills `entry` of a submission queue for `operation`, whose address comes back with the
/// completion. An operation that is `waiting` becomes a poll for the readiness it needs.
void prepare_entry(Operation& operation, io_uring_sqe& entry);

}  // namespace braidway::loop
