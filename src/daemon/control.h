// SPDX-License-Identifier: Apache-2.0
// What the control API asks of the running daemon, and the values it gets back. API threads see
// only these values, never the state of a lane.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/io.h"
#include "base/time.h"

namespace braidway::daemon {

/// One small device on a path, as it is now.
struct LayerSnapshot {
    std::string kind;  ///< "delay", "error", "flakey", "linear".
    bool enabled = true;
    std::string parameters;  ///< "read=5 ms write=0 s": as `set path` takes them.
};

/// One path, as it is now.
struct PathSnapshot {
    std::string name;
    std::string map;         ///< Empty when no map uses it.
    uint32_t group = 0;      ///< From 1.
    std::string device;      ///< "file:/srv/disk.img".
    std::string state;       ///< "up", "down".
    bool held_down = false;  ///< Failed by an operator with --hold.
    std::string check;       ///< "ready", "faulty", "pending", "unchecked", "timeout".
    std::string io_mode;     ///< "direct", "buffered", "memory".
    uint64_t size_bytes = 0;
    uint32_t block_bytes = 0;
    uint32_t fail_count = 0;
    uint32_t in_flight = 0;
    uint64_t in_flight_bytes = 0;
    uint64_t reads = 0, writes = 0, others = 0;  ///< Completed, with or without error.
    uint64_t read_bytes = 0, written_bytes = 0;
    std::array<uint64_t, io_statuses> outcomes{};  ///< Completed I/Os by IoStatus.
    std::string failed_by;  ///< "I/O error", "check", "operator", "stall"; empty = never failed.
    std::string failure_reason;
    std::optional<Duration> failed_ago;
    std::optional<Duration> checked_ago;  ///< The end of the last check.
    std::string check_message;            ///< What the last check said.
    std::optional<Duration> next_check_in;
    std::vector<LayerSnapshot> layers;
    // --- of a path over a network ---
    bool fabric = false;
    bool fenced_off = false;        ///< It leads to another volume; nothing is written to it.
    std::string identity;           ///< Of what it leads to.
    std::string connection;         ///< "nbd host:10809 export 'disk', 4 connections"; the last.
    uint64_t connects = 0;          ///< Times that it was connected, the first included.
    uint64_t doubtful_writes = 0;   ///< Whose answers were lost, ever.
    uint32_t unsettled_writes = 0;  ///< Of them, those that may still happen.
    uint64_t resend_risks = 0;      ///< Of them, those that only time has settled.
    Duration doubt_time{};          ///< How long there was doubt.
};

/// One priority group of a map, as it is now.
struct GroupSnapshot {
    uint32_t number = 0;   ///< From 1.
    std::string name;      ///< For people: "controller A". May be empty.
    std::string state;     ///< "active", "enabled", "disabled".
    std::string selector;  ///< "round-robin", "service-time".
    std::vector<std::string> paths;
};

/// One map, as it is now.
struct MapSnapshot {
    std::string name;
    uint64_t size_bytes = 0;
    uint32_t block_bytes = 0;
    bool read_only = false;
    uint32_t current_group = 0;
    uint32_t valid_paths = 0;
    uint32_t path_count = 0;
    std::string no_path_policy;  ///< "60 s", "queue", "fail".
    bool queueing = false;       ///< Would hold I/O now if there were no path.
    bool no_path_expired = false;
    std::string state;  ///< "running", "suspending", "suspended".
    uint32_t held_requests = 0;
    uint64_t held_bytes = 0;
    std::optional<Duration> held_age;  ///< Of the oldest held request.
    uint32_t in_flight = 0;
    uint32_t fenced = 0;            ///< Writes that may still happen on a failed path, and wait.
    uint32_t deferred = 0;          ///< Requests that wait for the end of a suspension.
    uint64_t retries = 0;           ///< Requests sent again after a path error.
    uint64_t held_ever = 0;         ///< Requests that were held at some time.
    uint64_t failed_to_client = 0;  ///< Requests answered with an error.
    std::vector<GroupSnapshot> groups;
    std::vector<std::string> exports;
    std::string dm_table;   ///< As `dmsetup table` would show the map.
    std::string dm_status;  ///< As `dmsetup status` would.
};

/// One export, as it is now.
struct ExportSnapshot {
    std::string name;
    std::string map;
    std::string description;
    bool read_only = false;
    std::vector<std::string> addresses;  ///< "unix:/run/db.sock", "tcp:127.0.0.1:10809".
    uint32_t connections = 0;
    uint32_t in_flight = 0;
    uint64_t requests = 0;
    uint64_t errors = 0;
};

/// The whole daemon at one moment: a copy that nobody changes.
struct Snapshot {
    std::string version;
    uint32_t pid = 0;
    Duration uptime{};
    std::string io_backend;   ///< Loop::description().
    std::string config_file;  ///< Empty for the demo.
    uint64_t reloads = 0;
    std::string last_reload;  ///< "ok", or why the last one changed nothing.
    uint64_t connections = 0;
    uint64_t loop_turns = 0, loop_sleeps = 0, loop_system_calls = 0;
    std::vector<MapSnapshot> maps;
    std::vector<PathSnapshot> paths;
    std::vector<ExportSnapshot> exports;
};

/// Something to do. Names are checked by the daemon, which answers with the known ones.
struct Command {
    enum class Kind : uint8_t {
        fail_path,
        reinstate_path,
        switch_group,
        disable_group,
        enable_group,
        queue_if_no_path,
        fail_if_no_path,
        suspend_map,
        resume_map,
        set_layer,
        check_path,  ///< Check it now.
        reload,      ///< As SIGHUP.
    };
    struct Parameter {
        std::string key;
        std::string value;
    };
    Kind kind = Kind::fail_path;
    std::string path;
    std::string map;
    uint32_t group = 0;
    bool hold = false;     ///< fail_path: good checks do not undo it.
    bool noflush = false;  ///< suspend_map: held I/O is kept.
    std::string layer;     ///< set_layer: "delay", "error", "flakey".
    std::optional<bool> enabled;
    std::vector<Parameter> parameters;  ///< set_layer: "read" = "5 ms", "class" = "transport"...
};

/// How loudly an event is told.
enum class Severity : uint8_t { debug, info, warning, critical };

/// Something that happened, for the log and for `events --follow`.
struct EventRecord {
    uint64_t sequence = 0;  ///< From 1, no gaps; a follower that misses some is told how many.
    Duration wall_clock{};  ///< Since 1970.
    Severity severity = Severity::info;
    std::string kind;  ///< "path-failed", "path-reinstated", "group-switched", "no-paths-left"...
    std::string map, path;
    uint32_t group = 0;
    std::optional<uint32_t> valid_paths;  ///< Left in the map after it.
    std::string reason;
};

/// The running daemon as the API sees it. Implemented by daemon/assembly.
/// Threads: any; each call waits for the lane, at most limits::api_deadline, and then fails with
/// code ETIMEDOUT.
class ControlTarget {
  public:
    virtual ~ControlTarget() = default;
    virtual Result<Snapshot> snapshot() = 0;
    /// Does it, or says why not: code ENOENT for an unknown name, EINVAL for a wrong value. The
    /// text of success is one line for the user.
    virtual Result<std::string> execute(const Command& command) = 0;
};

}  // namespace braidway::daemon
