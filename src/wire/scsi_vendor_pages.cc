// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_vendor_pages.h"

#include <algorithm>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "wire/scsi_inquiry.h"

namespace braidway::wire {
namespace {

using namespace scsi;

// --- CLARiiON: places in page 0xC0 and in long standard inquiry data ---
constexpr size_t clariion_failover_at = 28;
constexpr size_t clariion_upgrading_at = 48;
constexpr size_t clariion_inquiry_bytes_min = 160;
constexpr size_t clariion_model_length_at = 99;
constexpr size_t clariion_serial_length_at = 160;

constexpr uint8_t trespass_code = 0x01;
constexpr uint8_t ignore_reservations = 0x80;
constexpr uint8_t short_trespass_length = 2;
constexpr uint8_t long_trespass_length = 9;

// --- RDAC: places in the pages, header included ---
constexpr size_t access_flags_at = 8;
constexpr size_t access_bytes = 48;
constexpr size_t access_bytes_min = 10;
constexpr size_t volume_id_length_at = 11;
constexpr size_t array_id_length_at = 89;
constexpr size_t array_label_length_at = 106;
constexpr size_t label_bytes = 60;
constexpr size_t id_bytes = 16;
constexpr size_t volume_lun_at = 174;
constexpr size_t volume_bytes = 175;
constexpr size_t subsystem_slot_at = 28;
constexpr size_t subsystem_bytes = 32;
constexpr size_t software_luns_at = 15;
constexpr size_t software_bytes = 255;

// --- RDAC: the redundant-controller page, from its first byte ---
constexpr size_t transfer_common_bytes = 38;
constexpr size_t transfer_mode_at = 33;  // From the start of what both forms share.
constexpr size_t transfer_quiescence_at = 36;
constexpr size_t transfer_options_at = 37;
constexpr uint8_t transfer_specified_luns = 0x02;
constexpr uint8_t quiescence_time = 20;
constexpr uint8_t forced_quiescence = 0x02;
constexpr uint8_t lun_to_this_controller = 0x81;
constexpr size_t normal_page_length = 0x68;
constexpr size_t expanded_page_length = 0x128;
constexpr uint8_t expanded_subpage = 1;

/// A page of an RDAC array with its name of four letters, or nothing.
std::optional<std::span<const std::byte>> named_page(std::span<const std::byte> data, uint8_t page,
                                                     std::string_view name, size_t bytes_min) {
    const auto contents = vpd_contents(data, page);
    if (!contents || contents->size() + vpd_header_bytes < bytes_min) return std::nullopt;
    for (size_t at = 0; at < name.size(); ++at)
        if ((*contents)[at] != static_cast<std::byte>(name[at])) return std::nullopt;
    return data.first(vpd_header_bytes + contents->size());
}

std::vector<std::byte> new_named_page(uint8_t page, std::string_view name, size_t bytes) {
    std::vector<std::byte> data(bytes);
    data[1] = std::byte{page};
    store_big(data.data() + 2, static_cast<uint16_t>(bytes - vpd_header_bytes));
    for (size_t at = 0; at < name.size(); ++at)
        data[vpd_header_bytes + at] = static_cast<std::byte>(name[at]);
    return data;
}

std::vector<std::byte> id_of(std::span<const std::byte> data, size_t length_at) {
    const auto id =
        data.subspan(length_at + 1, std::min<size_t>(byte_at(data, length_at), id_bytes));
    return {id.begin(), id.end()};
}

void put_id(std::vector<std::byte>& data, size_t length_at, const std::vector<std::byte>& id) {
    const size_t bytes = std::min(id.size(), id_bytes);
    data[length_at] = static_cast<std::byte>(bytes);
    std::copy_n(id.begin(), bytes, data.begin() + static_cast<std::ptrdiff_t>(length_at + 1));
}

/// Where the page starts behind mode header and block descriptors; nothing when it is not there.
std::optional<std::span<const std::byte>> behind_mode_header(std::span<const std::byte> data,
                                                             bool ten) {
    const size_t header = ten ? mode_header_10_bytes : mode_header_6_bytes;
    if (data.size() < header) return std::nullopt;
    const size_t descriptors = ten ? load_big<uint16_t>(data.data() + 6) : byte_at(data, 3);
    if (data.size() - header < descriptors) return std::nullopt;
    return data.subspan(header + descriptors);
}

}  // namespace

std::optional<ClariionUnit> parse_clariion_unit(std::span<const std::byte> data) {
    const auto contents = vpd_contents(data, page_clariion);
    if (!contents || contents->size() + vpd_header_bytes <= clariion_failover_at)
        return std::nullopt;
    data = data.first(vpd_header_bytes + contents->size());
    ClariionUnit unit;
    unit.unit_state = byte_at(data, 4);
    unit.default_sp = byte_at(data, 5);
    unit.port = byte_at(data, 7);
    unit.current_sp = byte_at(data, 8);
    std::copy_n(data.begin() + 10, unit.wwn.size(), unit.wwn.begin());
    unit.initiator_type = byte_at(data, 27);
    unit.failover_mode = byte_at(data, clariion_failover_at) & 0x0f;
    unit.array_comm_path = (byte_at(data, 30) & 0x04) != 0;
    unit.upgrading = byte_at(data, clariion_upgrading_at) != 0;
    return unit;
}

std::vector<std::byte> clariion_unit_data(const ClariionUnit& unit) {
    std::vector<std::byte> contents(clariion_page_bytes - vpd_header_bytes);
    const auto put = [&contents](size_t at, uint8_t value) {
        contents[at - vpd_header_bytes] = std::byte{value};
    };
    put(4, unit.unit_state);
    put(5, unit.default_sp);
    put(7, unit.port);
    put(8, unit.current_sp);
    std::ranges::copy(unit.wwn, contents.begin() + (10 - vpd_header_bytes));
    put(27, unit.initiator_type);
    put(clariion_failover_at, unit.failover_mode);
    put(30, unit.array_comm_path ? 0x04 : 0);
    put(clariion_upgrading_at, unit.upgrading ? 1 : 0);
    return vpd_data(page_clariion, contents);
}

std::optional<std::string> parse_clariion_model(std::span<const std::byte> inquiry) {
    const size_t told = size_t{byte_at(inquiry, 4)} + 5;
    if (told < clariion_inquiry_bytes_min) return std::string();
    const size_t length = std::min(told, inquiry.size());
    if (length <= clariion_serial_length_at) return std::nullopt;
    const size_t serial = byte_at(inquiry, clariion_serial_length_at);
    const size_t model = byte_at(inquiry, clariion_model_length_at);
    const size_t at = clariion_serial_length_at + 1 + serial;
    if (serial == 0 || model == 0 || at + model > length) return std::nullopt;
    std::string text;
    for (const std::byte byte : inquiry.subspan(at, model)) {
        const char letter = static_cast<char>(byte);
        text.push_back(letter >= ' ' && letter <= '~' ? letter : ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

void append_clariion_model(std::vector<std::byte>& inquiry, const std::string& serial,
                           const std::string& model) {
    CHECK(inquiry.size() == standard_inquiry_bytes, "the model goes behind the short data");
    inquiry.resize(clariion_serial_length_at + 1 + serial.size() + model.size());
    CHECK(inquiry.size() - 5 <= UINT8_MAX, "inquiry data tell their length in 8 bits");
    inquiry[4] = static_cast<std::byte>(inquiry.size() - 5);
    inquiry[clariion_model_length_at] = static_cast<std::byte>(model.size());
    inquiry[clariion_serial_length_at] = static_cast<std::byte>(serial.size());
    auto to = inquiry.begin() + static_cast<std::ptrdiff_t>(clariion_serial_length_at + 1);
    for (const std::string& text : {serial, model})
        for (const char letter : text) *to++ = static_cast<std::byte>(letter);
}

std::vector<std::byte> trespass_data(const ClariionTrespass& trespass) {
    const size_t header = trespass.short_page ? mode_header_6_bytes : mode_header_10_bytes;
    const uint8_t length = trespass.short_page ? short_trespass_length : long_trespass_length;
    std::vector<std::byte> data(header + 2 + length);
    data[header] = std::byte{mode_trespass};
    data[header + 1] = std::byte{length};
    data[header + 2] = static_cast<std::byte>(
        trespass_code | (trespass.honor_reservations ? 0 : ignore_reservations));
    data[header + 3] = std::byte{0xff};  // To the SP that gets this.
    if (!trespass.short_page) data[header + 4] = std::byte{0xff};
    return data;
}

std::optional<ClariionTrespass> parse_trespass(std::span<const std::byte> data, bool ten) {
    const auto page = behind_mode_header(data, ten);
    if (!page || byte_at(*page, 0) != mode_trespass) return std::nullopt;
    const uint8_t length = byte_at(*page, 1);
    const bool known = length == short_trespass_length || length == long_trespass_length;
    if (!known || page->size() < size_t{length} + 2) return std::nullopt;
    const uint8_t code = byte_at(*page, 2);
    if ((code & ~ignore_reservations) != trespass_code) return std::nullopt;
    return ClariionTrespass{length == short_trespass_length, (code & ignore_reservations) == 0};
}

std::optional<RdacAccess> parse_rdac_access(std::span<const std::byte> data) {
    const auto page = named_page(data, page_rdac_access, "vace", access_bytes_min);
    if (!page) return std::nullopt;
    const uint8_t flags = byte_at(*page, access_flags_at);
    RdacAccess access;
    if ((flags & 0x20) != 0)
        access.mode = RdacAccess::Mode::ioship;
    else if ((flags & 0x80) != 0)
        access.mode = RdacAccess::Mode::avt;
    access.owned = (flags & 0x01) != 0;
    access.preferred = (byte_at(*page, access_flags_at + 1) & 0x01) != 0;
    access.connected = (byte_at(*page, 0) & 0x7f) == 0;
    if ((flags & 0x10) != 0) {
        access.state = byte_at(*page, 10) & 0x0f;
        access.reason = byte_at(*page, 11);
        access.other_state = byte_at(*page, 12) & 0x0f;
    }
    return access;
}

std::vector<std::byte> rdac_access_data(const RdacAccess& access) {
    std::vector<std::byte> data = new_named_page(page_rdac_access, "vace", access_bytes);
    data[0] = std::byte{access.connected ? uint8_t{0} : uint8_t{0x20}};
    unsigned flags = access.owned ? 0x01u : 0u;
    if (access.mode == RdacAccess::Mode::ioship) flags |= 0x20u;
    if (access.mode == RdacAccess::Mode::avt) flags |= 0x80u;
    if (access.state) flags |= 0x10u;
    data[access_flags_at] = static_cast<std::byte>(flags);
    data[access_flags_at + 1] = std::byte{access.preferred ? uint8_t{1} : uint8_t{0}};
    data[10] = std::byte{access.state.value_or(0)};
    data[11] = std::byte{access.reason};
    data[12] = std::byte{access.other_state};
    return data;
}

std::optional<RdacVolume> parse_rdac_volume(std::span<const std::byte> data) {
    const auto page = named_page(data, page_rdac_volume, "edid", volume_bytes);
    if (!page) return std::nullopt;
    RdacVolume volume;
    volume.lun = byte_at(*page, volume_lun_at);
    volume.volume_id = id_of(*page, volume_id_length_at);
    volume.array_id = id_of(*page, array_id_length_at);
    const size_t label = std::min<size_t>(byte_at(*page, array_label_length_at), label_bytes);
    for (size_t at = 0; at + 1 < label; at += 2) {
        const auto letter = load_big<uint16_t>(page->data() + array_label_length_at + 1 + at);
        if (letter == 0) break;
        volume.array_label.push_back(letter >= ' ' && letter <= '~' ? static_cast<char>(letter)
                                                                    : '?');
    }
    return volume;
}

std::vector<std::byte> rdac_volume_data(const RdacVolume& volume) {
    std::vector<std::byte> data = new_named_page(page_rdac_volume, "edid", volume_bytes);
    put_id(data, volume_id_length_at, volume.volume_id);
    put_id(data, array_id_length_at, volume.array_id);
    const size_t letters = std::min(volume.array_label.size(), label_bytes / 2);
    data[array_label_length_at] = static_cast<std::byte>(letters * 2);
    for (size_t at = 0; at < letters; ++at)
        data[array_label_length_at + 2 + at * 2] = static_cast<std::byte>(volume.array_label[at]);
    data[volume_lun_at] = std::byte{volume.lun};
    return data;
}

std::optional<RdacSubsystem> parse_rdac_subsystem(std::span<const std::byte> data) {
    const auto page = named_page(data, page_rdac_subsystem, "subs", subsystem_slot_at + 2);
    if (!page) return std::nullopt;
    RdacSubsystem subsystem;
    std::copy_n(page->begin() + 8, subsystem.id.size(), subsystem.id.begin());
    std::copy_n(page->begin() + subsystem_slot_at, subsystem.slot.size(), subsystem.slot.begin());
    return subsystem;
}

std::vector<std::byte> rdac_subsystem_data(const RdacSubsystem& subsystem) {
    std::vector<std::byte> data = new_named_page(page_rdac_subsystem, "subs", subsystem_bytes);
    std::ranges::copy(subsystem.id, data.begin() + 8);
    std::ranges::copy(subsystem.slot, data.begin() + subsystem_slot_at);
    return data;
}

std::optional<RdacSoftware> parse_rdac_software(std::span<const std::byte> data) {
    const auto page = named_page(data, page_rdac_software, "swr4", software_luns_at + 1);
    if (!page) return std::nullopt;
    return RdacSoftware{byte_at(*page, software_luns_at)};
}

std::vector<std::byte> rdac_software_data(const RdacSoftware& software) {
    std::vector<std::byte> data = new_named_page(page_rdac_software, "swr4", software_bytes);
    data[software_luns_at] = std::byte{software.luns_max};
    return data;
}

std::vector<std::byte> rdac_transfer_data(const RdacTransfer& transfer) {
    const size_t mode_header = transfer.expanded ? mode_header_10_bytes : mode_header_6_bytes;
    const size_t page_header = transfer.expanded ? 4 : 2;
    const size_t length = transfer.expanded ? expanded_page_length : normal_page_length;
    const size_t common = mode_header + page_header;
    std::vector<std::byte> data(common + length);
    if (transfer.expanded) {
        data[mode_header] = std::byte{mode_redundant_controller | mode_has_subpage};
        data[mode_header + 1] = std::byte{expanded_subpage};
        store_big(data.data() + mode_header + 2, static_cast<uint16_t>(length));
    } else {
        data[mode_header] = std::byte{mode_redundant_controller};
        data[mode_header + 1] = static_cast<std::byte>(length);
    }
    data[common + transfer_mode_at] = std::byte{transfer_specified_luns};
    data[common + transfer_quiescence_at] = std::byte{quiescence_time};
    data[common + transfer_options_at] = std::byte{forced_quiescence};
    for (const uint8_t lun : transfer.luns) {
        CHECK(transfer.expanded || lun < RdacTransfer::normal_luns,
              "the normal page has room for 32 LUNs");
        data[common + transfer_common_bytes + lun] = std::byte{lun_to_this_controller};
    }
    return data;
}

std::optional<RdacTransfer> parse_rdac_transfer(std::span<const std::byte> data, bool ten) {
    const auto page = behind_mode_header(data, ten);
    if (!page) return std::nullopt;
    RdacTransfer transfer;
    const uint8_t code = byte_at(*page, 0);
    transfer.expanded = code == (mode_redundant_controller | mode_has_subpage);
    if (!transfer.expanded && code != mode_redundant_controller) return std::nullopt;
    if (transfer.expanded && byte_at(*page, 1) != expanded_subpage) return std::nullopt;
    const size_t common = transfer.expanded ? 4 : 2;
    const size_t length = transfer.expanded ? expanded_page_length : normal_page_length;
    if (page->size() < common + length) return std::nullopt;
    if (byte_at(*page, common + transfer_mode_at) != transfer_specified_luns) return std::nullopt;
    const unsigned luns =
        transfer.expanded ? RdacTransfer::expanded_luns : RdacTransfer::normal_luns;
    for (unsigned lun = 0; lun < luns; ++lun)
        if (byte_at(*page, common + transfer_common_bytes + lun) == lun_to_this_controller)
            transfer.luns.push_back(static_cast<uint8_t>(lun));
    return transfer;
}

}  // namespace braidway::wire
