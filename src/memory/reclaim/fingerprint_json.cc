// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fingerprint_json.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"

namespace braidway::memory {
namespace {

using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

Json json_of(const Fingerprint& fingerprint) {
    Json json{{"kernel", fingerprint.kernel}, {"nodes", Json::array()}};
    for (const NodeFingerprint& node : fingerprint.nodes) {
        Json one{{"node", node.node}};
        for (const FingerprintAmount& amount : fingerprint_amounts())
            one[amount.key] = node.*amount.place;
        json["nodes"].push_back(std::move(one));
    }
    json["swap"] = {{"total_bytes", fingerprint.swap_total}, {"used_bytes", fingerprint.swap_used}};
    json["settings"] = Json::object();
    for (const FingerprintSetting& setting : fingerprint.settings)
        json["settings"][setting.name] = setting.value;
    return json;
}

Json json_of(const FingerprintValue& value) {
    if (const auto* bytes = std::get_if<uint64_t>(&value)) return *bytes;
    return std::get<std::string>(value);
}

std::string text_of(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// Takes a fingerprint apart; the first thing that is wrong stays in `error`.
struct Reader {
    std::string error{};

    const Json* member(const Json& in, const std::string& path, const char* name) {
        const auto at = in.is_object() ? in.find(name) : in.end();
        if (at != in.end()) return &*at;
        if (error.empty()) error = fmt::format("{}.{} is missing", path, name);
        return nullptr;
    }
    uint64_t number(const Json& in, const std::string& path, const char* name) {
        const Json* value = member(in, path, name);
        if (value == nullptr) return 0;
        if (value->is_number_unsigned()) return value->get<uint64_t>();
        if (error.empty()) error = fmt::format("{}.{} is no whole number", path, name);
        return 0;
    }
    std::string text(const Json* value, const std::string& path) {
        if (value == nullptr) return {};
        if (value->is_string()) return value->get<std::string>();
        if (error.empty()) error = fmt::format("{} is no text", path);
        return {};
    }
    NodeFingerprint node(const Json& in, const std::string& path) {
        NodeFingerprint one;
        const uint64_t number_of_node = number(in, path, "node");
        if (number_of_node > limits::node_max && error.empty())
            error = fmt::format("{}.node is above {}", path, limits::node_max);
        one.node = static_cast<uint32_t>(number_of_node);
        for (const FingerprintAmount& amount : fingerprint_amounts())
            one.*amount.place = number(in, path, amount.key);
        return one;
    }
};

}  // namespace

std::string known_state_json(const KnownState& state) {
    Json json{{"schema_version", schema_version}, {"steps", Json::array()}};
    for (const KnownStateStep& step : state.steps)
        json["steps"].push_back({{"mechanism", step.mechanism},
                                 {"seconds", std::chrono::duration<double>(step.length).count()},
                                 {"freed_bytes", step.freed},
                                 {"outcome", step.outcome}});
    json["seconds"] = std::chrono::duration<double>(state.length).count();
    json["fingerprint"] = json_of(state.fingerprint);
    json["differences"] = Json::array();
    for (const FingerprintDifference& difference : state.differences)
        json["differences"].push_back({{"what", difference.what},
                                       {"expected", json_of(difference.expected)},
                                       {"found", json_of(difference.found)},
                                       {"tolerance_bytes", difference.tolerance}});
    return text_of(json);
}

std::string saved_fingerprint(const Fingerprint& fingerprint) {
    return text_of({{"schema_version", schema_version}, {"fingerprint", json_of(fingerprint)}});
}

Result<Fingerprint> parse_fingerprint(std::string_view text) {
    if (text.size() > limits::fingerprint_bytes_max)
        return fail(fmt::format("is longer than a fingerprint may be ({} bytes)",
                                limits::fingerprint_bytes_max));
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return fail("is no JSON");
    Reader reader;
    Fingerprint fingerprint;
    if (reader.number(json, "document", "schema_version") != schema_version && reader.error.empty())
        return fail(fmt::format("document.schema_version is not {}", schema_version));
    const Json* body = reader.member(json, "document", "fingerprint");
    if (body == nullptr) return fail(reader.error);
    fingerprint.kernel =
        reader.text(reader.member(*body, "fingerprint", "kernel"), "fingerprint.kernel");
    const Json* nodes = reader.member(*body, "fingerprint", "nodes");
    if (nodes != nullptr && !nodes->is_array()) reader.error = "fingerprint.nodes is no list";
    if (!reader.error.empty()) return fail(reader.error);
    for (size_t at = 0; at < nodes->size() && reader.error.empty(); ++at)
        fingerprint.nodes.push_back(
            reader.node((*nodes)[at], fmt::format("fingerprint.nodes[{}]", at)));
    if (const Json* swap = reader.member(*body, "fingerprint", "swap")) {
        fingerprint.swap_total = reader.number(*swap, "fingerprint.swap", "total_bytes");
        fingerprint.swap_used = reader.number(*swap, "fingerprint.swap", "used_bytes");
    }
    const Json* settings = reader.member(*body, "fingerprint", "settings");
    if (settings != nullptr && !settings->is_object())
        reader.error = "fingerprint.settings is no object";
    if (!reader.error.empty()) return fail(reader.error);
    for (const auto& [name, value] : settings->items())
        fingerprint.settings.push_back({name, reader.text(&value, "fingerprint.settings." + name)});
    if (!reader.error.empty()) return fail(reader.error);
    return fingerprint;
}

}  // namespace braidway::memory
