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
#include "path/fabric_device.h"
#include "path/file.h"
#include "path/path.h"

namespace braidway::daemon {

class PathUnit;

/// What opening a path's device gave; made where one may sleep, used on the lane.
struct OpenedPath {
    std::optional<path::OpenFile> file;  ///< Nothing for devices that are no file.
    std::string problem;                 ///< Why it could not be opened; empty = it was.
    /// The device of a path over a network, made on the lane; connected if there is no problem.
    std::unique_ptr<path::FabricDevice> fabric;
    path::FabricFinding finding;

    bool works() const { return problem.empty(); }
};

/// Told what happens to a path over a network unasked.
class UnitListener {
  public:
    virtual void unit_lost(PathUnit& unit, const std::string& reason) = 0;
    /// The writes whose answers it lost go out again; `at_risk`: without proof that the first
    /// copies cannot happen any more.
    virtual void unit_settled(PathUnit& unit, bool at_risk) = 0;

  protected:
    ~UnitListener() = default;
};

/// Opens what `config` names, where that is a file. May sleep.
OpenedPath open_path(const PathConfig& config, path::FileStores& stores);

/// A path with everything on it, as assembly holds it.
///
/// Threads: the lane's, but for the constructor's arguments.
class PathUnit final : private path::FabricListener {
  public:
    /// Takes over what is in `opened`. Errors: a layer that does not fit its device; then a
    /// connected device is still in `opened`, for the caller to bury.
    static Result<std::unique_ptr<PathUnit>> create(loop::Loop& loop, memory::BufferPool& pool,
                                                    const PathConfig& config, OpenedPath& opened);

    const std::string& name() const { return config_.name; }
    const PathConfig& config() const { return config_; }
    path::Path& path() { return *path_; }
    const path::Path& path() const { return *path_; }
    /// Whether the device is there and its geometry known.
    bool works() const;
    const std::string& problem() const { return problem_; }
    /// Why it does not work, with where it leads to.
    void set_problem(const std::string& why);
    /// "direct", "buffered", "memory", "network".
    std::string io_mode() const;
    /// Whether several paths to other stores would make this one stale: a page cache is below.
    bool buffered() const;
    /// The same number for paths to one store.
    uint64_t store() const;
    /// The file, or nullptr for other devices.
    const path::FileDevice* file() const { return file_; }
    path::FileDevice* file() { return file_; }

    // --- paths over a network ---
    /// The device, or nullptr for other paths.
    path::FabricDevice* fabric() { return fabric_.get(); }
    const path::FabricDevice* fabric() const { return fabric_.get(); }
    /// Connected, but not yet compared with what is expected.
    bool awaits_admission() const;
    /// Data may go: what it leads to is what is expected.
    void admit(path::FabricFinding finding);
    void admit() { admit(finding_); }
    /// It leads to another volume: it stays down until the configuration changes.
    void fence_off(const std::string& why);
    bool fenced_off() const { return fenced_off_; }
    /// How often data was let through, the first time included.
    uint64_t connects() const { return connects_; }
    const path::FabricFinding& finding() const { return finding_; }
    void set_listener(UnitListener* listener) { unit_listener_ = listener; }
    /// It is leaving: connections end, when their writes are answered.
    void retire();
    /// Nothing is in flight: it may be destroyed.
    bool quiet() const;

    /// Switches or changes a small device; adds it on top when the path has none of its kind.
    Result<std::string> set_layer(const Command& command);
    std::vector<LayerSnapshot> layers() const;

  private:
    PathUnit(loop::Loop& loop, const PathConfig& config) : loop_(loop), config_(config) {}
    Result<std::unique_ptr<block::BlockDevice>> add_layer(std::unique_ptr<block::BlockDevice> below,
                                                          const LayerConfig& config);
    void apply(size_t layer);
    void connection_lost(const std::string& reason) override;
    void writes_settled(bool at_risk) override;

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
    std::unique_ptr<path::FabricDevice> fabric_;
    path::FabricFinding finding_;
    bool admitted_ = false;
    bool fenced_off_ = false;
    uint64_t connects_ = 0;
    UnitListener* unit_listener_ = nullptr;
    std::vector<Layer> layers_;  ///< Innermost first.
    std::unique_ptr<path::Path> path_;
};

/// Paths and checkers that are no longer used, until the kernel has given back what they had.
class Graveyard {
  public:
    void bury(std::unique_ptr<PathUnit> unit, std::unique_ptr<monitor::Checker> checker);
    void bury(std::unique_ptr<path::FabricDevice> device);
    /// Destroys what is quiet. True when nothing is left.
    bool sweep();
    size_t size() const { return graves_.size(); }

  private:
    struct Grave {
        // In this order: a checker refers to its path.
        std::unique_ptr<path::FabricDevice> device;
        std::unique_ptr<PathUnit> unit;
        std::unique_ptr<monitor::Checker> checker;
    };
    std::vector<Grave> graves_;
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
