// SPDX-License-Identifier: Apache-2.0
// One configured path: its devices, built and held together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/delay.h"
#include "block/error.h"
#include "block/flakey.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "monitor/monitor.h"
#include "path/file.h"
#include "path/path.h"

namespace braidway::daemon {

/// What opening a path's device gave; made where one may sleep, used on the lane.
struct OpenedPath {
    std::optional<path::OpenFile> file;  ///< Nothing for devices that are no file.
    std::string problem;                 ///< Why the file could not be opened; empty = it was.

    bool works() const { return problem.empty(); }
};

/// Opens what `config` names. May sleep.
OpenedPath open_path(const PathConfig& config, path::FileStores& stores);

/// A path with everything on it, as assembly holds it.
///
/// Threads: the lane's, but for the constructor's arguments.
class PathUnit {
  public:
    /// Errors: a layer that does not fit its device.
    static Result<std::unique_ptr<PathUnit>> create(loop::Loop& loop, memory::BufferPool& pool,
                                                    const PathConfig& config, OpenedPath opened);

    const std::string& name() const { return config_.name; }
    const PathConfig& config() const { return config_; }
    path::Path& path() { return *path_; }
    const path::Path& path() const { return *path_; }
    /// Whether the device is there and its geometry known.
    bool works() const { return file_ == nullptr || file_->is_open(); }
    const std::string& problem() const { return problem_; }
    /// "direct", "buffered", "memory".
    std::string io_mode() const;
    /// Whether several paths to other stores would make this one stale: a page cache is below.
    bool buffered() const;
    /// The same number for paths to one store.
    uint64_t store() const;
    /// The file, or nullptr for other devices.
    const path::FileDevice* file() const { return file_; }
    path::FileDevice* file() { return file_; }

    /// Switches or changes a small device; adds it on top when the path has none of its kind.
    Result<std::string> set_layer(const Command& command);
    std::vector<LayerSnapshot> layers() const;

  private:
    PathUnit(loop::Loop& loop, const PathConfig& config) : loop_(loop), config_(config) {}
    Result<std::unique_ptr<block::BlockDevice>> add_layer(std::unique_ptr<block::BlockDevice> below,
                                                          const LayerConfig& config);
    void apply(size_t layer);

    struct Layer {
        LayerConfig config;
        block::DelayLayer* delay = nullptr;
        block::ErrorLayer* error = nullptr;
        block::FlakeyLayer* flakey = nullptr;
    };

    loop::Loop& loop_;
    PathConfig config_;
    std::string problem_;
    path::FileDevice* file_ = nullptr;  ///< At the bottom of path_'s devices.
    std::vector<Layer> layers_;         ///< Innermost first.
    std::unique_ptr<path::Path> path_;
};

/// Opens a path's file again on the lane's helper thread, when it was not there.
class FileReviver final : public monitor::Reviver {
  public:
    /// `fits` says whether a file that has appeared may be used (its geometry is the map's), and is
    /// told of one that was taken.
    using Fits = std::function<Result<void>(const path::OpenFile&)>;

    FileReviver(loop::Loop& loop, PathUnit& unit, path::FileStores& stores, Fits fits,
                std::function<void()> taken);
    bool needed() const override { return !unit_.works(); }
    void revive(Done done) override;
    void abandon() override { abandoned_ = true; }

  private:
    struct Call : loop::BlockingCall {
        OpenedPath opened;
    };
    void opened();

    loop::Loop& loop_;
    PathUnit& unit_;
    path::FileStores& stores_;
    Fits fits_;
    std::function<void()> taken_;
    Call call_;
    bool abandoned_ = false;
    Done done_;
};

}  // namespace braidway::daemon
