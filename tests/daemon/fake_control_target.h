// SPDX-License-Identifier: Apache-2.0
// A daemon made of values: two maps, three paths, one export; remembers what it was told to do.
#pragma once

#include <cerrno>
#include <mutex>
#include <vector>

#include "daemon/control.h"

namespace braidway::daemon {

inline PathSnapshot sample_path(const std::string& name, uint32_t group) {
    PathSnapshot path;
    path.name = name;
    path.map = "db";
    path.group = group;
    path.device = "file:/srv/" + name + ".img";
    path.state = "up";
    path.check = "ready";
    path.io_mode = "direct";
    path.size_bytes = 1u << 30;
    path.block_bytes = 512;
    path.checked_ago = std::chrono::milliseconds(1500);
    path.check_message = "read the first block";
    path.next_check_in = std::chrono::seconds(5);
    path.reads = 120;
    path.read_bytes = 120 * 4096;
    return path;
}

/// One map with a failed path, and one without a path.
inline Snapshot sample_snapshot() {
    Snapshot snapshot;
    snapshot.version = "0.1.0";
    snapshot.pid = 42;
    snapshot.uptime = std::chrono::seconds(90);
    snapshot.io_backend = "io_uring";
    snapshot.config_file = "/etc/braidway/braidway.toml";
    snapshot.reloads = 1;
    snapshot.last_reload = "ok";
    snapshot.connections = 2;
    snapshot.paths = {sample_path("a1", 1), sample_path("a22", 1), sample_path("b1", 2)};
    PathSnapshot& failed = snapshot.paths[1];
    failed.state = "down";
    failed.held_down = true;
    failed.check = "faulty";
    failed.fail_count = 1;
    failed.failed_by = "operator";
    failed.failure_reason = "fail path";
    failed.failed_ago = std::chrono::seconds(3);
    failed.outcomes[static_cast<size_t>(IoStatus::transport)] = 2;
    failed.layers = {{"error", true, "class=transport ops=all"}, {"delay", false, "read=0s"}};
    MapSnapshot map;
    map.name = "db";
    map.size_bytes = 1u << 30;
    map.block_bytes = 512;
    map.current_group = 1;
    map.valid_paths = 2;
    map.path_count = 3;
    map.no_path_policy = "60 s";
    map.queueing = true;
    map.groups = {{1, "controller A", "active", "round-robin", {"a1", "a22"}},
                  {2, "", "enabled", "service-time", {"b1"}}};
    map.exports = {"db"};
    MapSnapshot empty;
    empty.name = "spare";
    empty.no_path_policy = "fail";
    empty.read_only = true;
    snapshot.maps = {map, empty};
    snapshot.exports = {{"db",
                         "db",
                         "the \"database\"",
                         false,
                         {"unix:/run/db.sock", "tcp:127.0.0.1:10809"},
                         2,
                         0,
                         150,
                         1}};
    return snapshot;
}

/// Answers with sample_snapshot(), knows the path a1 and the map db, and can be told to hang.
class FakeControlTarget final : public ControlTarget {
  public:
    Result<Snapshot> snapshot() override {
        const std::lock_guard lock(mutex_);
        if (stuck_) return fail("the daemon did not answer within 5 s", ETIMEDOUT);
        return sample_snapshot();
    }

    Result<std::string> execute(const Command& command) override {
        const std::lock_guard lock(mutex_);
        if (stuck_) return fail("the daemon did not answer within 5 s", ETIMEDOUT);
        if (!command.path.empty() && command.path != "a1")
            return fail("no path is called '" + command.path + "'; there are a1", ENOENT);
        if (!command.map.empty() && command.map != "db")
            return fail("no map is called '" + command.map + "'; there are db", ENOENT);
        if (command.group > 2) return fail("map db: group 3: there are groups 1 to 2", EINVAL);
        commands_.push_back(command);
        return std::string("done");
    }

    void get_stuck() {
        const std::lock_guard lock(mutex_);
        stuck_ = true;
    }
    std::vector<Command> commands() const {
        const std::lock_guard lock(mutex_);
        return commands_;
    }

  private:
    mutable std::mutex mutex_;
    bool stuck_ = false;
    std::vector<Command> commands_;
};

}  // namespace braidway::daemon
