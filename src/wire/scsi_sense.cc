// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_sense.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"

namespace braidway::wire {
namespace {

using namespace scsi;

constexpr uint8_t fixed_current = 0x70;
constexpr uint8_t fixed_deferred = 0x71;
constexpr uint8_t descriptor_current = 0x72;
constexpr uint8_t descriptor_deferred = 0x73;
constexpr uint8_t valid_bit = 0x80;
constexpr size_t sense_header_bytes = 8;
constexpr size_t information_bytes = 12;  // Of the information descriptor.
constexpr uint8_t information_type = 0x00;

/// The part of `data` that its own additional length says is there.
std::span<const std::byte> within_length(std::span<const std::byte> data) {
    if (data.size() < sense_header_bytes) return data;
    return data.first(std::min(data.size(), sense_header_bytes + byte_at(data, 7)));
}

ScsiSense parse_fixed(std::span<const std::byte> data) {
    ScsiSense sense;
    data = within_length(data);
    sense.key = byte_at(data, 2) & 0x0f;
    sense.asc = byte_at(data, 12);
    sense.ascq = byte_at(data, 13);
    if ((byte_at(data, 0) & valid_bit) != 0 && data.size() >= sense_header_bytes)
        sense.information = load_big<uint32_t>(data.data() + 3);
    return sense;
}

ScsiSense parse_descriptors(std::span<const std::byte> data) {
    ScsiSense sense;
    sense.key = byte_at(data, 1) & 0x0f;
    sense.asc = byte_at(data, 2);
    sense.ascq = byte_at(data, 3);
    data = within_length(data);
    size_t at = sense_header_bytes;
    while (at + 2 <= data.size()) {
        const size_t bytes = size_t{byte_at(data, at + 1)} + 2;
        if (byte_at(data, at) == information_type && bytes >= information_bytes &&
            at + information_bytes <= data.size() && (byte_at(data, at + 2) & valid_bit) != 0)
            sense.information = load_big<uint64_t>(data.data() + at + 4);
        at += bytes;
    }
    return sense;
}

}  // namespace

std::optional<ScsiSense> parse_sense(std::span<const std::byte> data) {
    const uint8_t code = byte_at(data, 0) & 0x7f;
    const bool fixed = code == fixed_current || code == fixed_deferred;
    const bool descriptors = code == descriptor_current || code == descriptor_deferred;
    if (!(fixed && data.size() >= 3) && !(descriptors && data.size() >= 2)) return std::nullopt;
    ScsiSense sense = fixed ? parse_fixed(data) : parse_descriptors(data);
    sense.deferred = code == fixed_deferred || code == descriptor_deferred;
    return sense;
}

bool tells_of_another_unit(const ScsiSense& sense) {
    if (sense.key == key_unit_attention && sense.asc == 0x3f)
        return sense.ascq == 0x03 || sense.ascq == 0x05 || sense.ascq == 0x0e;
    return sense.is(key_illegal_request, 0x25, 0x00);
}

std::array<std::byte, fixed_sense_bytes> fixed_sense(const ScsiSense& sense) {
    std::array<std::byte, fixed_sense_bytes> data{};
    const bool fits = sense.information && *sense.information <= UINT32_MAX;
    data[0] = static_cast<std::byte>((sense.deferred ? fixed_deferred : fixed_current) |
                                     (fits ? valid_bit : 0));
    data[2] = static_cast<std::byte>(sense.key & 0x0f);
    if (fits) store_big(data.data() + 3, static_cast<uint32_t>(*sense.information));
    data[7] = static_cast<std::byte>(data.size() - sense_header_bytes);
    data[12] = std::byte{sense.asc};
    data[13] = std::byte{sense.ascq};
    return data;
}

std::array<std::byte, 20> descriptor_sense(const ScsiSense& sense) {
    std::array<std::byte, 20> data{};
    data[0] = std::byte{sense.deferred ? descriptor_deferred : descriptor_current};
    data[1] = static_cast<std::byte>(sense.key & 0x0f);
    data[2] = std::byte{sense.asc};
    data[3] = std::byte{sense.ascq};
    data[7] = static_cast<std::byte>(information_bytes);
    data[8] = std::byte{information_type};
    data[9] = static_cast<std::byte>(information_bytes - 2);
    if (sense.information) {
        data[10] = std::byte{valid_bit};
        store_big(data.data() + 12, *sense.information);
    }
    return data;
}

std::string sense_text(const ScsiSense& sense) {
    return fmt::format("{:02x}/{:02x}/{:02x}", sense.key, sense.asc, sense.ascq);
}

}  // namespace braidway::wire
