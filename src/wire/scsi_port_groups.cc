// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_port_groups.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"

namespace braidway::wire {
namespace {

using namespace scsi;

constexpr size_t length_bytes = 4;
constexpr size_t extended_header_bytes = 8;
constexpr size_t group_header_bytes = 8;
constexpr size_t port_bytes = 4;
constexpr size_t setting_bytes = 4;
constexpr uint8_t format_mask = 0x70;
constexpr uint8_t extended_format = 0x10;
constexpr uint8_t preferred_bit = 0x80;
constexpr uint8_t state_mask = 0x0f;

PortGroup parse_group(std::span<const std::byte> data) {
    PortGroup group;
    group.preferred = (byte_at(data, 0) & preferred_bit) != 0;
    group.state = byte_at(data, 0) & state_mask;
    group.support = byte_at(data, 1);
    group.id = load_big<uint16_t>(data.data() + 2);
    group.status = byte_at(data, 5);
    for (size_t at = group_header_bytes; at + port_bytes <= data.size(); at += port_bytes)
        group.ports.push_back(load_big<uint16_t>(data.data() + at + 2));
    return group;
}

void append_group(std::vector<std::byte>& data, const PortGroup& group) {
    CHECK(group.ports.size() <= UINT8_MAX, "a group's ports are counted in 8 bits");
    const size_t at = data.size();
    data.resize(at + group_header_bytes + group.ports.size() * port_bytes);
    data[at] =
        static_cast<std::byte>((group.preferred ? preferred_bit : 0) | (group.state & state_mask));
    data[at + 1] = std::byte{group.support};
    store_big(data.data() + at + 2, group.id);
    data[at + 5] = std::byte{group.status};
    data[at + 7] = static_cast<std::byte>(group.ports.size());
    for (size_t port = 0; port < group.ports.size(); ++port)
        store_big(data.data() + at + group_header_bytes + port * port_bytes + 2, group.ports[port]);
}

}  // namespace

std::optional<PortGroupReport> parse_port_groups(std::span<const std::byte> data) {
    if (data.size() < length_bytes) return std::nullopt;
    PortGroupReport report;
    report.bytes_wanted = size_t{load_big<uint32_t>(data.data())} + length_bytes;
    data = data.first(std::min(data.size(), report.bytes_wanted));
    report.extended_header = (byte_at(data, 4) & format_mask) == extended_format;
    if (report.extended_header) report.transition_seconds = byte_at(data, 5);
    size_t at = report.extended_header ? extended_header_bytes : length_bytes;
    while (at + group_header_bytes <= data.size()) {
        const size_t bytes = group_header_bytes + byte_at(data, at + 7) * port_bytes;
        // The state stands before the ports. Linux's own target forgets to count the extended
        // header in the length that it tells, so that its last port is always cut off.
        const size_t there = std::min(bytes, data.size() - at);
        report.groups.push_back(parse_group(data.subspan(at, there)));
        at += there;
    }
    return report;
}

std::vector<std::byte> port_groups_data(const PortGroupReport& report) {
    std::vector<std::byte> data(report.extended_header ? extended_header_bytes : length_bytes);
    if (report.extended_header) {
        data[4] = std::byte{extended_format};
        data[5] = std::byte{report.transition_seconds};
    }
    for (const PortGroup& group : report.groups) append_group(data, group);
    store_big(data.data(), static_cast<uint32_t>(data.size() - length_bytes));
    return data;
}

std::vector<std::byte> set_port_groups_data(std::span<const PortGroupSetting> settings) {
    std::vector<std::byte> data(length_bytes + settings.size() * setting_bytes);
    for (size_t at = 0; at < settings.size(); ++at) {
        std::byte* to = data.data() + length_bytes + at * setting_bytes;
        to[0] = static_cast<std::byte>(settings[at].state & state_mask);
        store_big(to + 2, settings[at].id);
    }
    return data;
}

std::vector<PortGroupSetting> parse_set_port_groups(std::span<const std::byte> data) {
    std::vector<PortGroupSetting> settings;
    for (size_t at = length_bytes; at + setting_bytes <= data.size(); at += setting_bytes)
        settings.push_back({load_big<uint16_t>(data.data() + at + 2),
                            static_cast<uint8_t>(byte_at(data, at) & state_mask)});
    return settings;
}

std::string port_group_state_text(uint8_t state) {
    switch (state) {
        case group_optimized:
            return "optimized";
        case group_non_optimized:
            return "non-optimized";
        case group_standby:
            return "standby";
        case group_unavailable:
            return "unavailable";
        case group_lba_dependent:
            return "lba-dependent";
        case group_offline:
            return "offline";
        case group_transitioning:
            return "transitioning";
        default:
            return fmt::format("state {}", state);
    }
}

}  // namespace braidway::wire
