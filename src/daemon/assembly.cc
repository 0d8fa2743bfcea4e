// SPDX-License-Identifier: Apache-2.0
#include "daemon/assembly.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "daemon/config_diff.h"
#include "daemon/lane.h"
#include "daemon/running.h"
#include "daemon/version.h"

namespace braidway::daemon {
namespace {

loop::Backend loop_backend(IoBackend backend) {
    switch (backend) {
        case IoBackend::automatic:
            return loop::Backend::automatic;
        case IoBackend::io_uring:
            return loop::Backend::io_uring;
        case IoBackend::epoll:
            return loop::Backend::epoll;
    }
    return loop::Backend::automatic;
}

Error stuck_lane() {
    return {"the lane is stuck in a call of the kernel and did not answer in time", ETIMEDOUT};
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

/// The one assembly there is: one lane, and the control thread's side of it.
class OneLaneAssembly final : public Assembly {
  public:
    OneLaneAssembly(std::unique_ptr<Lane> lane, EventSink& events)
        : lane_(std::move(lane)), events_(events), started_(monotonic_now()) {}
    ~OneLaneAssembly() override;

    Result<void> begin(Config config);
    Result<Snapshot> snapshot() override;
    Result<std::string> execute(const Command& command) override;
    Result<std::string> reload(Config config) override;
    Result<void> shut_down(Duration timeout) override;

  private:
    template <typename T>
    Result<T> on_lane(std::function<Result<T>()> work);
    Result<Wanted> prepare(const Config& config, const ConfigDiff& diff);
    Result<void> connect_fabrics(const Wanted& wanted);
    Result<void> shut_down_locked(Duration timeout);
    std::vector<WantedPath> open_paths(const Config& config, const MapConfig& map,
                                       const std::vector<std::string>& kept);

    path::FileStores stores_;
    std::unique_ptr<Lane> lane_;
    EventSink& events_;
    const Instant started_;
    std::unique_ptr<Running> running_;  ///< Made, used and destroyed on the lane.
    std::mutex control_;                ///< One reload or shutdown at a time; guards the rest.
    Config config_;
    bool shut_down_ = false;
};

/// Runs `work` on the lane. What it captures must live until it has run, even after a time-out.
template <typename T>
Result<T> OneLaneAssembly::on_lane(std::function<Result<T>()> work) {
    auto answer = std::make_shared<Result<T>>(std::unexpected(stuck_lane()));
    if (!lane_->call([answer, work = std::move(work)] { *answer = work(); }, limits::api_deadline))
        return std::unexpected(stuck_lane());
    return std::move(*answer);
}

OneLaneAssembly::~OneLaneAssembly() {
    if (!shut_down_ && running_ != nullptr) (void)shut_down(Duration(0));
    if (running_ == nullptr) return;
    // Something is stuck in the kernel and may still write into memory of ours: all of it stays
    // until the process ends.
    (void)running_.release();
    (void)lane_.release();
}

std::vector<WantedPath> OneLaneAssembly::open_paths(const Config& config, const MapConfig& map,
                                                    const std::vector<std::string>& kept) {
    std::vector<WantedPath> paths;
    for (const GroupConfig& group : map.groups)
        for (const GroupPath& place : group.paths) {
            WantedPath& wanted = paths.emplace_back();
            wanted.config = *config.path(place.path);
            if (!contains(kept, place.path)) wanted.opened = open_path(wanted.config, stores_);
        }
    return paths;
}

Result<Wanted> OneLaneAssembly::prepare(const Config& config, const ConfigDiff& diff) {
    Wanted wanted;
    wanted.config = config;
    wanted.maps_removed = diff.maps_removed;
    wanted.exports_removed = diff.exports_removed;
    std::vector<std::string> touched = diff.paths_added;
    for (const PathChange& change : diff.paths_changed)
        if (change.layers || change.io_timeout) touched.push_back(change.name);
    for (const PathConfig& path : config.paths)
        if (!contains(touched, path.name)) wanted.paths_kept.push_back(path.name);
    for (const MapConfig& map : config.maps) {
        bool changes = contains(diff.maps_added, map.name) ||
                       std::ranges::find(diff.maps_changed, map.name, &MapChange::name) !=
                           diff.maps_changed.end();
        for (const GroupConfig& group : map.groups)
            for (const GroupPath& place : group.paths)
                changes = changes || contains(touched, place.path);
        // The paths of a new map are all new: one that another map had is a different one.
        if (changes) wanted.maps.push_back({map, open_paths(config, map, wanted.paths_kept)});
    }
    // Addresses that are served now are kept, also from an export that leaves in this change.
    std::vector<std::string> served;
    for (const ExportConfig& old : config_.exports)
        for (const Address& address : old.nbd) served.push_back(address.text());
    const auto open = [&](const std::string& name, std::vector<WantedExport>& to) -> Result<void> {
        auto opened = open_export(*config.find_export(name), served, limits::listen_patience);
        if (!opened) return std::unexpected(opened.error());
        for (const Address& address : opened->config.nbd) served.push_back(address.text());
        to.push_back(std::move(*opened));
        return {};
    };
    for (const std::string& name : diff.exports_added)
        if (auto opened = open(name, wanted.exports_added); !opened)
            return std::unexpected(opened.error());
    for (const ExportChange& change : diff.exports_changed)
        if (auto opened = open(change.name, wanted.exports_changed); !opened)
            return std::unexpected(opened.error());
    // A reload is how certificates are renewed, whatever else it changes.
    for (const ExportConfig& each : config.exports) {
        const bool fresh = contains(diff.exports_added, each.name) ||
                           std::ranges::find(diff.exports_changed, each.name,
                                             &ExportChange::name) != diff.exports_changed.end();
        if (fresh || each.tls == wire::NbdTls::off) continue;
        auto context = open_tls(each);
        if (!context) return std::unexpected(context.error());
        wanted.tls_renewed.emplace_back(each.name, std::move(*context));
    }
    for (const PathConfig& path : config.paths)
        if (contains(wanted.paths_kept, path.name))
            if (auto renewed = open_path_tls(path); renewed != nullptr)
                wanted.path_tls_renewed.emplace_back(path.name, std::move(renewed));
    return wanted;
}

/// Has the lane connect every path over a network that is new, all at once, and waits for them.
Result<void> OneLaneAssembly::connect_fabrics(const Wanted& wanted) {
    std::vector<FabricWish> paths;
    Duration longest{};
    for (const Wanted::Map& map : wanted.maps)
        for (const WantedPath& path : map.paths)
            if (path.config.device.is_fabric() && !contains(wanted.paths_kept, path.config.name)) {
                paths.push_back({path.config, path.opened.tls});
                longest = std::max(longest, connect_timeout_of(path.config));
            }
    if (paths.empty()) return {};
    struct Outcome {
        std::mutex mutex;
        std::condition_variable changed;
        bool answered = false;
    };
    auto outcome = std::make_shared<Outcome>();
    const bool begun = lane_->call(
        [this, outcome, paths = std::move(paths)] {
            running_->connect_fabrics(paths, [outcome] {
                const std::lock_guard lock(outcome->mutex);
                outcome->answered = true;
                outcome->changed.notify_one();
            });
        },
        limits::api_deadline);
    if (!begun) return std::unexpected(stuck_lane());
    std::unique_lock lock(outcome->mutex);
    if (!outcome->changed.wait_for(lock, longest + limits::api_deadline,
                                   [&] { return outcome->answered; }))
        return std::unexpected(stuck_lane());
    return {};
}

Result<void> OneLaneAssembly::begin(Config config) {
    const std::lock_guard lock(control_);
    ConfigDiff everything;
    for (const PathConfig& path : config.paths) everything.paths_added.push_back(path.name);
    for (const MapConfig& map : config.maps) everything.maps_added.push_back(map.name);
    for (const ExportConfig& served : config.exports)
        everything.exports_added.push_back(served.name);
    auto wanted = prepare(config, everything);
    if (!wanted) return std::unexpected(wanted.error());
    auto shared = std::make_shared<Wanted>(std::move(*wanted));
    auto applied = on_lane<bool>([this]() -> Result<bool> {
        running_ = std::make_unique<Running>(lane_->loop(), lane_->pool(), stores_, events_);
        return true;
    });
    if (applied)
        if (auto connected = connect_fabrics(*shared); !connected)
            applied = std::unexpected(connected.error());
    if (applied)
        applied = on_lane<bool>([this, shared]() -> Result<bool> {
            if (auto done = running_->apply(std::move(*shared)); !done)
                return std::unexpected(done.error());
            return true;
        });
    if (!applied) {
        shut_down_ = true;
        (void)shut_down_locked(Duration(0));
        return std::unexpected(applied.error());
    }
    config_ = std::move(config);
    return {};
}

Result<Snapshot> OneLaneAssembly::snapshot() {
    auto taken = on_lane<Snapshot>([this]() -> Result<Snapshot> {
        Snapshot snapshot;
        if (running_ != nullptr) running_->fill_snapshot(snapshot);
        return snapshot;
    });
    if (!taken) return taken;
    taken->version = version();
    taken->pid = static_cast<uint32_t>(getpid());
    taken->uptime = monotonic_now() - started_;
    return taken;
}

Result<std::string> OneLaneAssembly::execute(const Command& command) {
    return on_lane<std::string>([this, command]() -> Result<std::string> {
        if (running_ == nullptr) return fail("the daemon is shutting down", ESHUTDOWN);
        return running_->execute(command);
    });
}

Result<std::string> OneLaneAssembly::reload(Config config) {
    const std::lock_guard lock(control_);
    if (shut_down_) return fail("the daemon is shutting down", ESHUTDOWN);
    auto diff = diff_configs(config_, config);
    if (!diff) return fail(problems_line(diff.error()), EINVAL);
    auto wanted = prepare(config, *diff);
    if (!wanted) return std::unexpected(wanted.error());
    const bool renewed = !wanted->tls_renewed.empty() || !wanted->path_tls_renewed.empty();
    if (auto connected = connect_fabrics(*wanted); !connected)
        return std::unexpected(connected.error());
    auto shared = std::make_shared<Wanted>(std::move(*wanted));
    auto applied = on_lane<bool>([this, shared]() -> Result<bool> {
        if (auto done = running_->apply(std::move(*shared)); !done)
            return std::unexpected(done.error());
        return true;
    });
    if (!applied) return std::unexpected(applied.error());
    config_ = std::move(config);
    return diff->summary() + (renewed ? "; certificates and keys read again" : "");
}

Result<void> OneLaneAssembly::shut_down(Duration timeout) {
    const std::lock_guard lock(control_);
    if (shut_down_) return {};
    shut_down_ = true;
    return shut_down_locked(timeout);
}

Result<void> OneLaneAssembly::shut_down_locked(Duration timeout) {
    struct Outcome {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<Result<void>> drained;
    };
    auto outcome = std::make_shared<Outcome>();
    const bool begun = lane_->call(
        [this, outcome, timeout] {
            if (running_ == nullptr) {
                const std::lock_guard lock(outcome->mutex);
                outcome->drained = Result<void>();
                return;
            }
            running_->shut_down(timeout, [outcome](Result<void> drained) {
                const std::lock_guard lock(outcome->mutex);
                outcome->drained = std::move(drained);
                outcome->changed.notify_one();
            });
        },
        limits::api_deadline);
    if (!begun) return std::unexpected(stuck_lane());
    Result<void> drained;
    {
        std::unique_lock lock(outcome->mutex);
        if (!outcome->changed.wait_for(lock, timeout + limits::api_deadline,
                                       [&] { return outcome->drained.has_value(); }))
            return std::unexpected(stuck_lane());
        drained = *outcome->drained;
        // What is stuck cannot be taken apart.
        if (!drained && drained.error().code == ETIMEDOUT) return drained;
    }
    lane_->call(
        [this] {
            if (running_ != nullptr) running_->clear();
        },
        limits::api_deadline);
    // What is still with the kernel (checks) comes back within a moment, or not at all.
    const Instant last = monotonic_now() + limits::shutdown_grace;
    for (bool gone = false; !gone;) {
        auto answer = on_lane<bool>([this]() -> Result<bool> {
            if (running_ == nullptr || running_->gone()) {
                running_.reset();
                return true;
            }
            return false;
        });
        if (!answer) return std::unexpected(answer.error());
        gone = *answer;
        if (gone) break;
        if (monotonic_now() > last)
            return fail("a check of a path is stuck in the kernel", ETIMEDOUT);
        std::this_thread::sleep_for(limits::drain_interval);
    }
    return drained;
}

}  // namespace

Result<std::unique_ptr<Assembly>> Assembly::start(Config config, EventSink& events) {
    auto lane = Lane::start(loop_backend(config.daemon.io_backend), limits::pool_bytes_default);
    if (!lane) return std::unexpected(lane.error());
    auto assembly = std::make_unique<OneLaneAssembly>(std::move(*lane), events);
    if (auto begun = assembly->begin(std::move(config)); !begun)
        return std::unexpected(begun.error());
    return assembly;
}

}  // namespace braidway::daemon
