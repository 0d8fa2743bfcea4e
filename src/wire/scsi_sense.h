// SPDX-License-Identifier: Apache-2.0
// Sense data: why a SCSI command ended with CHECK CONDITION.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "wire/scsi_protocol.h"

namespace braidway::wire {

/// Sense data as decoded, from the fixed or the descriptor format.
struct ScsiSense {
    uint8_t key = 0;   ///< scsi::SenseKey.
    uint8_t asc = 0;   ///< Additional sense code.
    uint8_t ascq = 0;  ///< Its qualifier.
    /// It is about an earlier command, whose end had been reported as good.
    bool deferred = false;
    std::optional<uint64_t> information = {};  ///< Often the first bad block.

    constexpr bool is(uint8_t a_key, uint8_t an_asc, uint8_t an_ascq) const {
        return key == a_key && asc == an_asc && ascq == an_ascq;
    }
    friend bool operator==(const ScsiSense&, const ScsiSense&) = default;
};

/// Decodes response codes 0x70 to 0x73. Nothing for others and for data too short to hold a key;
/// codes behind the end of the data are 0.
std::optional<ScsiSense> parse_sense(std::span<const std::byte> data);

/// Whether whoever answered may be another unit than before: inquiry data, identifier or the list
/// of units have changed, or there is no unit of that number any more. Ask who it is before
/// anything is written to it. Source:  SPC-4, additional sense codes 3F/03, 3F/05, 3F/0E and 25/00.
bool tells_of_another_unit(const ScsiSense& sense);

/// Builds the fixed format. Information beyond 32 bits is left out, as the standard says.
std::array<std::byte, scsi::fixed_sense_bytes> fixed_sense(const ScsiSense& sense);
/// Builds the descriptor format with one information descriptor, which is marked invalid when there
/// is no information.
std::array<std::byte, 20> descriptor_sense(const ScsiSense& sense);

/// "02/04/0a": key, code and qualifier in hexadecimal, as in logs and vendors' manuals.
std::string sense_text(const ScsiSense& sense);

}  // namespace braidway::wire
