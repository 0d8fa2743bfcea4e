// SPDX-License-Identifier: Apache-2.0
// [path.NAME] with its device and its layers.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "daemon/config_fabric.h"
#include "daemon/config_sections.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

constexpr std::string_view known_devices =
    "\"file:PATH\", \"nbd://HOST/EXPORT\", \"iscsi://HOST/TARGET/LUN\", \"zero:SIZE\" or "
    "\"error:SIZE\"";

void read_device(TableReader& reader, PathConfig& path, const Draft& draft) {
    const bool missing = !reader.has("device");
    const std::optional<std::string> text = reader.text("device");
    if (missing) reader.problem("device", fmt::format("is missing; expected {}", known_devices));
    const std::optional<bool> holes = reader.boolean("holes");
    if (!text) return;
    const size_t colon = text->find(':');
    const std::string scheme = text->substr(0, colon);
    const std::string rest = colon == std::string::npos ? "" : text->substr(colon + 1);
    const auto expected = [&](const std::string& why) {
        reader.problem("device", fmt::format("{}; expected {}", why, known_devices));
    };
    if (colon == std::string::npos) return expected(fmt::format("'{}' has no scheme", *text));
    if (names_fabric_device(*text)) {
        read_fabric_device(reader, path, draft, *text);
    } else if (scheme == "file") {
        if (rest.empty()) return expected("the file has no name");
        path.device.kind = DeviceConfig::Kind::file;
        path.device.path = resolve_file(rest, draft);
    } else if (scheme == "zero" || scheme == "error") {
        const Result<uint64_t> size = parse_size(rest);
        if (!size) return reader.problem("device", size.error().message);
        if (*size == 0 || *size > limits::device_bytes_max)
            return reader.problem("device", fmt::format("'{}' is no size for a device", rest));
        path.device.kind = scheme == "zero" ? DeviceConfig::Kind::zero : DeviceConfig::Kind::error;
        path.device.size_bytes = *size;
    } else {
        const std::vector<std::string> known{"file", "nbd", "iscsi", "zero", "error"};
        return expected(fmt::format("'{}:' is unknown{}", scheme, did_you_mean(scheme, known)));
    }
    if (holes && path.device.kind != DeviceConfig::Kind::zero)
        reader.problem("holes", "belongs to zero: devices only");
    path.device.holes = holes.value_or(false);
}

/// Everything of a layer's table but kind and enabled, as `set path` would get it.
std::vector<Command::Parameter> layer_words(const toml::table& table, TableReader& reader) {
    std::vector<Command::Parameter> parameters;
    for (const TableEntry& entry : entries_of(table)) {
        if (entry.key == "kind" || entry.key == "enabled") continue;
        if (std::optional<std::string> text = plain_text(*entry.value))
            parameters.push_back({entry.key, std::move(*text)});
        else
            reader.problem(entry.key, "expected a string, number, boolean or array of strings");
    }
    return parameters;
}

void read_layer(const toml::table& table, TableReader& reader, PathConfig& path) {
    if (!reader.has("kind"))
        return reader.problem("kind", fmt::format("is missing; expected one of {}",
                                                  fmt::join(layer_kind_names(), ", ")));
    const auto kind = reader.choice<LayerKind>("kind", {{"delay", LayerKind::delay},
                                                        {"error", LayerKind::error},
                                                        {"flakey", LayerKind::flakey},
                                                        {"linear", LayerKind::linear}});
    const std::optional<bool> enabled = reader.boolean("enabled");
    if (!kind) return;
    LayerConfig layer;
    layer.kind = *kind;
    layer.enabled = enabled.value_or(true);
    if (*kind == LayerKind::linear && !layer.enabled)
        reader.problem("enabled", "a linear layer cannot be off");
    const bool taken = std::ranges::any_of(path.layers, [&](const LayerConfig& each) {
        return each.kind == *kind && *kind != LayerKind::linear;
    });
    if (taken)
        return reader.problem("kind", fmt::format("the path has a layer of kind {} already; "
                                                  "`set path` names it by its kind",
                                                  layer_kind_name(*kind)));
    if (const Result<void> set = set_layer_parameters(layer, layer_words(table, reader)); !set) {
        // The message begins with the parameter's name.
        const std::string& message = set.error().message;
        const size_t colon = message.find(": ");
        const std::string key = message.substr(0, colon);
        reader.problem(key, message.substr(colon == std::string::npos ? 0 : colon + 2));
    }
    path.layers.push_back(layer);
}

void read_layers(TableReader& reader, PathConfig& path) {
    const toml::array* layers = reader.array("layers", "tables such as { kind = \"delay\" }");
    if (layers == nullptr) return;
    if (layers->size() > limits::layers_max)
        return reader.problem("layers", fmt::format("has {} layers; expected at most {}",
                                                    layers->size(), limits::layers_max));
    for (size_t at = 0; at < layers->size(); ++at) {
        const toml::node& node = (*layers)[at];
        const std::string name = fmt::format("{}[{}]", reader.full_name("layers"), at + 1);
        if (const toml::table* table = node.as_table()) {
            TableReader layer(*table, name, line_of(node), reader.problems());
            read_layer(*table, layer, path);
        } else {
            reader.problems().add(line_of(node), name,
                                  "expected a table such as { kind = \"delay\", read = \"5 ms\" }");
        }
    }
}

}  // namespace

void read_path(TableReader& reader, const std::string& name, Draft& draft) {
    PathConfig path;
    path.name = name;
    path.line = reader.line();
    read_device(reader, path, draft);
    read_fabric_keys(reader, path, draft);
    read_layers(reader, path);
    path.read_only = reader.boolean("read_only").value_or(false);
    if (const auto block =
            reader.size("block_size", limits::block_bytes_min, limits::block_bytes_max);
        block && power_of_two(reader, "block_size", *block))
        path.block_bytes = static_cast<uint32_t>(*block);
    draft.path_keys.push_back(read_inherited_keys(reader));
    reader.finish();
    draft.config.paths.push_back(std::move(path));
}

}  // namespace braidway::daemon
