// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_cdb.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.h"

namespace braidway::wire {
namespace {

using namespace scsi;

constexpr uint8_t service_action_mask = 0x1f;
constexpr uint8_t extended_header_bit = 0x20;
constexpr uint8_t vital_product_data_bit = 0x01;
constexpr uint8_t page_format_bit = 0x10;
constexpr uint8_t no_block_descriptors_bit = 0x08;
constexpr uint8_t start_bit = 0x01;
constexpr uint8_t fua_bit = 0x08;
constexpr uint8_t page_mask = 0x3f;

/// The size of a command follows from the upper three bits of its first byte.
size_t cdb_bytes(uint8_t opcode) {
    switch (opcode >> 5) {
        case 0:
            return 6;
        case 1:
        case 2:
            return 10;
        case 4:
            return 16;
        case 5:
            return 12;
        default:
            return 0;
    }
}

Cdb make(Opcode opcode, unsigned second = 0) {
    Cdb cdb;
    cdb.bytes[0] = std::byte{opcode};
    cdb.bytes[1] = static_cast<std::byte>(second);
    cdb.size = static_cast<uint8_t>(cdb_bytes(opcode));
    return cdb;
}

template <typename T>
void put(Cdb& cdb, size_t at, T value) {
    store_big<T>(cdb.bytes.data() + at, value);
}

}  // namespace

Cdb test_unit_ready_cdb() {
    return make(op_test_unit_ready);
}

Cdb inquiry_cdb(uint16_t data_bytes) {
    Cdb cdb = make(op_inquiry);
    put(cdb, 3, data_bytes);
    return cdb;
}

Cdb vpd_cdb(uint8_t page, uint16_t data_bytes) {
    Cdb cdb = make(op_inquiry, vital_product_data_bit);
    put(cdb, 2, page);
    put(cdb, 3, data_bytes);
    return cdb;
}

Cdb report_port_groups_cdb(uint32_t data_bytes, bool extended_header) {
    Cdb cdb =
        make(op_maintenance_in, action_port_groups | (extended_header ? extended_header_bit : 0u));
    put(cdb, 6, data_bytes);
    return cdb;
}

Cdb set_port_groups_cdb(uint32_t data_bytes) {
    Cdb cdb = make(op_maintenance_out, action_port_groups);
    put(cdb, 6, data_bytes);
    return cdb;
}

Cdb mode_select_6_cdb(uint8_t data_bytes, bool page_format) {
    Cdb cdb = make(op_mode_select_6, page_format ? page_format_bit : 0u);
    put(cdb, 4, data_bytes);
    return cdb;
}

Cdb mode_select_10_cdb(uint16_t data_bytes, bool page_format) {
    Cdb cdb = make(op_mode_select_10, page_format ? page_format_bit : 0u);
    put(cdb, 7, data_bytes);
    return cdb;
}

Cdb mode_sense_6_cdb(uint8_t page, uint8_t subpage, uint8_t data_bytes) {
    Cdb cdb = make(op_mode_sense_6, no_block_descriptors_bit);
    put<uint8_t>(cdb, 2, page & page_mask);
    put(cdb, 3, subpage);
    put(cdb, 4, data_bytes);
    return cdb;
}

Cdb mode_sense_10_cdb(uint8_t page, uint8_t subpage, uint16_t data_bytes) {
    Cdb cdb = make(op_mode_sense_10, no_block_descriptors_bit);
    put<uint8_t>(cdb, 2, page & page_mask);
    put(cdb, 3, subpage);
    put(cdb, 7, data_bytes);
    return cdb;
}

Cdb start_stop_cdb(bool start) {
    Cdb cdb = make(op_start_stop_unit);
    put<uint8_t>(cdb, 4, start ? start_bit : 0u);
    return cdb;
}

Cdb read_10_cdb(uint32_t lba, uint16_t blocks) {
    Cdb cdb = make(op_read_10);
    put(cdb, 2, lba);
    put(cdb, 7, blocks);
    return cdb;
}

Cdb write_10_cdb(uint32_t lba, uint16_t blocks, bool fua) {
    Cdb cdb = make(op_write_10, fua ? fua_bit : 0u);
    put(cdb, 2, lba);
    put(cdb, 7, blocks);
    return cdb;
}

Cdb read_16_cdb(uint64_t lba, uint32_t blocks) {
    Cdb cdb = make(op_read_16);
    put(cdb, 2, lba);
    put(cdb, 10, blocks);
    return cdb;
}

Cdb write_16_cdb(uint64_t lba, uint32_t blocks, bool fua) {
    Cdb cdb = make(op_write_16, fua ? fua_bit : 0u);
    put(cdb, 2, lba);
    put(cdb, 10, blocks);
    return cdb;
}

Cdb read_capacity_10_cdb() {
    return make(op_read_capacity_10);
}

Cdb read_capacity_16_cdb() {
    Cdb cdb = make(op_service_action_in_16, action_read_capacity_16);
    put<uint32_t>(cdb, 10, 32);
    return cdb;
}

namespace {

/// Commands of 6 bytes.
std::optional<ScsiRequest> parse_6(const std::byte* cdb, ScsiRequest request) {
    const auto second = std::to_integer<uint8_t>(cdb[1]);
    request.data_bytes = std::to_integer<uint8_t>(cdb[4]);
    switch (std::to_integer<uint8_t>(cdb[0])) {
        case op_test_unit_ready:
            request.op = ScsiOp::test_unit_ready;
            request.data_bytes = 0;
            return request;
        case op_inquiry:
            request.op = (second & vital_product_data_bit) != 0 ? ScsiOp::vpd : ScsiOp::inquiry;
            request.page = std::to_integer<uint8_t>(cdb[2]);
            request.data_bytes = load_big<uint16_t>(cdb + 3);
            return request;
        case op_mode_select_6:
            request.op = ScsiOp::mode_select;
            request.page_format = (second & page_format_bit) != 0;
            return request;
        case op_mode_sense_6:
            request.op = ScsiOp::mode_sense;
            request.page = std::to_integer<uint8_t>(cdb[2]) & page_mask;
            request.subpage = std::to_integer<uint8_t>(cdb[3]);
            return request;
        case op_start_stop_unit:
            request.op = ScsiOp::start_stop;
            request.start = (request.data_bytes & start_bit) != 0;
            request.data_bytes = 0;
            return request;
        default:
            return std::nullopt;
    }
}

/// Commands of 10 bytes.
std::optional<ScsiRequest> parse_10(const std::byte* cdb, ScsiRequest request) {
    const auto second = std::to_integer<uint8_t>(cdb[1]);
    const auto opcode = std::to_integer<uint8_t>(cdb[0]);
    switch (opcode) {
        case op_read_10:
        case op_write_10:
            request.op = opcode == op_read_10 ? ScsiOp::read : ScsiOp::write;
            request.fua = (second & fua_bit) != 0;
            request.lba = load_big<uint32_t>(cdb + 2);
            request.blocks = load_big<uint16_t>(cdb + 7);
            return request;
        case op_read_capacity_10:
            request.op = ScsiOp::read_capacity_10;
            return request;
        case op_mode_select_10:
            request.op = ScsiOp::mode_select;
            request.ten = true;
            request.page_format = (second & page_format_bit) != 0;
            request.data_bytes = load_big<uint16_t>(cdb + 7);
            return request;
        case op_mode_sense_10:
            request.op = ScsiOp::mode_sense;
            request.ten = true;
            request.page = std::to_integer<uint8_t>(cdb[2]) & page_mask;
            request.subpage = std::to_integer<uint8_t>(cdb[3]);
            request.data_bytes = load_big<uint16_t>(cdb + 7);
            return request;
        default:
            return std::nullopt;
    }
}

/// Commands of 12 and 16 bytes.
std::optional<ScsiRequest> parse_long(const std::byte* cdb, ScsiRequest request) {
    const auto second = std::to_integer<uint8_t>(cdb[1]);
    const auto opcode = std::to_integer<uint8_t>(cdb[0]);
    switch (opcode) {
        case op_read_16:
        case op_write_16:
            request.op = opcode == op_read_16 ? ScsiOp::read : ScsiOp::write;
            request.fua = (second & fua_bit) != 0;
            request.lba = load_big<uint64_t>(cdb + 2);
            request.blocks = load_big<uint32_t>(cdb + 10);
            return request;
        case op_service_action_in_16:
            if ((second & service_action_mask) != action_read_capacity_16) return std::nullopt;
            request.op = ScsiOp::read_capacity_16;
            request.data_bytes = load_big<uint32_t>(cdb + 10);
            return request;
        case op_maintenance_in:
        case op_maintenance_out:
            if ((second & service_action_mask) != action_port_groups) return std::nullopt;
            request.op =
                opcode == op_maintenance_in ? ScsiOp::report_port_groups : ScsiOp::set_port_groups;
            request.extended_header =
                opcode == op_maintenance_in && (second & extended_header_bit) != 0;
            request.data_bytes = load_big<uint32_t>(cdb + 6);
            return request;
        default:
            return std::nullopt;
    }
}

}  // namespace

std::optional<ScsiRequest> parse_cdb(std::span<const std::byte> cdb) {
    if (cdb.empty()) return std::nullopt;
    const size_t bytes = cdb_bytes(byte_at(cdb, 0));
    if (bytes == 0 || cdb.size() < bytes) return std::nullopt;
    if (bytes == 6) return parse_6(cdb.data(), {});
    if (bytes == 10) return parse_10(cdb.data(), {});
    return parse_long(cdb.data(), {});
}

std::optional<ScsiCapacity> parse_capacity_10(std::span<const std::byte> data) {
    if (data.size() < 8) return std::nullopt;
    return ScsiCapacity{load_big<uint32_t>(data.data()), load_big<uint32_t>(data.data() + 4)};
}

std::optional<ScsiCapacity> parse_capacity_16(std::span<const std::byte> data) {
    if (data.size() < 12) return std::nullopt;
    return ScsiCapacity{load_big<uint64_t>(data.data()), load_big<uint32_t>(data.data() + 8)};
}

std::array<std::byte, 8> capacity_10_data(const ScsiCapacity& capacity) {
    std::array<std::byte, 8> data{};
    const uint64_t last = std::min<uint64_t>(capacity.last_lba, UINT32_MAX);
    store_big(data.data(), static_cast<uint32_t>(last));
    store_big(data.data() + 4, capacity.block_bytes);
    return data;
}

std::array<std::byte, 32> capacity_16_data(const ScsiCapacity& capacity) {
    std::array<std::byte, 32> data{};
    store_big(data.data(), capacity.last_lba);
    store_big(data.data() + 8, capacity.block_bytes);
    return data;
}

std::string cdb_text(const Cdb& cdb) {
    static constexpr std::array<std::string_view, 12> names{
        "test unit ready",    "inquiry",        "inquiry page", "mode select",   "mode sense",
        "start stop unit",    "read",           "write",        "read capacity", "read capacity 16",
        "report port groups", "set port groups"};
    const std::optional<ScsiRequest> request = parse_cdb(cdb.view());
    if (!request) return fmt::format("command {:#04x}", cdb.opcode());
    const std::string_view name = names[static_cast<size_t>(request->op)];
    if (request->op == ScsiOp::vpd) return fmt::format("{} {:#04x}", name, request->page);
    return std::string(name);
}

}  // namespace braidway::wire
