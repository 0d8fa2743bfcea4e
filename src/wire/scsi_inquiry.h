// SPDX-License-Identifier: Apache-2.0
// Who a SCSI device is: standard inquiry data, and the pages about serial number and identity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wire/scsi_protocol.h"

namespace braidway::wire {

/// Standard inquiry data. Texts are without the blanks at their ends; bytes that are no printable
/// ASCII are shown as '?'.
struct ScsiInquiry {
    uint8_t qualifier = 0;      ///< 0 = a device is there.
    uint8_t device_type = 0;    ///< 0 = disk, 0x1f = none.
    uint8_t tpgs = 0;           ///< scsi::tpgs_implicit, scsi::tpgs_explicit, both or none.
    std::string vendor = {};    ///< At most 8 characters.
    std::string product = {};   ///< At most 16.
    std::string revision = {};  ///< At most 4.
};

/// Nothing when the data are shorter than what every device answers.
std::optional<ScsiInquiry> parse_inquiry(std::span<const std::byte> data);
/// The first 36 bytes of standard inquiry data.
std::vector<std::byte> inquiry_data(const ScsiInquiry& inquiry);

/// The contents of a vital product data page, without its header. Nothing when it is another page
/// or is cut short inside its header; contents end where the data do.
std::optional<std::span<const std::byte>> vpd_contents(std::span<const std::byte> data,
                                                       uint8_t page);
/// A page with its header in front of `contents` (at most 65535 bytes).
std::vector<std::byte> vpd_data(uint8_t page, std::span<const std::byte> contents);

/// Page 0x80: the serial number, without blanks at its ends.
std::optional<std::string> parse_serial_number(std::span<const std::byte> data);

/// One designator of page 0x83.
struct ScsiDesignator {
    /// What it names. Numbers of the standard; others may come.
    enum Association : uint8_t { logical_unit = 0, target_port = 1, target_device = 2 };
    /// How it names it.
    enum Type : uint8_t {
        vendor_specific = 0,
        t10_vendor = 1,
        eui_64 = 2,
        naa = 3,
        relative_port = 4,
        port_group = 5,
        unit_group = 6,
        md5 = 7,
        scsi_name = 8,
        uuid = 10,
    };
    uint8_t association = logical_unit;
    uint8_t type = vendor_specific;
    bool text = false;  ///< Code set: ASCII or UTF-8, not binary.
    std::vector<std::byte> name = {};
};

/// Page 0x83, as far as multipathing asks.
struct ScsiIdentity {
    /// The best name of the logical unit: its type, then the name's bytes. Two paths lead to one
    /// unit exactly when these are equal. Empty when the device gives none.
    std::vector<std::byte> unit_id = {};
    std::optional<uint16_t> relative_port = {};
    std::optional<uint16_t> port_group = {};
    friend bool operator==(const ScsiIdentity&, const ScsiIdentity&) = default;
};

/// All designators of page 0x83 that are complete. Nothing when it is another page.
std::optional<std::vector<ScsiDesignator>> parse_designators(std::span<const std::byte> data);
/// Page 0x83 from designators with names of at most 255 bytes.
std::vector<std::byte> designator_data(std::span<const ScsiDesignator> designators);
/// Page 0x83 read for multipathing. Of several names of the unit the most trustworthy counts: NAA,
/// UUID, EUI-64, SCSI name, T10 vendor, vendor's own; of one type the longest, then the first.
std::optional<ScsiIdentity> parse_identity(std::span<const std::byte> data);

}  // namespace braidway::wire
