// SPDX-License-Identifier: Apache-2.0
// How the activation of a path by a hardware handler ended.
#pragma once

#include <cstdint>
#include <string_view>

namespace braidway::multipath {

/// A hardware handler's answer to an activation; the names are the kernel's SCSI_DH_* codes.
/// Closed: switch over it without `default`.
enum class HandlerResult : uint8_t {
    ok,                     ///< The path takes I/O now.
    device_failed,          ///< DEV_FAILED.
    device_busy,            ///< DEV_TEMP_BUSY: firmware upgrade or array copy; try other groups.
    device_unsupported,     ///< DEV_UNSUPP.
    not_connected,          ///< NOTCONN.
    connection_failure,     ///< CONN_FAILURE.
    io,                     ///< IO.
    invalid_io,             ///< INVALID_IO.
    retry,                  ///< RETRY: again after pg_init_delay.
    retry_now,              ///< IMM_RETRY.
    timed_out,              ///< TIMED_OUT.
    resources_unavailable,  ///< RES_TEMP_UNAVAIL: again at once.
    device_offlined,        ///< DEV_OFFLINED.
    no_memory,              ///< NOMEM.
    no_handler,             ///< NOSYS: the device has none.
};
inline constexpr unsigned handler_results = 15;

/// "ok", "device-failed", "device-busy"...
std::string_view handler_result_name(HandlerResult result);

}  // namespace braidway::multipath
