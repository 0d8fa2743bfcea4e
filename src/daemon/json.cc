// SPDX-License-Identifier: Apache-2.0
#include "daemon/json.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

namespace braidway::daemon {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> severity_names{"debug", "info", "warning", "critical"};

double seconds(Duration length) {
    return std::chrono::duration<double>(length).count();
}

/// A number of seconds, or null.
json seconds_json(const std::optional<Duration>& length) {
    return length ? json(seconds(*length)) : json(nullptr);
}

json outcomes_json(const std::array<uint64_t, io_statuses>& outcomes) {
    json counts = json::object();
    for (unsigned at = 0; at < io_statuses; ++at)
        counts[std::string(io_status_name(static_cast<IoStatus>(at)))] = outcomes[at];
    return counts;
}

const PathSnapshot* find_path(const Snapshot& snapshot, std::string_view name) {
    for (const PathSnapshot& path : snapshot.paths)
        if (path.name == name) return &path;
    return nullptr;
}

}  // namespace

json path_json(const PathSnapshot& path) {
    json layers = json::array();
    for (const LayerSnapshot& layer : path.layers)
        layers.push_back(
            {{"kind", layer.kind}, {"enabled", layer.enabled}, {"parameters", layer.parameters}});
    json failure = nullptr;
    if (!path.failed_by.empty())
        failure = {{"by", path.failed_by},
                   {"reason", path.failure_reason},
                   {"seconds_ago", seconds_json(path.failed_ago)}};
    json fabric = nullptr;
    if (path.fabric)
        fabric = {
            {"connection", path.connection},           {"identity", path.identity},
            {"fenced_off", path.fenced_off},           {"connects", path.connects},
            {"doubtful_writes", path.doubtful_writes}, {"unsettled_writes", path.unsettled_writes},
            {"resend_risks", path.resend_risks},       {"doubt_seconds", seconds(path.doubt_time)}};
    return {{"name", path.name},
            {"map", path.map},
            {"group", path.group},
            {"device", path.device},
            {"state", path.state},
            {"held_down", path.held_down},
            {"io_mode", path.io_mode},
            {"size_bytes", path.size_bytes},
            {"block_bytes", path.block_bytes},
            {"fail_count", path.fail_count},
            {"in_flight", path.in_flight},
            {"in_flight_bytes", path.in_flight_bytes},
            {"reads", path.reads},
            {"writes", path.writes},
            {"others", path.others},
            {"read_bytes", path.read_bytes},
            {"written_bytes", path.written_bytes},
            {"outcomes", outcomes_json(path.outcomes)},
            {"last_failure", std::move(failure)},
            {"check",
             {{"state", path.check},
              {"message", path.check_message},
              {"seconds_ago", seconds_json(path.checked_ago)},
              {"next_in_seconds", seconds_json(path.next_check_in)}}},
            {"layers", std::move(layers)},
            {"fabric", std::move(fabric)}};
}

json map_json(const MapSnapshot& map) {
    json groups = json::array();
    for (const GroupSnapshot& group : map.groups)
        groups.push_back({{"number", group.number},
                          {"name", group.name},
                          {"state", group.state},
                          {"selector", group.selector},
                          {"paths", group.paths}});
    return {{"name", map.name},
            {"size_bytes", map.size_bytes},
            {"block_bytes", map.block_bytes},
            {"read_only", map.read_only},
            {"current_group", map.current_group},
            {"valid_paths", map.valid_paths},
            {"path_count", map.path_count},
            {"no_path_policy", map.no_path_policy},
            {"queueing", map.queueing},
            {"no_path_expired", map.no_path_expired},
            {"state", map.state},
            {"fenced", map.fenced},
            {"deferred", map.deferred},
            {"held_requests", map.held_requests},
            {"held_bytes", map.held_bytes},
            {"held_seconds", seconds_json(map.held_age)},
            {"in_flight", map.in_flight},
            {"retries", map.retries},
            {"held_ever", map.held_ever},
            {"failed_to_client", map.failed_to_client},
            {"groups", std::move(groups)},
            {"exports", map.exports}};
}

