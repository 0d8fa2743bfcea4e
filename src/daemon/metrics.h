// SPDX-License-Identifier: Apache-2.0
// A snapshot in the text form that Prometheus reads.
#pragma once

#include <string>

#include "daemon/control.h"

namespace braidway::daemon {

/// Every figure of the snapshot; the names are listed in docs/braidway.md.
std::string metrics_text(const Snapshot& snapshot);

}  // namespace braidway::daemon
