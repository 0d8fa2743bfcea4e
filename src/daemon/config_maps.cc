// SPDX-License-Identifier: Apache-2.0
// [map.NAME] with its groups, and [export.NAME].
#include <fmt/format.h>

#include <algorithm>

#include "daemon/config_sections.h"
#include "multipath/handler_table.h"
#include "multipath/selector.h"

namespace braidway::daemon {
namespace {

constexpr std::string_view path_example =
    "expected the name of a path, or { path = \"a1\", weight = 50 }";

/// An array of words or whole numbers, for a selector.
std::vector<std::string> read_words(TableReader& reader, std::string_view key) {
    constexpr std::string_view expected = "words or whole numbers, such as [1, 50]";
    std::vector<std::string> words;
    const toml::array* array = reader.array(key, expected);
    for (size_t at = 0; array != nullptr && at < array->size(); ++at) {
        const toml::node& node = (*array)[at];
        std::optional<std::string> word =
            node.is_string() || node.is_integer() ? plain_text(node) : std::nullopt;
        if (!word) {
            reader.problem(key, fmt::format("expected {}", expected));
            return {};
        }
        words.push_back(std::move(*word));
    }
    return words;
}

std::optional<GroupPath> read_group_path(const toml::node& node, TableReader& group,
                                         const std::string& place) {
    if (const auto* name = node.as_string()) return GroupPath{name->get(), std::nullopt, {}};
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        group.problems().add(line_of(node), place, std::string(path_example));
        return std::nullopt;
    }
    TableReader reader(*table, place, line_of(node), group.problems());
    if (!reader.has("path")) reader.problem("path", "is missing; expected the name of a path");
    const std::optional<std::string> name = reader.text("path");
    const std::optional<uint64_t> weight = reader.whole_number("weight", 0, 100);
    std::vector<std::string> arguments = read_words(reader, "arguments");
    if (weight && reader.has("arguments"))
        reader.problem("arguments", "stands beside weight; expected one of them");
    reader.finish();
    if (!name) return std::nullopt;
    GroupPath path{*name, std::nullopt, std::move(arguments)};
    if (weight) path.weight = static_cast<uint32_t>(*weight);
    return path;
}

/// Asks the selector itself, so that a wrong word is found when the file is read.
void check_selector(TableReader& reader, const GroupConfig& group) {
    std::vector<multipath::PathArguments> words;
    for (const GroupPath& path : group.paths) words.push_back(path.selector_words());
    const auto made = multipath::make_selector(group.selector, group.selector_arguments, words);
    if (!made) reader.problem("selector", made.error().message);
}

void read_group(TableReader& reader, const std::string& selector, MapConfig& map, Draft& draft) {
    GroupConfig group;
    group.name = reader.text("name").value_or("");
    group.selector = read_selector(reader).value_or(selector);
    group.selector_arguments = read_words(reader, "selector_arguments");
    if (!reader.has("paths"))
        reader.problem("paths", "is missing; expected an array of names of paths");
    const toml::array* paths = reader.array("paths", "names of paths");
    if (paths != nullptr && paths->empty())
        reader.problem("paths", "is empty; a group has at least one path");
    for (size_t at = 0; paths != nullptr && at < paths->size(); ++at) {
        const toml::node& node = (*paths)[at];
        const std::string place = fmt::format("{}[{}]", reader.full_name("paths"), at + 1);
        std::optional<GroupPath> path = read_group_path(node, reader, place);
        if (!path) continue;
        if (path->weight && group.selector != "service-time") {
            reader.problems().add(line_of(node), place,
                                  "weight belongs to the selector service-time only");
            path->weight.reset();
        }
        const auto [use, first] = draft.path_use_lines.emplace(path->path, line_of(node));
        if (first)
            group.paths.push_back(std::move(*path));
        else
            reader.problems().add(
                line_of(node), place,
                fmt::format("path '{}' is in a group already (line {})", path->path, use->second));
    }
    reader.finish();
    check_selector(reader, group);
    map.groups.push_back(std::move(group));
}

void read_groups(TableReader& reader, MapConfig& map, Draft& draft) {
    const std::string selector =
        read_selector(reader).value_or(draft.default_selector.value_or("service-time"));
    if (!reader.has("groups"))
        reader.problem("groups", "is missing; expected an array such as [{ paths = [\"a1\"] }]");
    const toml::array* groups = reader.array("groups", "tables such as { paths = [\"a1\"] }");
    if (groups == nullptr) return;
    if (groups->empty() || groups->size() > limits::groups_max)
        return reader.problem("groups", fmt::format("has {} groups; expected 1 to {}",
                                                    groups->size(), limits::groups_max));
    for (size_t at = 0; at < groups->size(); ++at) {
        const toml::node& node = (*groups)[at];
        const std::string name = fmt::format("{}[{}]", reader.full_name("groups"), at + 1);
        if (const toml::table* table = node.as_table()) {
            TableReader group(*table, name, line_of(node), reader.problems());
            read_group(group, selector, map, draft);
        } else {
            reader.problems().add(line_of(node), name,
                                  "expected a table such as { paths = [\"a1\", \"a2\"] }");
        }
    }
    size_t paths = 0;
    for (const GroupConfig& group : map.groups) paths += group.paths.size();
    if (paths > limits::paths_max)
        reader.problem("groups",
                       fmt::format("have {} paths; expected at most {}", paths, limits::paths_max));
}

/// "auto", "off", or a handler as in a table line of device-mapper: "alua", "1 alua", "3 emc 0 1".
void read_handler(TableReader& reader, HandlerConfig& handler) {
    constexpr std::string_view key = "hardware_handler";
    handler.retries =
        static_cast<uint32_t>(reader.whole_number("pg_init_retries", 0, limits::pg_init_retries_max)
                                  .value_or(handler.retries));
    handler.delay = reader.duration("pg_init_delay", Duration(0), limits::pg_init_delay_max);
    const std::optional<std::string> text = reader.text(key);
    if (!text || *text == "auto") return;
    handler.automatic = false;
    if (*text == "off" || *text == "0") return;
    std::vector<std::string> words;
    for (size_t at = 0; (at = text->find_first_not_of(' ', at)) != std::string::npos;) {
        const size_t end = std::min(text->find(' ', at), text->size());
        words.push_back(text->substr(at, end - at));
        at = end;
    }
    const auto is_count = [](const std::string& word) {
        return word.find_first_not_of("0123456789") == std::string::npos;
    };
    if (!words.empty() && is_count(words.front())) {
        if (words.front() != fmt::to_string(words.size() - 1))
            return reader.problem(key, fmt::format("'{}': the number at its beginning counts the "
                                                   "words behind it, and there are {}",
                                                   *text, words.size() - 1));
        words.erase(words.begin());
    }
    if (words.empty())
        return reader.problem(key, "expected \"auto\", \"off\" or a handler such as \"alua\"");
    handler.name = words.front();
    handler.words.assign(words.begin() + 1, words.end());
    // The handler itself knows its words, so that a wrong one is found when the file is read.
    auto made = multipath::make_handler(handler.name);
    if (!made) return reader.problem(key, made.error().message + "; or write \"auto\" or \"off\"");
    if (const auto taken = (*made)->set_parameters(handler.words, Instant{}); !taken)
        reader.problem(key, taken.error().message);
}

void read_addresses(TableReader& reader, ExportConfig& made, const Draft& draft) {
    constexpr std::string_view expected = "addresses such as \"unix:/run/db.sock\"";
    if (!reader.has("nbd"))
        reader.problem("nbd", fmt::format("is missing; expected an array of {}", expected));
    const toml::array* addresses = reader.array("nbd", expected);
    if (addresses == nullptr) return;
    if (addresses->empty()) reader.problem("nbd", fmt::format("is empty; expected {}", expected));
    for (size_t at = 0; at < addresses->size(); ++at) {
        const toml::node& node = (*addresses)[at];
        const std::string place = fmt::format("{}[{}]", reader.full_name("nbd"), at + 1);
        const auto* text = node.as_string();
        if (text == nullptr) {
            reader.problems().add(line_of(node), place, fmt::format("expected {}", expected));
            continue;
        }
        Result<Address> address = exports::NbdAddress::parse(text->get());
        if (address && address->kind == Address::Kind::unix_socket) {
            address->path = resolve_file(address->path, draft);
            if (const Result<void> fits = exports::check_socket_path(address->path); !fits)
                address = std::unexpected(fits.error());
        }
        if (!address)
            reader.problems().add(line_of(node), place, address.error().message);
        else if (std::ranges::find(made.nbd, *address) != made.nbd.end())
            reader.problems().add(line_of(node), place,
                                  fmt::format("'{}' is listed twice", address->text()));
        else
            made.nbd.push_back(std::move(*address));
    }
}

/// tls and the files that it needs.
void read_tls(TableReader& reader, ExportConfig& made, const Draft& draft) {
    using wire::NbdTls;
    tls::TlsServerConfig& files = made.tls_files;
    const auto read_name = [&](std::string_view key) {
        const std::string name = reader.text(key).value_or("");
        if (reader.has(key) && name.empty()) reader.problem(key, "expected a name");
        return name.empty() ? name : resolve_file(name, draft);
    };
    files.certificates = read_name("tls_certificates");
    files.psk_file = read_name("tls_psk");
    const bool any = !files.certificates.empty() || !files.psk_file.empty();
    // Who names a certificate means it: plain clients are served only where that is written.
    made.tls = reader
                   .choice<NbdTls>("tls", {{"off", NbdTls::off},
                                           {"allowed", NbdTls::allowed},
                                           {"required", NbdTls::required}})
                   .value_or(any ? NbdTls::required : NbdTls::off);
    files.verify_peer = reader.boolean("tls_verify_peer").value_or(false);
    if (!files.certificates.empty() && !files.psk_file.empty())
        reader.problem("tls_psk", "excludes tls_certificates; leave one of them out");
    else if (made.tls != NbdTls::off && !any)
        reader.problem("tls", "needs tls_certificates = \"FOLDER\" or tls_psk = \"FILE\"");
    else if (files.verify_peer && files.certificates.empty())
        reader.problem("tls_verify_peer",
                       "is for tls_certificates; a client without a key of "
                       "tls_psk is refused in any case");
}

}  // namespace

