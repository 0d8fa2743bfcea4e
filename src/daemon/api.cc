// SPDX-License-Identifier: Apache-2.0
#include "daemon/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "daemon/api_command.h"
#include "daemon/json.h"
#include "daemon/metrics.h"
#include "daemon/topology.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

using nlohmann::json;

/// Leaves only the one that is called `name`; an empty name leaves all.
template <typename T>
Result<void> keep_only(std::vector<T>& all, std::string_view sort, const std::string& name) {
    if (name.empty()) return {};
    std::vector<std::string> names;
    for (const T& each : all) names.push_back(each.name);
    if (std::ranges::find(names, name) == names.end())
        return fail(fmt::format("no {} is called '{}'{}; there are {}", sort, name,
                                did_you_mean(name, names), list_words(names)),
                    ENOENT);
    std::erase_if(all, [&](const T& each) { return each.name != name; });
    return {};
}

Result<void> keep_area(Snapshot& snapshot, std::string_view area, const std::string& name) {
    if (area == "maps" || area == "topology" || area == "dm")
        return keep_only(snapshot.maps, "map", name);
    if (area == "paths") return keep_only(snapshot.paths, "path", name);
    return keep_only(snapshot.exports, "export", name);
}

json area_json(const Snapshot& snapshot, std::string_view area) {
    if (area == "status") return status_json(snapshot);
    if (area == "topology") return topology_json(snapshot);
    json made = json::array();
    if (area == "maps")
        for (const MapSnapshot& map : snapshot.maps) made.push_back(map_json(map));
    if (area == "dm")
        for (const MapSnapshot& map : snapshot.maps)
            made.push_back(
                {{"name", map.name}, {"table", map.dm_table}, {"status", map.dm_status}});
    if (area == "paths")
        for (const PathSnapshot& path : snapshot.paths) made.push_back(path_json(path));
    if (area == "exports")
        for (const ExportSnapshot& each : snapshot.exports) made.push_back(export_json(each));
    return {{std::string(area), std::move(made)}};
}

std::string area_text(const Snapshot& snapshot, std::string_view area) {
    if (area == "status") return status_text(snapshot);
    if (area == "topology") return topology_text(snapshot);
    if (area == "maps") return maps_text(snapshot);
    if (area == "dm") return dm_text(snapshot);
    if (area == "paths") return paths_text(snapshot);
    return exports_text(snapshot);
}

bool is_area(std::string_view word) {
    return word == "status" || word == "topology" || word == "maps" || word == "dm" ||
           word == "paths" || word == "exports";
}

std::string query_value(const ApiRequest& request, const std::string& key) {
    const auto found = request.query.find(key);
    return found == request.query.end() ? std::string() : found->second;
}

}  // namespace

ApiReply Api::answer(const ApiRequest& request) const {
    std::vector<std::string> words = split_words(request.path, '/');
    const bool get = request.method == "GET" || request.method == "HEAD";
    if (words.size() == 1 && words[0] == "metrics" && get) {
        const Result<Snapshot> snapshot = target_.snapshot();
        if (!snapshot) return error_reply(snapshot.error());
        return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(*snapshot)};
    }
    if (words.empty() || words[0] != "v1")
        return error_reply(404, "there is no such page; everything is under /v1/, and /metrics");
    words.erase(words.begin());
    const bool shows =
        !words.empty() && is_area(words[0]) && words.size() <= (words[0] == "status" ? 1u : 2u);
    if (shows && get) return show(request, words);
    if (shows) return error_reply(405, "this request is made with GET");
    if (words.size() == 1 && words[0] == "events") return all_events(request);
    return command(request, words);
}

ApiReply Api::show(const ApiRequest& request, const std::vector<std::string>& words) const {
    const std::string format = query_value(request, "format");
    if (!format.empty() && format != "text" && format != "json")
        return error_reply(400, fmt::format("format: '{}'; expected text or json", format));
    Result<Snapshot> snapshot = target_.snapshot();
    if (!snapshot) return error_reply(snapshot.error());
    const std::string& area = words[0];
    if (const Result<void> kept = keep_area(*snapshot, area, words.size() > 1 ? words[1] : "");
        !kept)
        return error_reply(kept.error());
    if (format == "text") return {200, "text/plain; charset=utf-8", area_text(*snapshot, area)};
    return {200, "application/json", json_document(area_json(*snapshot, area))};
}

ApiReply Api::command(const ApiRequest& request, const std::vector<std::string>& words) const {
    const Result<Command> command = read_command(request.method, words, request.body);
    if (!command) return error_reply(command.error());
    const Result<std::string> done = target_.execute(*command);
    if (!done) return error_reply(done.error());
    return {200, "application/json", json_document({{"message", *done}})};
}

ApiReply Api::all_events(const ApiRequest& request) const {
    if (request.method != "GET") return error_reply(405, "this request is made with GET");
    const Result<uint64_t> first = first_event(request);
    if (!first) return error_reply(first.error());
    const uint64_t end = events_.next_sequence();
    ApiReply reply{200, "application/x-ndjson", {}};
    for (uint64_t next = *first; next < end;) {
        const EventRing::Batch batch = events_.read(next);
        reply.body += event_lines(batch);
        next = batch.next;
    }
    return reply;
}

Result<uint64_t> Api::first_event(const ApiRequest& request) {
    const std::string since = query_value(request, "since");
    if (since.empty()) return 1;
    uint64_t number = 0;
    const char* end = since.data() + since.size();
    const auto read = std::from_chars(since.data(), end, number);
    if (read.ec != std::errc{} || read.ptr != end || number == UINT64_MAX)
        return fail(fmt::format("since: '{}'; expected the number of an event", since), EINVAL);
    return number + 1;
}

std::string Api::event_lines(const EventRing::Batch& batch) {
    std::string lines;
    if (batch.lost != 0) lines += json_document({{"lost", batch.lost}});
    for (const EventRecord& event : batch.records) lines += json_document(event_json(event));
    return lines;
}

ApiReply error_reply(int status, std::string message) {
    return {status, "application/json", json_document({{"error", std::move(message)}})};
}

ApiReply error_reply(const Error& error) {
    switch (error.code) {
        case ENOENT:
            return error_reply(404, error.message);
        case EINVAL:
            return error_reply(400, error.message);
        case EPROTOTYPE:
            return error_reply(405, error.message);
        case EBUSY:
        case EEXIST:
            return error_reply(409, error.message);
        case ETIMEDOUT:
            return error_reply(503, error.message);
        default:
            return error_reply(500, error.message);
    }
}

}  // namespace braidway::daemon
