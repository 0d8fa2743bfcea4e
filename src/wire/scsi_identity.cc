// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/bytes.h"
#include "wire/scsi_inquiry.h"

namespace braidway::wire {
namespace {

using namespace scsi;
using Bytes = std::span<const std::byte>;

constexpr size_t designator_header_bytes = 4;
constexpr size_t t10_vendor_bytes = 8;
constexpr size_t before_spc3_bytes_min = 8;
constexpr size_t before_spc3_bytes_max = 32;

/// One designator where it stands in its page.
struct Designator {
    uint8_t type = 0;
    Bytes name;
};

/// What a designator is worth as the unit's name.
struct Worth {
    enum class Kind : uint8_t {
        name,   ///< Names the unit: the higher `rank` wins.
        other,  ///< Well formed, but no name that counts.
        bad,    ///< Its size or contents do not fit its type.
    };
    Kind kind = Kind::other;
    unsigned rank = 0;
};

constexpr Worth bad{Worth::Kind::bad, 0};
constexpr Worth named(unsigned rank) {
    return {Worth::Kind::name, rank};
}

bool is_blank(std::byte byte) {
    return byte == std::byte{' '} || byte == std::byte{0};
}

/// Some devices pad with zero bytes instead of blanks.
Bytes without_padding(Bytes text) {
    while (!text.empty() && is_blank(text.back())) text = text.first(text.size() - 1);
    return text;
}

void append_letter(std::string& to, std::byte byte) {
    const auto letter = std::to_integer<uint8_t>(byte);
    if (letter > ' ' && letter <= '~')
        to.push_back(static_cast<char>(letter));
    else
        to += fmt::format("\\x{:02x}", letter);
}

/// Appends a text; runs of blanks in it become one underscore, those at its end nothing.
void append_words(std::string& to, Bytes text) {
    bool in_blanks = false;
    for (const std::byte byte : without_padding(text)) {
        const bool blank = is_blank(byte);
        if (blank && !in_blanks) to.push_back('_');
        if (!blank) append_letter(to, byte);
        in_blanks = blank;
    }
}

std::string hex_name(char first, Bytes name) {
    std::string text(1, first);
    for (const std::byte byte : name) text += fmt::format("{:02x}", std::to_integer<uint8_t>(byte));
    return text;
}

Worth worth_of_naa(Bytes name) {
    if (name.empty()) return bad;
    struct Format {
        unsigned authority;
        size_t bytes;
        unsigned rank;
    };
    static constexpr std::array formats{
        Format{6, 16, 8},  // IEEE Registered Extended
        Format{5, 8, 7},   // IEEE Registered
        Format{2, 8, 6},   // IEEE Extended
        Format{3, 8, 1},   // Locally Assigned: unique in one installation only.
    };
    const unsigned authority = byte_at(name, 0) >> 4;
    const auto* const format = std::ranges::find(formats, authority, &Format::authority);
    if (format == formats.end() || format->bytes != name.size()) return bad;
    return named(format->rank);
}

/// The prefix of a SCSI name string and the digit that stands for it.
struct NamePrefix {
    std::string_view prefix;
    char digit;
};
constexpr std::array name_prefixes{NamePrefix{"naa.", '3'}, NamePrefix{"eui.", '2'},
                                   NamePrefix{"iqn.", '8'}};

const NamePrefix* prefix_of(Bytes name) {
    name = without_padding(name);
    for (const NamePrefix& each : name_prefixes) {
        const Bytes prefix = std::as_bytes(std::span(each.prefix));
        // Nothing behind the prefix would be one name for all units.
        if (name.size() > prefix.size() && std::ranges::equal(name.first(prefix.size()), prefix))
            return &each;
    }
    return nullptr;
}

Worth worth_of(const Designator& designator) {
    const size_t bytes = designator.name.size();
    switch (designator.type) {
        case ScsiDesignator::naa:
            return worth_of_naa(designator.name);
        case ScsiDesignator::eui_64:
            return bytes == 8 || bytes == 12 || bytes == 16 ? named(4) : bad;
        case ScsiDesignator::scsi_name:
            return prefix_of(designator.name) != nullptr ? named(3) : bad;
        case ScsiDesignator::t10_vendor:
            return without_padding(designator.name).size() > t10_vendor_bytes ? named(2) : bad;
        case ScsiDesignator::vendor_specific:
        case ScsiDesignator::unit_group:
        case ScsiDesignator::md5:
        case ScsiDesignator::uuid:
            return {};
        default:
            return bad;
    }
}

ScsiWwid wwid_of(const Designator& designator) {
    switch (designator.type) {
        case ScsiDesignator::naa:
            return {hex_name('3', designator.name), WwidSource::naa};
        case ScsiDesignator::eui_64:
            return {hex_name('2', designator.name), WwidSource::eui_64};
        case ScsiDesignator::scsi_name: {
            const NamePrefix& prefix = *prefix_of(designator.name);
            ScsiWwid wwid{std::string(1, prefix.digit), WwidSource::scsi_name};
            append_words(wwid.text, designator.name.subspan(prefix.prefix.size()));
            // Names of the Internet are kept; the others are numbers, whose digits may be of any
            // case.
            if (prefix.digit != '8')
                for (char& letter : wwid.text)
                    if (letter >= 'A' && letter <= 'Z')
                        letter = static_cast<char>(letter - 'A' + 'a');
            return wwid;
        }
        default: {
            ScsiWwid wwid{"1", WwidSource::t10_vendor};
            append_words(wwid.text, designator.name);
            return wwid;
        }
    }
}

Result<Bytes> page_contents(Bytes data, uint8_t page) {
    if (data.size() < vpd_header_bytes)
        return fail(fmt::format("inquiry page {:#04x} has {} bytes, its header alone is {}", page,
                                data.size(), vpd_header_bytes));
    if (byte_at(data, 1) != page)
        return fail(
            fmt::format("the device answered inquiry page {:#04x} where page {:#04x} was "
                        "asked for",
                        byte_at(data, 1), page));
    return *vpd_contents(data, page);
}

/// The name in a page as devices from before SPC-3 have it: nothing but the name.
Result<ScsiWwid> bare_name(Bytes contents) {
    if (contents.size() < before_spc3_bytes_min || contents.size() > before_spc3_bytes_max)
        return fail(
            fmt::format("inquiry page 0x83 is no list of designators, and with {} bytes no "
                        "bare name either",
                        contents.size()));
    return ScsiWwid{hex_name('3', contents), WwidSource::before_spc3};
}

}  // namespace

std::string wwid_source_text(WwidSource source) {
    switch (source) {
        case WwidSource::naa:
            return "naa";
        case WwidSource::eui_64:
            return "eui-64";
        case WwidSource::scsi_name:
            return "scsi name";
        case WwidSource::t10_vendor:
            return "t10 vendor";
        case WwidSource::before_spc3:
            return "page 0x83 from before SPC-3";
        case WwidSource::serial_number:
            return "serial number";
    }
    return {};
}

size_t vpd_bytes_wanted(Bytes page) {
    if (page.size() < vpd_header_bytes) return 0;
    return vpd_header_bytes + load_big<uint16_t>(page.data() + 2);
}

Result<ScsiWwid> wwid_of_identification(Bytes page) {
    const auto contents = page_contents(page, page_device_identification);
    if (!contents) return std::unexpected(contents.error());
    // The third byte of a designator is reserved and 0.
    if (byte_at(*contents, 2) != 0) return bare_name(*contents);

    std::string remark;
    if (vpd_bytes_wanted(page) > page.size())
        remark = fmt::format("inquiry page 0x83 has {} bytes, of which {} came",
                             vpd_bytes_wanted(page), page.size());
    Designator best;
    unsigned best_rank = 0;
    Bytes left = *contents;
    while (left.size() >= designator_header_bytes) {
        const size_t at = vpd_header_bytes + (contents->size() - left.size());
        const size_t bytes = byte_at(left, 3);
        if (left.size() - designator_header_bytes < bytes) {
            if (remark.empty())
                remark = fmt::format(
                    "inquiry page 0x83: the designator at byte {} says {} bytes, {} "
                    "are left",
                    at, bytes, left.size() - designator_header_bytes);
            break;
        }
        const Designator designator{static_cast<uint8_t>(byte_at(left, 1) & 0x0f),
                                    left.subspan(designator_header_bytes, bytes)};
        const unsigned association = (byte_at(left, 1) >> 4) & 3;
        left = left.subspan(designator_header_bytes + bytes);
        if (association != ScsiDesignator::logical_unit) continue;
        const Worth worth = worth_of(designator);
        if (worth.kind == Worth::Kind::bad && remark.empty())
            remark = fmt::format(
                "inquiry page 0x83: the designator at byte {} (type {}, {} bytes) is not valid", at,
                designator.type, bytes);
        if (worth.kind != Worth::Kind::name || worth.rank <= best_rank) continue;
        best = designator;
        best_rank = worth.rank;
    }
    if (best_rank == 0)
        return fail(remark.empty() ? "inquiry page 0x83 has no name for the logical unit" : remark);
    ScsiWwid wwid = wwid_of(best);
    wwid.remark = std::move(remark);
    return wwid;
}

Result<ScsiWwid> wwid_of_serial_number(Bytes inquiry, Bytes page) {
    constexpr size_t names_at = 8;
    constexpr size_t names_bytes = 24;  // Vendor and product.
    if (inquiry.size() < standard_inquiry_bytes)
        return fail(fmt::format("the device answered INQUIRY with {} bytes; every device has {}",
                                inquiry.size(), standard_inquiry_bytes));
    const auto contents = page_contents(page, page_serial_number);
    if (!contents) return std::unexpected(contents.error());
    Bytes serial = without_padding(*contents);
    while (!serial.empty() && is_blank(serial.front())) serial = serial.subspan(1);
    if (serial.empty()) return fail("inquiry page 0x80 has no serial number");

    // With the blanks between them, which become the underscores.
    const Bytes names = inquiry.subspan(names_at, names_bytes);
    std::vector<std::byte> all(names.begin(), names.end());
    all.insert(all.end(), contents->begin(), contents->end());
    ScsiWwid wwid{"S", WwidSource::serial_number};
    append_words(wwid.text, all);
    return wwid;
}

Result<ScsiUnit> parse_unit(const ScsiUnitPages& pages) {
    const auto inquiry = parse_inquiry(pages.inquiry);
    if (!inquiry)
        return fail(fmt::format("the device answered INQUIRY with {} bytes; every device has {}",
                                pages.inquiry.size(), standard_inquiry_bytes));
    ScsiUnit unit{.vendor = inquiry->vendor,
                  .product = inquiry->product,
                  .revision = inquiry->revision,
                  .serial = parse_serial_number(pages.serial_number).value_or(std::string())};
    auto wwid = wwid_of_identification(pages.identification);
    if (!wwid) {
        const std::string reason = wwid.error().message;
        wwid = wwid_of_serial_number(pages.inquiry, pages.serial_number);
        if (!wwid) return fail(fmt::format("{}; {}", reason, wwid.error().message));
        if (!pages.identification.empty()) wwid->remark = reason;
    }
    unit.wwid = std::move(*wwid);
    return unit;
}

}  // namespace braidway::wire