void read_map(TableReader& reader, const std::string& name, Draft& draft) {
    MapConfig map;
    map.name = name;
    map.line = reader.line();
    read_groups(reader, map, draft);
    map.no_path = read_no_path(reader).value_or(draft.default_no_path.value_or(map.no_path));
    const uint64_t groups = std::max<size_t>(1, map.groups.size());
    map.initial_group =
        static_cast<uint32_t>(reader.whole_number("initial_group", 1, groups).value_or(1));
    map.held_requests_max = static_cast<uint32_t>(
        reader.whole_number("held_requests_max", 1, limits::volume_requests_max)
            .value_or(map.held_requests_max));
    map.held_bytes_max =
        reader.size("held_bytes_max", 4096, uint64_t{1} << 40).value_or(map.held_bytes_max);
    map.attempts_max = static_cast<uint32_t>(
        reader.whole_number("attempts_max", 1, 1000).value_or(map.attempts_max));
    map.quiesce_time = reader.duration("quiesce_time", limits::interval_min, limits::interval_max);
    map.fence_timeout = reader.duration("fence_timeout", limits::interval_min, limits::interval_max)
                            .value_or(map.fence_timeout);
    if (map.quiesce_time && reader.has("fence_timeout"))
        reader.problem("fence_timeout", "has no effect beside quiesce_time; leave one of them out");
    map.kernel_strict = reader.boolean("kernel_strict").value_or(false);
    map.read_only = reader.boolean("read_only").value_or(false);
    map.wwid = reader.text("wwid").value_or("");
    read_handler(reader, map.handler);
    draft.map_keys.push_back(read_inherited_keys(reader));
    reader.finish();
    draft.config.maps.push_back(std::move(map));
}

