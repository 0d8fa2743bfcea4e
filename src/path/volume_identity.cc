// SPDX-License-Identifier: Apache-2.0
#include "path/volume_identity.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <vector>

namespace braidway::path {
namespace {

constexpr std::string_view nbd_prefix = "nbd:";

std::string escaped(const std::string& text) {
    std::string out;
    for (const char letter : text) {
        const bool plain = letter > ' ' && letter <= '~' && letter != '%' && letter != ':';
        if (plain)
            out.push_back(letter);
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
    }
    return out;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (text.front() != '%') {
            out.push_back(text.front());
            text.remove_prefix(1);
            continue;
        }
        if (text.size() < 3) return std::nullopt;
        unsigned code = 0;
        const auto read = std::from_chars(text.data() + 1, text.data() + 3, code, 16);
        if (read.ptr != text.data() + 3) return std::nullopt;
        out.push_back(static_cast<char>(code));
        text.remove_prefix(3);
    }
    return out;
}

/// For people who copy numbers from an array's own tools: those leave out the first digit, which
/// says what kind of name it is.
bool lacks_first_digit(const std::string& configured, const std::string& found) {
    std::string_view digits = configured;
    for (const std::string_view prefix : {"naa.", "eui.", "0x"})
        if (digits.starts_with(prefix)) digits.remove_prefix(prefix.size());
    if (digits.empty() || found.size() != digits.size() + 1) return false;
    for (size_t at = 0; at < digits.size(); ++at) {
        const char letter = digits[at];
        const char low = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
        if (low != found[at + 1]) return false;
    }
    return true;
}

IdentityAnswer compare_exports(const std::string& path, const NbdIdentity& map,
                               const NbdIdentity& found) {
    if (map.fingerprint.empty() != found.fingerprint.empty() &&
        map.size_bytes == found.size_bytes && map.export_name == found.export_name)
        return {IdentityVerdict::unknown,
                fmt::format("path {}: export '{}' of {} bytes {} a fingerprint and the map's {}; "
                            "name the same blocks for all paths of the map",
                            path, found.export_name, found.size_bytes,
                            found.fingerprint.empty() ? "has no" : "has",
                            found.fingerprint.empty() ? "has one" : "has none")};
    std::string what;
    if (map.size_bytes != found.size_bytes)
        what = fmt::format("{} bytes, not {}", found.size_bytes, map.size_bytes);
    else if (map.export_name != found.export_name)
        what = fmt::format("export '{}', not '{}'", escaped(found.export_name),
                           escaped(map.export_name));
    else
        what = fmt::format("the blocks of its fingerprint are {}, not {}", found.fingerprint,
                           map.fingerprint);
    return {IdentityVerdict::other,
            fmt::format("path {} leads to another volume: {} ({}; the map's is {}); it gets no "
                        "I/O. Correct its device, or what the server exports there",
                        path, what,
                        nbd_identity(found.export_name, found.size_bytes, found.fingerprint),
                        nbd_identity(map.export_name, map.size_bytes, map.fingerprint))};
}

}  // namespace

std::string nbd_identity(const std::string& export_name, uint64_t size_bytes,
                         const std::string& fingerprint) {
    std::string text = fmt::format("{}{}:{}", nbd_prefix, escaped(export_name), size_bytes);
    if (!fingerprint.empty()) text += ":" + escaped(fingerprint);
    return text;
}

std::optional<NbdIdentity> parse_nbd_identity(const std::string& identity) {
    std::string_view left = identity;
    if (!left.starts_with(nbd_prefix)) return std::nullopt;
    left.remove_prefix(nbd_prefix.size());
    std::vector<std::string_view> parts;
    for (size_t colon = left.find(':'); colon != left.npos; colon = left.find(':')) {
        parts.push_back(left.substr(0, colon));
        left.remove_prefix(colon + 1);
    }
    parts.push_back(left);
    if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
    NbdIdentity found;
    auto name = unescaped(parts[0]);
    auto fingerprint = unescaped(parts.size() == 3 ? parts[2] : std::string_view());
    const char* const end = parts[1].data() + parts[1].size();
    const auto read = std::from_chars(parts[1].data(), end, found.size_bytes);
    if (!name || !fingerprint || parts[1].empty() || read.ec != std::errc() || read.ptr != end)
        return std::nullopt;
    found.export_name = std::move(*name);
    found.fingerprint = std::move(*fingerprint);
    return found;
}

IdentityAnswer compare_identity(const std::string& path, const std::string& map_identity,
                                const std::string& found) {
    if (found.empty())
        return {IdentityVerdict::unknown,
                fmt::format("path {}: its device tells no identity (inquiry pages 0x83 and 0x80), "
                            "so that it cannot be compared with the map's ({}); it gets no I/O",
                            path, map_identity.empty() ? "none" : map_identity)};
    if (map_identity.empty())
        return {IdentityVerdict::unknown,
                fmt::format("path {} leads to {}, and the map's identity is not known; set wwid in "
                            "its section",
                            path, found)};
    if (found == map_identity) return {IdentityVerdict::same, {}};
    const auto map_export = parse_nbd_identity(map_identity);
    const auto found_export = parse_nbd_identity(found);
    if (map_export && found_export) return compare_exports(path, *map_export, *found_export);
    if (lacks_first_digit(map_identity, found))
        return {IdentityVerdict::other,
                fmt::format("path {} leads to {}, and the map's wwid is {}: the first digit, which "
                            "says what kind of name it is, counts; write wwid = \"{}\"",
                            path, found, map_identity, found)};
    return {IdentityVerdict::other,
            fmt::format("path {} leads to another volume: {}, the map's is {}; it gets no I/O. "
                        "Correct its device, or the LUN that the array shows there",
                        path, found, map_identity)};
}

}  // namespace braidway::path
