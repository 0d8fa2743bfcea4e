// SPDX-License-Identifier: Apache-2.0
// What a configuration says of an iSCSI path, and whether it makes sense.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "path/iscsi_uri.h"

namespace braidway::path {

/// What a configuration says of one iSCSI path.
struct IscsiOptions {
    IscsiUri uri{};               ///< Its secret, if any, is used when `secret` is empty.
    std::string secret{};         ///< Of chap_secret_file.
    std::string target_secret{};  ///< Of chap_mutual_secret_file.
    std::string initiator{};      ///< Our name at the target: "iqn....".
    /// With the initiator's name the initiator port of this path: the same each time it connects,
    /// and no other path's. See iscsi_port_id().
    uint32_t isid = 0;
    uint16_t isid_qualifier = 0;
    bool data_digest = false;  ///< Asked for.
    bool read_only = false;
    Duration connect_timeout = std::chrono::seconds(10);
    std::optional<Duration> io_timeout{};
    Duration task_management_timeout = std::chrono::seconds(5);
    /// A target that is silent for so long is pinged; after as long again it is lost.
    Duration keepalive = std::chrono::seconds(5);
    /// After this a change without an answer is taken to be over; a stated risk.
    Duration resend_quiesce = std::chrono::seconds(30);
    uint32_t requests_max = limits::volume_requests_default + 64;
    uint32_t commands_max = 64;  ///< Outstanding at the target; what LIO takes by default.
};

/// What can be told without connecting. Errors: one line, which says what to do.
Result<void> check_iscsi_options(const IscsiOptions& options);

/// Fills in the secrets from their files; an empty name = none. May sleep: not for a lane.
/// Errors: read_chap_secret()'s.
Result<void> read_iscsi_secrets(IscsiOptions& options, const std::string& chap_secret_file,
                                const std::string& chap_mutual_secret_file);

/// Fills in the port of a path, from names that stay: the host's (any text), the map's, the
/// path's.
void iscsi_port_id(IscsiOptions& options, std::string_view host, std::string_view map,
                   std::string_view path);

}  // namespace braidway::path
