// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_inquiry.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"

namespace braidway::wire {
namespace {

using namespace scsi;

constexpr size_t designator_header_bytes = 4;
constexpr size_t port_designator_bytes = 4;
constexpr uint8_t code_set_binary = 1;

std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        const char letter = static_cast<char>(byte);
        text.push_back(letter >= ' ' && letter <= '~' ? letter : '?');
    }
    // Some devices pad with zero bytes instead of blanks.
    const auto is_padding = [&](size_t at) { return text[at] == ' ' || bytes[at] == std::byte{0}; };
    size_t end = text.size();
    while (end > 0 && is_padding(end - 1)) --end;
    size_t begin = 0;
    while (begin < end && is_padding(begin)) ++begin;
    return text.substr(begin, end - begin);
}

void put_text(std::byte* to, size_t bytes, const std::string& text) {
    for (size_t at = 0; at < bytes; ++at)
        to[at] = at < text.size() ? static_cast<std::byte>(text[at]) : std::byte{' '};
}

/// How much a designator's type is worth as the name of a logical unit; 0 = nothing.
unsigned worth(uint8_t type) {
    switch (type) {
        case ScsiDesignator::naa:
            return 6;
        case ScsiDesignator::uuid:
            return 5;
        case ScsiDesignator::eui_64:
            return 4;
        case ScsiDesignator::scsi_name:
            return 3;
        case ScsiDesignator::t10_vendor:
            return 2;
        case ScsiDesignator::vendor_specific:
            return 1;
        default:
            return 0;
    }
}

/// Ports and groups are numbered in the last two of four bytes.
std::optional<uint16_t> port_number(const ScsiDesignator& designator) {
    if (designator.name.size() < port_designator_bytes) return std::nullopt;
    return load_big<uint16_t>(designator.name.data() + 2);
}

}  // namespace

std::optional<ScsiInquiry> parse_inquiry(std::span<const std::byte> data) {
    if (data.size() < standard_inquiry_bytes) return std::nullopt;
    ScsiInquiry inquiry;
    inquiry.qualifier = static_cast<uint8_t>(byte_at(data, 0) >> 5);
    inquiry.device_type = byte_at(data, 0) & 0x1f;
    inquiry.tpgs = (byte_at(data, 5) >> 4) & 3;
    inquiry.vendor = text_of(data.subspan(8, 8));
    inquiry.product = text_of(data.subspan(16, 16));
    inquiry.revision = text_of(data.subspan(32, 4));
    return inquiry;
}

std::vector<std::byte> inquiry_data(const ScsiInquiry& inquiry) {
    std::vector<std::byte> data(standard_inquiry_bytes);
    data[0] = static_cast<std::byte>(inquiry.qualifier << 5 | inquiry.device_type);
    data[2] = std::byte{6};  // SPC-4
    data[3] = std::byte{2};  // The response format of today.
    data[4] = static_cast<std::byte>(standard_inquiry_bytes - 5);
    data[5] = static_cast<std::byte>((inquiry.tpgs & 3) << 4);
    put_text(data.data() + 8, 8, inquiry.vendor);
    put_text(data.data() + 16, 16, inquiry.product);
    put_text(data.data() + 32, 4, inquiry.revision);
    return data;
}

std::optional<std::span<const std::byte>> vpd_contents(std::span<const std::byte> data,
                                                       uint8_t page) {
    if (data.size() < vpd_header_bytes || byte_at(data, 1) != page) return std::nullopt;
    const size_t length = load_big<uint16_t>(data.data() + 2);
    data = data.subspan(vpd_header_bytes);
    return data.first(std::min(length, data.size()));
}

std::vector<std::byte> vpd_data(uint8_t page, std::span<const std::byte> contents) {
    CHECK(contents.size() <= UINT16_MAX, "a page's length is told in 16 bits");
    std::vector<std::byte> data(vpd_header_bytes + contents.size());
    data[1] = std::byte{page};
    store_big(data.data() + 2, static_cast<uint16_t>(contents.size()));
    std::ranges::copy(contents, data.begin() + vpd_header_bytes);
    return data;
}

std::optional<std::string> parse_serial_number(std::span<const std::byte> data) {
    const auto contents = vpd_contents(data, page_serial_number);
    if (!contents) return std::nullopt;
    return text_of(*contents);
}

std::optional<std::vector<ScsiDesignator>> parse_designators(std::span<const std::byte> data) {
    auto left = vpd_contents(data, page_device_identification);
    if (!left) return std::nullopt;
    std::vector<ScsiDesignator> designators;
    while (left->size() >= designator_header_bytes) {
        const size_t bytes = byte_at(*left, 3);
        if (left->size() - designator_header_bytes < bytes) break;
        ScsiDesignator designator;
        designator.text = (byte_at(*left, 0) & 0x0f) != code_set_binary;
        designator.association = (byte_at(*left, 1) >> 4) & 3;
        designator.type = byte_at(*left, 1) & 0x0f;
        const auto name = left->subspan(designator_header_bytes, bytes);
        designator.name.assign(name.begin(), name.end());
        designators.push_back(std::move(designator));
        *left = left->subspan(designator_header_bytes + bytes);
    }
    return designators;
}

std::vector<std::byte> designator_data(std::span<const ScsiDesignator> designators) {
    std::vector<std::byte> contents;
    for (const ScsiDesignator& designator : designators) {
        CHECK(designator.name.size() <= UINT8_MAX, "a designator's length is told in 8 bits");
        contents.push_back(std::byte{designator.text ? uint8_t{2} : code_set_binary});
        contents.push_back(
            static_cast<std::byte>((designator.association & 3) << 4 | (designator.type & 0x0f)));
        contents.push_back(std::byte{0});
        contents.push_back(static_cast<std::byte>(designator.name.size()));
        contents.insert(contents.end(), designator.name.begin(), designator.name.end());
    }
    return vpd_data(page_device_identification, contents);
}

std::optional<ScsiIdentity> parse_identity(std::span<const std::byte> data) {
    const auto designators = parse_designators(data);
    if (!designators) return std::nullopt;
    ScsiIdentity identity;
    unsigned best = 0;
    for (const ScsiDesignator& designator : *designators) {
        if (designator.association == ScsiDesignator::target_port) {
            if (designator.type == ScsiDesignator::relative_port && !identity.relative_port)
                identity.relative_port = port_number(designator);
            if (designator.type == ScsiDesignator::port_group && !identity.port_group)
                identity.port_group = port_number(designator);
        }
        if (designator.association != ScsiDesignator::logical_unit || designator.name.empty())
            continue;
        const unsigned value =
            worth(designator.type) * 256 + static_cast<unsigned>(designator.name.size());
        if (worth(designator.type) == 0 || value <= best) continue;
        best = value;
        identity.unit_id.assign(1, std::byte{designator.type});
        identity.unit_id.insert(identity.unit_id.end(), designator.name.begin(),
                                designator.name.end());
    }
    return identity;
}

}  // namespace braidway::wire
