// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_block_commands.h"

#include <algorithm>

#include "base/bytes.h"

namespace braidway::wire {
namespace {

using namespace scsi;

constexpr uint8_t unmap_bit = 0x08;
constexpr size_t luns_header_bytes = 8;
constexpr size_t lun_bytes = 8;

Cdb make(Opcode opcode, uint8_t size) {
    Cdb cdb;
    cdb.bytes[0] = std::byte{opcode};
    cdb.size = size;
    return cdb;
}

}  // namespace

Cdb synchronize_cache_10_cdb() {
    return make(op_synchronize_cache_10, 10);
}

Cdb synchronize_cache_16_cdb() {
    return make(op_synchronize_cache_16, 16);
}

Cdb unmap_cdb() {
    Cdb cdb = make(op_unmap, 10);
    store_big<uint16_t>(cdb.bytes.data() + 7, unmap_data_bytes);
    return cdb;
}

std::array<std::byte, unmap_data_bytes> unmap_data(const UnmapRange& range) {
    std::array<std::byte, unmap_data_bytes> data{};
    // Each length counts the bytes behind its own field.
    store_big<uint16_t>(data.data(), unmap_data_bytes - 2);
    store_big<uint16_t>(data.data() + 2, unmap_data_bytes - 8);
    store_big(data.data() + 8, range.lba);
    store_big(data.data() + 16, range.blocks);
    return data;
}

Cdb write_same_16_cdb(uint64_t lba, uint32_t blocks, bool unmap) {
    Cdb cdb = make(op_write_same_16, 16);
    cdb.bytes[1] = std::byte{unmap ? unmap_bit : uint8_t{0}};
    store_big(cdb.bytes.data() + 2, lba);
    store_big(cdb.bytes.data() + 10, blocks);
    return cdb;
}

Cdb report_luns_cdb(uint32_t data_bytes) {
    Cdb cdb = make(op_report_luns, 12);
    store_big(cdb.bytes.data() + 6, data_bytes);
    return cdb;
}

std::optional<std::vector<uint16_t>> parse_luns(std::span<const std::byte> data) {
    if (data.size() < luns_header_bytes) return std::nullopt;
    const size_t announced = load_big<uint32_t>(data.data());
    const size_t length = std::min(announced, data.size() - luns_header_bytes);
    std::vector<uint16_t> luns;
    for (size_t at = 0; at + lun_bytes <= length; at += lun_bytes) {
        const auto field = load_big<uint16_t>(data.data() + luns_header_bytes + at);
        const unsigned method = field >> 14;
        if (method == 0 && field < 0x100) luns.push_back(field);
        if (method == 1) luns.push_back(field & 0x3fff);
    }
    return luns;
}

}  // namespace braidway::wire
