// SPDX-License-Identifier: Apache-2.0
// How an operation looks to io_uring.
#pragma once

#include <liburing.h>

#include "loop/operation.h"

namespace braidway::loop {

/// Fills `entry` of a submission queue for `operation`, whose address comes back with the
/// completion. An operation that is `waiting` becomes a poll for the readiness it needs. One that
/// is `quick` has ended when it has been submitted, with a completion only if something was not
/// sent.
void prepare_entry(Operation& operation, io_uring_sqe& entry);

}  // namespace braidway::loop
