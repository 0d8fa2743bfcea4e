// SPDX-License-Identifier: Apache-2.0
#include "daemon/layer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "daemon/layer_parameters.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

const std::array<std::string, 4> kind_names{"delay", "error", "flakey", "linear"};

bool names(std::span<const Command::Parameter> parameters, std::string_view key) {
    return std::ranges::any_of(parameters, [&](const auto& each) { return each.key == key; });
}

/// Parameters that say the same thing in two ways.
Result<void> check_named_together(std::span<const Command::Parameter> parameters) {
    if (names(parameters, "blocks") && (names(parameters, "offset") || names(parameters, "length")))
        return fail("blocks: give either blocks or offset and length", EINVAL);
    for (const std::string_view shorthand : {"error_reads", "error_writes"})
        if (names(parameters, shorthand) && names(parameters, "ops"))
            return fail(fmt::format("{}: give either {} or ops", shorthand, shorthand), EINVAL);
    return {};
}

Result<void> check_values(const LayerConfig& layer) {
    const auto ends_too_late = [](uint64_t offset, uint64_t length) {
        uint64_t end = 0;
        return length != UINT64_MAX && __builtin_add_overflow(offset, length, &end);
    };
    if (ends_too_late(layer.error.range.offset_bytes, layer.error.range.length_bytes) ||
        ends_too_late(layer.flakey.range.offset_bytes, layer.flakey.range.length_bytes) ||
        ends_too_late(layer.linear.offset_bytes, layer.linear.length_bytes))
        return fail("length: offset and length together are too large", EINVAL);
    if (layer.kind == LayerKind::flakey && layer.enabled && layer.flakey.down == Duration(0) &&
        layer.flakey.up == Duration(0))
        return fail("up, down: a flakey layer needs them, such as up=5s down=1s", EINVAL);
    if (layer.flakey.drop_writes && layer.flakey.ops.has(IoOp::write))
        return fail("drop_writes: writes are either dropped or answered with an error", EINVAL);
    return {};
}

}  // namespace

std::string_view layer_kind_name(LayerKind kind) {
    return kind_names[static_cast<size_t>(kind)];
}

std::optional<LayerKind> layer_kind_from_name(std::string_view name) {
    for (size_t at = 0; at < kind_names.size(); ++at)
        if (kind_names[at] == name) return static_cast<LayerKind>(at);
    return std::nullopt;
}

std::span<const std::string> layer_kind_names() {
    return kind_names;
}

std::span<const std::string> layer_parameter_names(LayerKind kind) {
    static const std::array<std::vector<std::string>, 4> all = [] {
        std::array<std::vector<std::string>, 4> made;
        for (size_t at = 0; at < made.size(); ++at)
            for (const LayerParameter& each : layer_parameters(static_cast<LayerKind>(at)))
                made[at].emplace_back(each.name);
        return made;
    }();
    return all[static_cast<size_t>(kind)];
}

Result<void> set_layer_parameters(LayerConfig& layer,
                                  std::span<const Command::Parameter> parameters) {
    if (const Result<void> together = check_named_together(parameters); !together) return together;
    LayerConfig changed = layer;
    // These three say together what happens while it is down: they do not add to an older choice,
    // and what none of them names works, as with dm-flakey.
    const bool flakey_features = names(parameters, "error_reads") ||
                                 names(parameters, "error_writes") ||
                                 names(parameters, "drop_writes");
    if (flakey_features) {
        changed.flakey.drop_writes = false;
        if (!names(parameters, "ops")) changed.flakey.ops = {};
    }
    for (const Command::Parameter& given : parameters) {
        const auto table = layer_parameters(layer.kind);
        const auto known = std::ranges::find(table, given.key, &LayerParameter::name);
        if (known == table.end()) {
            const auto known_names = layer_parameter_names(layer.kind);
            return fail(fmt::format("{}: unknown parameter of a layer of kind {}{}; it has {}",
                                    given.key, layer_kind_name(layer.kind),
                                    did_you_mean(given.key, known_names), list_words(known_names)),
                        EINVAL);
        }
        if (const Result<void> set = known->set(changed, given.value); !set)
            return fail(fmt::format("{}: {}", given.key, set.error().message), EINVAL);
    }
    // Without any of them everything fails.
    if (flakey_features && changed.flakey.ops.empty() && !changed.flakey.drop_writes)
        changed.flakey.ops = block::IoOpSet::all();
    if (const Result<void> good = check_values(changed); !good) return good;
    layer = changed;
    return {};
}

std::string layer_parameters_text(const LayerConfig& layer) {
    std::string text;
    for (const LayerParameter& each : layer_parameters(layer.kind)) {
        const std::string value = each.text(layer);
        if (value.empty()) continue;
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", each.name, value);
    }
    return text;
}

Result<LayerConfig> change_layer(const LayerConfig& current, const Command& command) {
    if (current.kind == LayerKind::linear)
        return fail("a linear layer cannot be changed while it is in use", EINVAL);
    LayerConfig changed = current;
    changed.enabled = command.enabled.value_or(!command.parameters.empty() || current.enabled);
    if (const Result<void> set = set_layer_parameters(changed, command.parameters); !set)
        return std::unexpected(set.error());
    return changed;
}

LayerSnapshot layer_snapshot(const LayerConfig& layer) {
    return {.kind = std::string(layer_kind_name(layer.kind)),
            .enabled = layer.enabled,
            .parameters = layer_parameters_text(layer)};
}

}  // namespace braidway::daemon
