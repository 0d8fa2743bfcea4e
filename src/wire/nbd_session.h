// SPDX-License-Identifier: Apache-2.0
// What a server says of an export, and what one client and it have agreed on.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/limits.h"
#include "wire/nbd_protocol.h"

namespace braidway::wire {

/// What a client is told of one export. The texts live as long as the directory they come from
/// says.
struct NbdExportInfo {
    uint32_t id = 0;  ///< The server's own number for it; never travels.
    std::string_view name;
    std::string_view description;
    uint64_t size_bytes = 0;
    uint32_t minimum_block = 1;  ///< A power of two; offsets and lengths are multiples of it.
    uint32_t preferred_block = 4096;
    uint32_t maximum_payload = limits::payload_bytes_max;
    bool read_only = false;
    bool rotational = false;
    bool can_flush = false;
    bool can_fua = false;
    bool can_trim = false;
    bool can_write_zeroes = false;
    bool can_fast_zero = false;
    bool can_cache = false;
    bool can_multi_conn = false;
};

/// What one connection has negotiated. Whatever is not in here is refused with EINVAL.
struct NbdSession {
    uint32_t export_id = 0;
    uint64_t size_bytes = 0;
    uint32_t minimum_block = 1;
    uint32_t maximum_payload = limits::payload_bytes_max;
    uint16_t flags = 0;       ///< nbd::TransmissionFlag, as sent to the client.
    bool structured = false;  ///< Structured replies; implied by extended.
    bool extended = false;    ///< Extended headers, both ways.
    bool base_allocation = false;

    bool has(nbd::TransmissionFlag flag) const { return (flags & flag) != 0; }
    size_t request_bytes() const {
        return extended ? nbd::extended_request_bytes : nbd::request_bytes;
    }
};

}  // namespace braidway::wire
