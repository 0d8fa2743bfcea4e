// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace braidway::daemon {
namespace {

using nlohmann::json;
using Kind = Command::Kind;

/// One request: METHOD /v1/AREA[/NAME]/WORD[/LAYER].
struct Route {
    Kind kind;
    std::string_view method;
    std::string_view area;
    std::string_view word;                    ///< Empty: the area alone.
    std::array<std::string_view, 2> members;  ///< Of the body.
};

constexpr std::array routes{
    Route{Kind::fail_path, "POST", "paths", "fail", {"hold", ""}},
    Route{Kind::reinstate_path, "POST", "paths", "reinstate", {}},
    Route{Kind::check_path, "POST", "paths", "check", {}},
    Route{Kind::set_layer, "PUT", "paths", "layers", {"enabled", "parameters"}},
    Route{Kind::switch_group, "POST", "maps", "switch-group", {"group", ""}},
    Route{Kind::disable_group, "POST", "maps", "disable-group", {"group", ""}},
    Route{Kind::enable_group, "POST", "maps", "enable-group", {"group", ""}},
    Route{Kind::queue_if_no_path, "POST", "maps", "queue-if-no-path", {}},
    Route{Kind::fail_if_no_path, "POST", "maps", "fail-if-no-path", {}},
    Route{Kind::suspend_map, "POST", "maps", "suspend", {"noflush", ""}},
    Route{Kind::resume_map, "POST", "maps", "resume", {}},
    Route{Kind::reload, "POST", "reload", "", {}},
};

bool fits(const Route& route, const std::vector<std::string>& words) {
    if (words.empty() || words[0] != route.area) return false;
    if (route.kind == Kind::reload) return words.size() == 1;
    if (words.size() < 3 || words[2] != route.word) return false;
    return words.size() == (route.kind == Kind::set_layer ? 4u : 3u);
}

bool takes_group(Kind kind) {
    return kind == Kind::switch_group || kind == Kind::disable_group || kind == Kind::enable_group;
}

std::string member_words(const Route& route) {
    return route.members[1].empty() ? std::string(route.members[0])
                                    : fmt::format("{}", fmt::join(route.members, " and "));
}

Result<std::string> parameter_text(const std::string& key, const json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
    if (value.is_number()) return value.dump();
    return fail(fmt::format("parameters.{}: expected a string, number or boolean", key), EINVAL);
}

Result<void> read_member(Command& command, const std::string& key, const json& value) {
    if (key == "hold") {
        if (!value.is_boolean()) return fail("hold: expected true or false", EINVAL);
        command.hold = value.get<bool>();
    } else if (key == "noflush") {
        if (!value.is_boolean()) return fail("noflush: expected true or false", EINVAL);
        command.noflush = value.get<bool>();
    } else if (key == "enabled") {
        if (!value.is_boolean()) return fail("enabled: expected true or false", EINVAL);
        command.enabled = value.get<bool>();
    } else if (key == "group") {
        if (!value.is_number_unsigned() || value.get<uint64_t>() == 0 ||
            value.get<uint64_t>() > limits::groups_max)
            return fail(
                fmt::format("group: expected a whole number from 1 to {}", limits::groups_max),
                EINVAL);
        command.group = value.get<uint32_t>();
    } else {
        if (!value.is_object()) return fail("parameters: expected an object", EINVAL);
        for (const auto& [name, each] : value.items()) {
            Result<std::string> text = parameter_text(name, each);
            if (!text) return std::unexpected(text.error());
            command.parameters.push_back({name, std::move(*text)});
        }
    }
    return {};
}

Result<void> read_body(Command& command, const Route& route, const std::string& body) {
    const json value = body.empty() ? json::object() : json::parse(body, nullptr, false);
    if (!value.is_object()) return fail("the body is no JSON object", EINVAL);
    for (const auto& [key, each] : value.items()) {
        const bool known =
            !key.empty() && std::ranges::find(route.members, key) != route.members.end();
        if (!known)
            return fail(fmt::format("{}: unknown member{}", key,
                                    route.members[0].empty()
                                        ? "; this command takes none"
                                        : fmt::format("; expected {}", member_words(route))),
                        EINVAL);
        if (const Result<void> read = read_member(command, key, each); !read) return read;
    }
    if (takes_group(command.kind) && command.group == 0)
        return fail("group: is missing; expected {\"group\": N}, from 1", EINVAL);
    if (command.kind == Kind::set_layer && !command.enabled && command.parameters.empty())
        return fail("expected \"enabled\", \"parameters\" or both", EINVAL);
    return {};
}

}  // namespace

Result<Command> read_command(std::string_view method, const std::vector<std::string>& words,
                             const std::string& body) {
    const auto route =
        std::ranges::find_if(routes, [&](const Route& each) { return fits(each, words); });
    if (route == routes.end())
        return fail("there is no such request; docs/braidway.md lists them", ENOENT);
    if (method != route->method)
        return fail(fmt::format("this request is made with {}", route->method), EPROTOTYPE);
    Command command;
    command.kind = route->kind;
    if (route->area == "paths") command.path = words[1];
    if (route->area == "maps") command.map = words[1];
    if (route->kind == Kind::set_layer) command.layer = words[3];
    if (const Result<void> read = read_body(command, *route, body); !read)
        return std::unexpected(read.error());
    return command;
}

CommandRequest write_command(const Command& command) {
    const auto route = std::ranges::find(routes, command.kind, &Route::kind);
    CommandRequest request{.method = std::string(route->method),
                           .path = fmt::format("/v1/{}", route->area),
                           .body = {}};
    json body = json::object();
    if (route->area == "paths") request.path += fmt::format("/{}/{}", command.path, route->word);
    if (route->area == "maps") request.path += fmt::format("/{}/{}", command.map, route->word);
    if (command.kind == Kind::set_layer) request.path += "/" + command.layer;
    if (command.hold) body["hold"] = true;
    if (command.noflush) body["noflush"] = true;
    if (takes_group(command.kind)) body["group"] = command.group;
    if (command.enabled) body["enabled"] = *command.enabled;
    for (const Command::Parameter& each : command.parameters)
        body["parameters"][each.key] = each.value;
    request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
    return request;
}

}  // namespace braidway::daemon
