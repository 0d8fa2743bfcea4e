// SPDX-License-Identifier: Apache-2.0
// What a configuration says of an iSCSI path, and whether it makes sense.
#pragma once

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
    std::string secret{};         ///< For CHAP.
    std::string target_secret{};  ///< For mutual CHAP.
    /// Where the two are kept, read at the first login and after one that was refused; empty =
    /// nowhere.
    std::string secret_file{};
    std::string target_secret_file{};
    std::string initiator{};  ///< Our name at the target: "iqn....".
    /// With the initiator's name the initiator port of this path: the same each time it connects,
    /// and no other path's. See iscsi_port_id().
    uint32_t isid = 0;
    uint16_t isid_qualifier = 0;
    bool data_digest = false;  ///< Asked for.
    bool read_only = false;
    std::optional<uint32_t> block_bytes{};  ///< Nothing: the disk's own.
    Duration connect_timeout = limits::iscsi_connect_timeout_default;
    std::optional<Duration> io_timeout{};
    Duration task_management_timeout = limits::iscsi_task_management_timeout_default;
    /// A target that is silent for so long is pinged; after as long again it is lost. Nothing: it
    /// never is.
    std::optional<Duration> keepalive = limits::iscsi_keepalive_default;
    /// After this a change without an answer is taken to be over; a stated risk.
    Duration resend_quiesce = limits::iscsi_resend_quiesce_default;
    uint32_t requests_max = limits::iscsi_requests_default;
    uint32_t commands_max = limits::iscsi_commands_default;  ///< Outstanding at the target.
};

/// What can be told without connecting. Errors: one line, which says what to do.
Result<void> check_iscsi_options(const IscsiOptions& options);

/// Whether `name` may be an initiator's. Errors: one line.
Result<void> check_initiator_name(std::string_view name);

/// The initiator's name of a host of which nothing but `host` is known; the same each time.
std::string default_initiator(std::string_view host);

/// Fills in the secrets from their files, where such are named. May sleep: not for a lane.
/// Errors: read_chap_secret()'s, check_iscsi_options()'s.
Result<void> read_iscsi_secrets(IscsiOptions& options);

/// Fills in the port of a path, from names that stay: the host's (any text), the map's, the
/// path's.
void iscsi_port_id(IscsiOptions& options, std::string_view host, std::string_view map,
                   std::string_view path);

}  // namespace braidway::path