json export_json(const ExportSnapshot& from) {
    return {{"name", from.name},
            {"map", from.map},
            {"description", from.description},
            {"read_only", from.read_only},
            {"addresses", from.addresses},
            {"connections", from.connections},
            {"in_flight", from.in_flight},
            {"requests", from.requests},
            {"errors", from.errors}};
}

json status_json(const Snapshot& snapshot) {
    return {{"version", snapshot.version},
            {"pid", snapshot.pid},
            {"uptime_seconds", seconds(snapshot.uptime)},
            {"io_backend", snapshot.io_backend},
            {"config_file", snapshot.config_file},
            {"reloads", snapshot.reloads},
            {"last_reload", snapshot.last_reload},
            {"connections", snapshot.connections},
            {"loop",
             {{"turns", snapshot.loop_turns},
              {"sleeps", snapshot.loop_sleeps},
              {"system_calls", snapshot.loop_system_calls}}},
            {"maps", snapshot.maps.size()},
            {"paths", snapshot.paths.size()},
            {"exports", snapshot.exports.size()}};
}

json topology_json(const Snapshot& snapshot) {
    json maps = json::array();
    for (const MapSnapshot& map : snapshot.maps) {
        json made = map_json(map);
        for (json& group : made["groups"]) {
            json paths = json::array();
            for (const json& name : group["paths"])
                if (const PathSnapshot* path = find_path(snapshot, name.get<std::string>()))
                    paths.push_back(path_json(*path));
            group["paths"] = std::move(paths);
        }
        maps.push_back(std::move(made));
    }
    return {{"maps", std::move(maps)}};
}

json event_json(const EventRecord& event) {
    json made{{"sequence", event.sequence},
              {"time", format_wall_clock(event.wall_clock)},
              {"time_ns", event.wall_clock.count()},
              {"severity", severity_name(event.severity)},
              {"kind", event.kind}};
    if (!event.map.empty()) made["map"] = event.map;
    if (!event.path.empty()) made["path"] = event.path;
    if (event.group != 0) made["group"] = event.group;
    if (event.valid_paths) made["valid_paths"] = *event.valid_paths;
    if (!event.reason.empty()) made["reason"] = event.reason;
    return made;
}

std::string json_document(json value) {
    value["schema"] = json_schema;
    return json_line(value);
}

std::string json_line(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<EventRecord> event_from_json(std::string_view line) {
    const json value = json::parse(line, nullptr, false);
    if (!value.is_object()) return std::nullopt;
    const auto number = [&](const char* key) {
        const auto found = value.find(key);
        return found != value.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
    };
    const auto text = [&](const char* key) {
        const auto found = value.find(key);
        return found != value.end() && found->is_string() ? found->get<std::string>()
                                                          : std::string();
    };
    EventRecord event;
    event.sequence = number("sequence");
    event.kind = text("kind");
    if (event.sequence == 0 || event.kind.empty()) return std::nullopt;
    event.wall_clock = Duration(static_cast<int64_t>(number("time_ns")));
    const std::string severity = text("severity");
    for (size_t at = 0; at < severity_names.size(); ++at)
        if (severity_names[at] == severity) event.severity = static_cast<Severity>(at);
    event.map = text("map");
    event.path = text("path");
    event.group = static_cast<uint32_t>(number("group"));
    if (value.contains("valid_paths"))
        event.valid_paths = static_cast<uint32_t>(number("valid_paths"));
    event.reason = text("reason");
    return event;
}

std::string format_wall_clock(Duration since_1970) {
    using namespace std::chrono;
    const auto whole = floor<milliseconds>(since_1970);
    const auto day = floor<days>(whole);
    const year_month_day date{sys_days(day)};
    const hh_mm_ss time(whole - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int{date.year()},
                       unsigned{date.month()}, unsigned{date.day()}, time.hours().count(),
                       time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

std::string_view severity_name(Severity severity) {
    return severity_names[static_cast<size_t>(severity)];
}

}  // namespace braidway::daemon
