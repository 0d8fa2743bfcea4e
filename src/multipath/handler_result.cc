// SPDX-License-Identifier: Apache-2.0
#include "multipath/handler_result.h"

#include <array>

namespace braidway::multipath {

std::string_view handler_result_name(HandlerResult result) {
    static constexpr std::array<std::string_view, handler_results> names{"ok",
                                                                         "device-failed",
                                                                         "device-busy",
                                                                         "device-unsupported",
                                                                         "not-connected",
                                                                         "connection-failure",
                                                                         "io",
                                                                         "invalid-io",
                                                                         "retry",
                                                                         "retry-now",
                                                                         "timed-out",
                                                                         "resources-unavailable",
                                                                         "device-offlined",
                                                                         "no-memory",
                                                                         "no-handler"};
    return names[static_cast<size_t>(result)];
}

}  // namespace braidway::multipath
