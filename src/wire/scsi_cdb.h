// SPDX-License-Identifier: Apache-2.0
// SCSI commands: the bytes that ask, and what they ask.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "wire/scsi_protocol.h"

namespace braidway::wire {

/// One command descriptor block: the bytes of a command without its data.
struct Cdb {
    std::array<std::byte, scsi::cdb_bytes_max> bytes{};
    uint8_t size = 0;

    std::span<const std::byte> view() const { return {bytes.data(), size}; }
    uint8_t opcode() const { return std::to_integer<uint8_t>(bytes[0]); }
    friend bool operator==(const Cdb&, const Cdb&) = default;
};

// --- builders ----------------------------------------------------------------------------------
// `data_bytes` is the room for the answer, or the size of the data that go with the command.
Cdb test_unit_ready_cdb();
Cdb inquiry_cdb(uint16_t data_bytes);
Cdb vpd_cdb(uint8_t page, uint16_t data_bytes);
/// With `extended_header` the answer has the transition time in front.
Cdb report_port_groups_cdb(uint32_t data_bytes, bool extended_header);
Cdb set_port_groups_cdb(uint32_t data_bytes);
/// `page_format`: the data are pages as the standard lays them out. RDAC wants it clear.
Cdb mode_select_6_cdb(uint8_t data_bytes, bool page_format);
Cdb mode_select_10_cdb(uint16_t data_bytes, bool page_format);
Cdb mode_sense_6_cdb(uint8_t page, uint8_t subpage, uint8_t data_bytes);
Cdb mode_sense_10_cdb(uint8_t page, uint8_t subpage, uint16_t data_bytes);
Cdb start_stop_cdb(bool start);
Cdb read_10_cdb(uint32_t lba, uint16_t blocks);
Cdb write_10_cdb(uint32_t lba, uint16_t blocks, bool fua);
Cdb read_16_cdb(uint64_t lba, uint32_t blocks);
Cdb write_16_cdb(uint64_t lba, uint32_t blocks, bool fua);
Cdb read_capacity_10_cdb();
Cdb read_capacity_16_cdb();

/// Which command a CDB is. Closed: switch over it without `default`.
enum class ScsiOp : uint8_t {
    test_unit_ready,
    inquiry,
    vpd,  ///< INQUIRY of a vital product data page.
    mode_select,
    mode_sense,
    start_stop,
    read,
    write,
    read_capacity_10,
    read_capacity_16,
    report_port_groups,
    set_port_groups,
};

/// A command as a device reads it. Fields that the command does not have stay 0.
struct ScsiRequest {
    ScsiOp op = ScsiOp::test_unit_ready;
    uint8_t page = 0;
    uint8_t subpage = 0;
    bool ten = false;              ///< Mode commands: the data have the header of 8 bytes.
    bool page_format = false;      ///< MODE SELECT.
    bool extended_header = false;  ///< REPORT TARGET PORT GROUPS.
    bool start = false;            ///< START STOP UNIT.
    bool fua = false;              ///< WRITE.
    uint64_t lba = 0;
    uint32_t blocks = 0;
    uint32_t data_bytes = 0;  ///< Allocation or parameter list length.
};

/// Reads a command. Nothing when it is not one of ours or is cut short: a device answers INVALID
/// COMMAND OPERATION CODE.
std::optional<ScsiRequest> parse_cdb(std::span<const std::byte> cdb);

/// READ CAPACITY's answer.
struct ScsiCapacity {
    uint64_t last_lba = 0;
    uint32_t block_bytes = 0;
};
std::optional<ScsiCapacity> parse_capacity_10(std::span<const std::byte> data);
std::optional<ScsiCapacity> parse_capacity_16(std::span<const std::byte> data);
/// 8 bytes; a last_lba beyond 32 bits is shown as 0xffffffff, as the standard says.
std::array<std::byte, 8> capacity_10_data(const ScsiCapacity& capacity);
std::array<std::byte, 32> capacity_16_data(const ScsiCapacity& capacity);

/// "inquiry page 0xc9", "mode select", ...: for logs; "command 0x8f" for what is not ours.
std::string cdb_text(const Cdb& cdb);

}  // namespace braidway::wire
