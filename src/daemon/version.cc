// SPDX-License-Identifier: Apache-2.0
#include "daemon/version.h"

namespace braidway::daemon {

std::string_view version() {
    return BRAIDWAY_VERSION;
}

}  // namespace braidway::daemon
