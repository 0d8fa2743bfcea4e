// SPDX-License-Identifier: Apache-2.0
// The name of a SCSI logical unit, as udev, multipath.conf and `multipath -ll` write it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"

namespace braidway::wire {

/// Where a unit's name comes from. Closed: switch over it without `default`.
enum class WwidSource : uint8_t {
    naa,            ///< Page 0x83, Network Address Authority: "3" and hexadecimal digits.
    eui_64,         ///< Page 0x83, EUI-64 based: "2" and hexadecimal digits.
    scsi_name,      ///< Page 0x83, SCSI name string: "3" (naa.), "2" (eui.) or "8" (iqn.).
    t10_vendor,     ///< Page 0x83, T10 vendor identification: "1" and words.
    before_spc3,    ///< Page 0x83 as it was before SPC-3, one bare name: "3" and digits.
    serial_number,  ///< Page 0x80 behind vendor and product: "S" and words.
};
inline constexpr unsigned wwid_sources = 6;

/// "naa", "eui-64", ...: for people.
std::string wwid_source_text(WwidSource source);

/// The name of a unit.
struct ScsiWwid {
    std::string text = {};  ///< Never empty; printable ASCII without blanks.
    WwidSource source = WwidSource::naa;
    /// What was passed over in the page, in one line; empty = nothing.
    std::string remark = {};
};

/// A device's answers to INQUIRY. Empty = not asked, or not answered. Owns nothing.
struct ScsiUnitPages {
    std::span<const std::byte> inquiry = {};
    std::span<const std::byte> identification = {};  ///< Page 0x83.
    std::span<const std::byte> serial_number = {};   ///< Page 0x80.
};

/// Who a unit is.
struct ScsiUnit {
    ScsiWwid wwid = {};
    std::string vendor = {};
    std::string product = {};
    std::string revision = {};
    std::string serial = {};  ///< Page 0x80; empty = not told.
};

/// The whole size of a vital product data page by its header: when more than what was received, ask
/// again with so much room before its name counts. 0 = there is no header.
size_t vpd_bytes_wanted(std::span<const std::byte> page);

/// The unit's name from page 0x83.
///
/// Only designators of the logical unit count. The order is NAA 6, NAA 5, NAA 2, EUI-64, SCSI name,
/// T10 vendor, NAA 3 (locally assigned; scsi_id has it before EUI-64); of equals the first. A
/// designator with a size that its type cannot have is passed over. Digits are in lower case; the
/// prefix of a SCSI name ("naa.", "eui.", "iqn.") gives way to the leading digit; runs of blanks in
/// a vendor's name become one underscore, those at its end nothing; bytes that are no printable
/// ASCII are written \xNN.
///
/// Two differences, both so that no two units get one name: a T10 name without anything behind the
/// vendor is passed over, and names are never cut (multipath-tools: 127 characters).
/// Errors:  another page, or cut inside its header; no designator that names the unit.
/// Source:  behaviour of multipath-tools 0.14 (libmultipath, VPD page 0x83) and scsi_id(8); formats
///          of SPC-4, 7.8.6.
Result<ScsiWwid> wwid_of_identification(std::span<const std::byte> page);

/// The unit's name from page 0x80: "S", vendor in 8 characters, product in 16, serial number, with
/// runs of blanks as one underscore. For devices without a name in page 0x83.
/// Errors:  standard inquiry data or page are cut or another page; no serial number in it.
/// Source:  scsi_id(8).
Result<ScsiWwid> wwid_of_serial_number(std::span<const std::byte> inquiry,
                                       std::span<const std::byte> page);

/// Reads all of it: page 0x83 first, then page 0x80.
/// Errors:  the standard inquiry data are short; neither page names the unit: one line with both
///          reasons.
Result<ScsiUnit> parse_unit(const ScsiUnitPages& pages);

}  // namespace braidway::wire
