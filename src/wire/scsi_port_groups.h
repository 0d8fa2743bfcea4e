// SPDX-License-Identifier: Apache-2.0
// Target port groups: the data of REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wire/scsi_protocol.h"

namespace braidway::wire {

/// One group of target ports that share an access state, as the device reports it.
struct PortGroup {
    uint16_t id = 0;
    uint8_t state = scsi::group_optimized;  ///< scsi::PortGroupState, or a number without a name.
    bool preferred = false;
    uint8_t support = 0;  ///< scsi::PortGroupSupport bits.
    uint8_t status = 0;   ///< Who changed it last: 0 nobody, 1 a command, 2 the device itself.
    std::vector<uint16_t> ports = {};
    friend bool operator==(const PortGroup&, const PortGroup&) = default;
};

/// The answer to REPORT TARGET PORT GROUPS.
struct PortGroupReport {
    std::vector<PortGroup> groups = {};
    bool extended_header = false;
    uint8_t transition_seconds = 0;  ///< In the extended header only; 0 = not told.
    /// The whole answer's size. Larger than what was received: ask again with so much room.
    size_t bytes_wanted = 0;
    friend bool operator==(const PortGroupReport&, const PortGroupReport&) = default;
};

/// Decodes the groups whose state has arrived, with those of their ports that are complete. Nothing
/// when not even the length has arrived.
std::optional<PortGroupReport> parse_port_groups(std::span<const std::byte> data);
/// The data of a report; bytes_wanted is not read.
std::vector<std::byte> port_groups_data(const PortGroupReport& report);

/// One group of a SET TARGET PORT GROUPS command and the state it shall have.
struct PortGroupSetting {
    uint16_t id = 0;
    uint8_t state = scsi::group_optimized;
    friend bool operator==(const PortGroupSetting&, const PortGroupSetting&) = default;
};
std::vector<std::byte> set_port_groups_data(std::span<const PortGroupSetting> settings);
/// All settings that are complete.
std::vector<PortGroupSetting> parse_set_port_groups(std::span<const std::byte> data);

/// "optimized", "non-optimized", "standby"...; "state 7" for numbers without a name.
std::string port_group_state_text(uint8_t state);

}  // namespace braidway::wire
