// SPDX-License-Identifier: Apache-2.0
// Which Braidway this is.
#pragma once

#include <string_view>

namespace braidway::daemon {

/// "0.1.0": from the build.
std::string_view version();

}  // namespace braidway::daemon