void read_export(TableReader& reader, const std::string& name, Draft& draft) {
    ExportConfig made;
    made.name = name;
    made.line = reader.line();
    if (!reader.has("map")) reader.problem("map", "is missing; expected the name of a map");
    made.map = reader.text("map").value_or("");
    if (reader.has("map")) made.line = reader.line("map");
    read_addresses(reader, made, draft);
    made.read_only = reader.boolean("read_only").value_or(false);
    made.description = reader.text("description").value_or("");
    if (made.description.size() > limits::nbd_string_bytes_max)
        reader.problem("description", fmt::format("is too long; expected at most {} bytes",
                                                  limits::nbd_string_bytes_max));
    if (const auto block = reader.size("minimum_block", 1, limits::nbd_minimum_block_max);
        block && power_of_two(reader, "minimum_block", *block))
        made.minimum_block = static_cast<uint32_t>(*block);
    if (const auto payload = reader.size("maximum_payload", 65536, limits::payload_bytes_max);
        payload && power_of_two(reader, "maximum_payload", *payload))
        made.maximum_payload = static_cast<uint32_t>(*payload);
    made.extended_headers = reader.boolean("extended_headers").value_or(true);
    read_tls(reader, made, draft);
    reader.finish();
    draft.config.exports.push_back(std::move(made));
}

}  // namespace braidway::daemon
