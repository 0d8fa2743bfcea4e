// SPDX-License-Identifier: Apache-2.0
// The numbers of SCSI, by the names its standards give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace braidway::wire::scsi {

// --- sizes -------------------------------------------------------------------------------------
inline constexpr size_t cdb_bytes_max = 16;
inline constexpr size_t standard_inquiry_bytes = 36;  ///< What every device answers.
inline constexpr size_t inquiry_bytes_max = 252;      ///< What is asked of a page by old arrays.
inline constexpr size_t fixed_sense_bytes = 18;
inline constexpr size_t vpd_header_bytes = 4;

/// First byte of a command.
enum Opcode : uint8_t {
    op_test_unit_ready = 0x00,
    op_inquiry = 0x12,
    op_mode_select_6 = 0x15,
    op_mode_sense_6 = 0x1a,
    op_start_stop_unit = 0x1b,
    op_read_capacity_10 = 0x25,
    op_read_10 = 0x28,
    op_write_10 = 0x2a,
    op_synchronize_cache_10 = 0x35,
    op_unmap = 0x42,
    op_mode_select_10 = 0x55,
    op_mode_sense_10 = 0x5a,
    op_read_16 = 0x88,
    op_write_16 = 0x8a,
    op_synchronize_cache_16 = 0x91,
    op_write_same_16 = 0x93,
    op_service_action_in_16 = 0x9e,
    op_report_luns = 0xa0,
    op_maintenance_in = 0xa3,
    op_maintenance_out = 0xa4,
};

inline constexpr uint8_t action_read_capacity_16 = 0x10;
inline constexpr uint8_t action_port_groups = 0x0a;  ///< REPORT and SET TARGET PORT GROUPS.

/// The byte with which a command ends.
enum Status : uint8_t {
    status_good = 0x00,
    status_check_condition = 0x02,
    status_condition_met = 0x04,
    status_busy = 0x08,
    status_reservation_conflict = 0x18,
    status_task_set_full = 0x28,
    status_aca_active = 0x30,
    status_task_aborted = 0x40,
};

/// What a CHECK CONDITION is about.
enum SenseKey : uint8_t {
    key_no_sense = 0x0,
    key_recovered_error = 0x1,
    key_not_ready = 0x2,
    key_medium_error = 0x3,
    key_hardware_error = 0x4,
    key_illegal_request = 0x5,
    key_unit_attention = 0x6,
    key_data_protect = 0x7,
    key_blank_check = 0x8,
    key_vendor_specific = 0x9,
    key_copy_aborted = 0xa,
    key_aborted_command = 0xb,
    key_volume_overflow = 0xd,
    key_miscompare = 0xe,
    key_completed = 0xf,
};

// --- inquiry pages -----------------------------------------------------------------------------
inline constexpr uint8_t page_supported = 0x00;
inline constexpr uint8_t page_serial_number = 0x80;
inline constexpr uint8_t page_device_identification = 0x83;
inline constexpr uint8_t page_block_limits = 0xb0;
inline constexpr uint8_t page_characteristics = 0xb1;
inline constexpr uint8_t page_provisioning = 0xb2;
inline constexpr uint8_t page_clariion = 0xc0;
inline constexpr uint8_t page_rdac_software = 0xc2;
inline constexpr uint8_t page_rdac_subsystem = 0xc4;
inline constexpr uint8_t page_rdac_volume = 0xc8;
inline constexpr uint8_t page_rdac_access = 0xc9;

// --- mode pages --------------------------------------------------------------------------------
inline constexpr uint8_t mode_trespass = 0x22;
inline constexpr uint8_t mode_redundant_controller = 0x2c;
inline constexpr uint8_t mode_has_subpage = 0x40;  ///< In the first byte of a page: long format.
inline constexpr size_t mode_header_6_bytes = 4;
inline constexpr size_t mode_header_10_bytes = 8;

// --- target port groups in inquiry data --------------------------------------------------------
inline constexpr uint8_t tpgs_implicit = 1;
inline constexpr uint8_t tpgs_explicit = 2;

/// Asymmetric access state of a target port group. A device may report numbers without a name.
enum PortGroupState : uint8_t {
    group_optimized = 0x0,
    group_non_optimized = 0x1,
    group_standby = 0x2,
    group_unavailable = 0x3,
    group_lba_dependent = 0x4,
    group_offline = 0xe,
    group_transitioning = 0xf,
};

/// Which states a target port group says it can have.
enum PortGroupSupport : uint8_t {
    supports_optimized = 0x01,
    supports_non_optimized = 0x02,
    supports_standby = 0x04,
    supports_unavailable = 0x08,
    supports_lba_dependent = 0x10,
    supports_offline = 0x40,
    supports_transitioning = 0x80,
};

/// The byte at `at`, or 0 behind the end: SCSI devices may send less than they were asked for.
inline uint8_t byte_at(std::span<const std::byte> bytes, size_t at) {
    return at < bytes.size() ? std::to_integer<uint8_t>(bytes[at]) : uint8_t{0};
}

}  // namespace braidway::wire::scsi
