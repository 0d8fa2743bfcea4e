// SPDX-License-Identifier: Apache-2.0
// What [path.NAME] says of TLS.
#pragma once

#include "daemon/config_sections.h"

namespace braidway::daemon {

/// Reads what the keys of a path say of TLS into `uri`, which the path's device names, and writes
/// down what does not fit together. `uri` is null where there is no such device; then the keys only
/// become known.
void read_path_tls(TableReader& reader, wire::NbdUri* uri, const Draft& draft);

}  // namespace braidway::daemon
