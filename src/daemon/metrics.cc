// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.h"

#include <fmt/format.h>

#include <chrono>

namespace braidway::daemon {
namespace {

/// Collects samples under their HELP and TYPE lines.
class Exposition {
  public:
    /// Starts the next metric.
    void metric(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_ +=
            fmt::format("# HELP braidway_{} {}\n# TYPE braidway_{} {}\n", name, help, name, type);
    }
    void sample(std::string_view labels, uint64_t value) {
        text_ += fmt::format("braidway_{}{} {}\n", name_,
                             labels.empty() ? "" : fmt::format("{{{}}}", labels), value);
    }
    std::string take() { return std::move(text_); }

  private:
    std::string name_;
    std::string text_;
};

std::string label(std::string_view name, std::string_view value) {
    std::string escaped;
    for (const char each : value) {
        if (each == '\n') {
            escaped += "\\n";
            continue;
        }
        if (each == '"' || each == '\\') escaped += '\\';
        escaped += each;
    }
    return fmt::format("{}=\"{}\"", name, escaped);
}

void daemon_metrics(Exposition& out, const Snapshot& snapshot) {
    out.metric("info", "gauge", "The daemon; always 1.");
    out.sample(label("version", snapshot.version) + "," + label("io_backend", snapshot.io_backend),
               1);
    out.metric("uptime_seconds", "gauge", "Since the start.");
    out.sample("", static_cast<uint64_t>(
                       std::chrono::duration_cast<std::chrono::seconds>(snapshot.uptime).count()));
    out.metric("reloads_total", "counter", "Configurations read again.");
    out.sample("", snapshot.reloads);
    out.metric("connections", "gauge", "Clients connected now.");
    out.sample("", snapshot.connections);
    out.metric("loop_turns_total", "counter", "Turns of the event loop.");
    out.sample("", snapshot.loop_turns);
    out.metric("loop_sleeps_total", "counter", "Times that the event loop slept.");
    out.sample("", snapshot.loop_sleeps);
    out.metric("loop_system_calls_total", "counter", "System calls of the event loop.");
    out.sample("", snapshot.loop_system_calls);
}

/// One metric over all maps, paths or exports.
template <typename T, typename Value>
void each(Exposition& out, const std::vector<T>& all, std::string_view label_name,
          std::string_view name, std::string_view type, std::string_view help, Value value) {
    out.metric(name, type, help);
    for (const T& one : all) out.sample(label(label_name, one.name), value(one));
}

void map_metrics(Exposition& out, const std::vector<MapSnapshot>& maps) {
    using Map = MapSnapshot;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         auto value) { each(out, maps, "map", name, type, help, value); };
    add("map_size_bytes", "gauge", "Size.", [](const Map& map) { return map.size_bytes; });
    add("map_paths", "gauge", "Configured paths.", [](const Map& map) { return map.path_count; });
    add("map_valid_paths", "gauge", "Paths that are up.",
        [](const Map& map) { return map.valid_paths; });
    add("map_current_group", "gauge", "The group that I/O goes to.",
        [](const Map& map) { return map.current_group; });
    add("map_queueing", "gauge", "1 when I/O is held while there is no path.",
        [](const Map& map) { return map.queueing ? 1u : 0u; });
    add("map_no_path_expired", "gauge", "1 when I/O fails because no_path_timeout has passed.",
        [](const Map& map) { return map.no_path_expired ? 1u : 0u; });
    add("map_suspended", "gauge", "1 while the map is suspended, or on the way there.",
        [](const Map& map) { return map.state == "running" ? 0u : 1u; });
    add("map_fenced_requests", "gauge", "Writes that may still happen on a failed path, and wait.",
        [](const Map& map) { return map.fenced; });
    add("map_deferred_requests", "gauge", "Requests that wait for the end of a suspension.",
        [](const Map& map) { return map.deferred; });
    add("map_in_flight", "gauge", "Requests in flight.",
        [](const Map& map) { return map.in_flight; });
    add("map_held_requests", "gauge", "Requests held.",
        [](const Map& map) { return map.held_requests; });
    add("map_held_bytes", "gauge", "Bytes of held requests.",
        [](const Map& map) { return map.held_bytes; });
    add("map_held_total", "counter", "Requests that were held.",
        [](const Map& map) { return map.held_ever; });
    add("map_retries_total", "counter", "Requests sent again after a path error.",
        [](const Map& map) { return map.retries; });
    add("map_errors_total", "counter", "Requests answered with an error.",
        [](const Map& map) { return map.failed_to_client; });
}

void path_io_metrics(Exposition& out, const std::vector<PathSnapshot>& paths) {
    out.metric("path_ios_total", "counter", "Completed I/Os, with or without error.");
    for (const PathSnapshot& path : paths) {
        out.sample(label("path", path.name) + ",op=\"read\"", path.reads);
        out.sample(label("path", path.name) + ",op=\"write\"", path.writes);
        out.sample(label("path", path.name) + ",op=\"other\"", path.others);
    }
    out.metric("path_bytes_total", "counter", "Bytes moved.");
    for (const PathSnapshot& path : paths) {
        out.sample(label("path", path.name) + ",op=\"read\"", path.read_bytes);
        out.sample(label("path", path.name) + ",op=\"write\"", path.written_bytes);
    }
    out.metric("path_io_errors_total", "counter", "Completed I/Os by class of error.");
    for (const PathSnapshot& path : paths)
        for (unsigned at = 1; at < io_statuses; ++at)
            if (path.outcomes[at] != 0)
                out.sample(label("path", path.name) + "," +
                               label("class", io_status_name(static_cast<IoStatus>(at))),
                           path.outcomes[at]);
}

/// What became of writes whose answers were lost.
void fabric_metrics(Exposition& out, const std::vector<PathSnapshot>& all) {
    using Path = PathSnapshot;
    std::vector<Path> paths;
    for (const Path& path : all)
        if (path.fabric) paths.push_back(path);
    each(out, paths, "path", "path_connects_total", "counter",
         "Times that the path was connected, the first included.",
         [](const Path& path) { return path.connects; });
    each(out, paths, "path", "path_doubtful_writes_total", "counter",
         "Writes whose answers were lost.", [](const Path& path) { return path.doubtful_writes; });
    each(out, paths, "path", "path_unsettled_writes", "gauge",
         "Writes that may still happen, and are held.",
         [](const Path& path) { return path.unsettled_writes; });
    each(out, paths, "path", "path_resend_risks_total", "counter",
         "Writes sent again after resend_quiesce, without proof.",
         [](const Path& path) { return path.resend_risks; });
    each(out, paths, "path", "path_doubt_milliseconds_total", "counter",
         "How long there were writes that might still happen.", [](const Path& path) {
             return static_cast<uint64_t>(
                 std::chrono::duration_cast<std::chrono::milliseconds>(path.doubt_time).count());
         });
    each(out, paths, "path", "path_fenced_off", "gauge", "1 when the path leads to another volume.",
         [](const Path& path) { return path.fenced_off ? 1 : 0; });
}

void path_metrics(Exposition& out, const std::vector<PathSnapshot>& paths) {
    out.metric("path_up", "gauge", "1 when the path takes I/O.");
    for (const PathSnapshot& path : paths)
        out.sample(label("path", path.name) + "," + label("map", path.map),
                   path.state == "up" ? 1 : 0);
    using Path = PathSnapshot;
    each(out, paths, "path", "path_failures_total", "counter", "Times that the path failed.",
         [](const Path& path) { return path.fail_count; });
    each(out, paths, "path", "path_in_flight", "gauge", "I/Os in flight.",
         [](const Path& path) { return path.in_flight; });
    path_io_metrics(out, paths);
    fabric_metrics(out, paths);
}

void export_metrics(Exposition& out, const std::vector<ExportSnapshot>& exports) {
    using Export = ExportSnapshot;
    each(out, exports, "export", "export_connections", "gauge", "Clients connected now.",
         [](const Export& one) { return one.connections; });
    each(out, exports, "export", "export_in_flight", "gauge", "Requests in flight.",
         [](const Export& one) { return one.in_flight; });
    each(out, exports, "export", "export_requests_total", "counter", "Requests answered.",
         [](const Export& one) { return one.requests; });
    each(out, exports, "export", "export_errors_total", "counter",
         "Requests answered with an error.", [](const Export& one) { return one.errors; });
}

}  // namespace

std::string metrics_text(const Snapshot& snapshot) {
    Exposition out;
    daemon_metrics(out, snapshot);
    map_metrics(out, snapshot.maps);
    path_metrics(out, snapshot.paths);
    export_metrics(out, snapshot.exports);
    return out.take();
}

}  // namespace braidway::daemon
