// SPDX-License-Identifier: Apache-2.0
// What runs on the lane of a daemon: its volumes and exports, and how they are changed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/event_ring.h"
#include "daemon/exports.h"
#include "daemon/fabric_paths.h"
#include "daemon/volume.h"

namespace braidway::daemon {

/// A new configuration with everything opened that may sleep: made by the control thread.
struct Wanted {
    struct Map {
        MapConfig config;
        std::vector<WantedPath> paths;  ///< In table order; `kept` is filled in on the lane.
    };
    Config config;
    std::vector<Map> maps;  ///< Those that are new, or whose table or a path of theirs changes.
    std::vector<std::string> maps_removed;
    std::vector<std::string> exports_removed;
    std::vector<WantedExport> exports_added;
    /// Replaced: old clients are drained and closed, new ones are served at once.
    std::vector<WantedExport> exports_changed;
    /// Exports that stay, with their certificates or keys read anew.
    std::vector<std::pair<std::string, TlsContextPointer>> tls_renewed;
    /// The same of paths that stay.
    std::vector<std::pair<std::string, std::shared_ptr<PathTls>>> path_tls_renewed;
    /// Names of paths that are kept as they are.
    std::vector<std::string> paths_kept;
};

/// Everything on the lane.
///
/// Threads: the lane's.
class Running final : private map::MapObserver {
  public:
    Running(loop::Loop& loop, memory::BufferPool& pool, path::FileStores& stores,
            EventSink& events);
    ~Running();

    /// Makes the devices of paths over a network for an apply() that follows, and connects them;
    /// `done` is called when all have been answered.
    void connect_fabrics(const std::vector<FabricWish>& paths, std::function<void()> done);
    /// Applies `wanted`, or changes nothing and says why.
    Result<void> apply(Wanted wanted);
    Result<std::string> execute(const Command& command);
    void fill_snapshot(Snapshot& snapshot);

    /// No new connections and requests; held ones are answered. `done` is called once, when the
    /// last request has been answered and every map flushed, or when `deadline` has passed: then
    /// with what is stuck.
    void shut_down(Duration deadline, std::function<void(Result<void>)> done);
    /// Destroys everything, after shut_down().
    void clear();
    /// Nothing is left in the graveyard: clear() has ended.
    bool gone() const { return closing_.empty() && graveyard_.size() == 0; }

  private:
    /// The last flush of one map, with a request of its own.
    struct Flush final : block::CompletionStage {
        block::Request request;
        std::string map;
        bool done = false;

        void completed(block::Request& ended) override {
            ended.pop();
            done = true;
        }
    };
    struct Prepared {
        Volume* volume = nullptr;
        Volume::Change change;
    };

    void map_event(const std::string& map, const multipath::Action& action,
                   const std::string& path) override;
    void tell(Severity severity, std::string kind, std::string map, std::string path,
              std::string reason);
    Result<void> build(Wanted& wanted, std::vector<Prepared>& prepared,
                       std::vector<std::unique_ptr<Volume>>& fresh);
    Result<void> apply_built(Wanted& wanted, std::vector<Prepared>& prepared,
                             std::vector<std::unique_ptr<Volume>>& fresh);
    Result<void> check_renewed_tls(const Wanted& wanted);
    void renew_tls(const Wanted& wanted);
    void remove_maps(const std::vector<std::string>& names);
    void tell_path_opened(const PathUnit& unit);
    Volume* find_volume(const std::string& name);
    std::pair<Volume*, PathUnit*> find_path(const std::string& name);
    Result<Volume*> volume_or_error(const std::string& name);
    Result<std::string> path_command(const Command& command);
    Result<std::string> suspend_or_resume(const Command& command);
    Result<std::string> map_command(const Command& command);
    void sweep();
    void drain_step(Instant now);
    void flush_idle();
    bool idle(const Volume& volume) const;
    bool give_up_flushes();
    std::string stuck_text() const;
    std::string unflushed_text() const;

    loop::Loop& loop_;
    EventSink& events_;
    Graveyard graveyard_;
    FabricNursery nursery_;
    Volume::Surroundings surroundings_;
    std::vector<std::unique_ptr<Volume>> volumes_;
    std::vector<std::unique_ptr<Volume>> closing_;  ///< Removed; their last requests are out.
    Exports exports_;
    loop::Timer sweep_timer_;

    // Shutdown.
    bool shutting_down_ = false;
    bool aborted_ = false;
    Instant drain_deadline_;
    loop::Timer drain_timer_;
    std::function<void(Result<void>)> drained_;
    std::vector<std::unique_ptr<Flush>> flushes_;
    std::vector<std::string> unflushed_;  ///< Maps whose last flush found no path.
};

}  // namespace braidway::daemon
