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
#include "daemon/path_tls.h"
#include "monitor/monitor.h"
#include "path/fabric_device.h"
#include "path/file.h"
#include "path/path.h"
#include "path/sg_io.h"

namespace braidway::daemon {

class PathUnit;

/// What opening a path's device gave; made where one may sleep, used on the lane.
struct OpenedPath {
    std::optional<path::OpenFile> file;  ///< Nothing for devices that are no file.
    std::string problem;                 ///< Why it could not be opened; empty = it was.
    /// The device of a path over a network, made on the lane; connected if there is no problem.
    std::unique_ptr<path::FabricDevice> fabric;
    /// Of a SCSI disk of the kernel: the way of commands beside the data.
    std::unique_ptr<path::SgDevice> scsi;
    /// It is a SCSI disk; `finding` says which, unless it would not tell.
    bool scsi_disk = false;
    /// What it leads to; of a file without an identity, empty.
    path::FabricFinding finding;
    std::shared_ptr<PathTls> tls;  ///< Null where the path is not encrypted.

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

/// Opens what `config` names, where that is a file, asks who it is where that is a SCSI disk, and
/// reads the files of its TLS. May sleep.
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
    /// How it is checked now; a reload may change that.
    CheckConfig::Checker checker() const { return config_.check.checker; }
    void set_check(const CheckConfig& check) { config_.check = check; }
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
    /// What its connections are encrypted with, or nullptr. A reload changes what is in it.
    PathTls* tls() { return tls_.get(); }
    /// The device, or nullptr for other paths.
    path::FabricDevice* fabric() { return fabric_.get(); }
    const path::FabricDevice* fabric() const { return fabric_.get(); }
    /// For SCSI commands beside the data; nullptr where the device takes none.
    path::ScsiChannel* channel();
    /// Who reads the sense data of its I/O first; empty = nobody.
    void set_sense_reader(path::SenseReader reader);
    const path::SenseReader& sense_reader() const { return sense_reader_; }

    // --- what it leads to ---
    /// Connected or opened, but not yet compared with what is expected.
    bool awaits_admission() const;
    /// Data may go: what it leads to is what is expected.
    void admit(path::FabricFinding finding);
    void admit() { admit(finding_); }
    /// A file that was not there at first is; admit() or turn_away() follows.
    void offer(OpenedPath& opened);
    /// It cannot be told now what it leads to: it is opened or connected again with a later check.
    void turn_away(const std::string& why);
    /// It leads to another volume: it stays down until the configuration changes.
    void fence_off(const std::string& why);
    /// Other things are expected now: it is asked again.
    void lift_fence() { fenced_off_ = false; }
    bool fenced_off() const { return fenced_off_; }
    /// How often data was let through, the first time included.
    uint64_t connects() const { return connects_; }
    const path::FabricFinding& finding() const { return finding_; }
    void set_listener(UnitListener* listener) { unit_listener_ = listener; }
    /// It is out of its map's table: nobody is told of it any more, what is under way goes on.
    void leave();
    /// And its connections end.
    void retire();
    Instant now() const { return loop_.now(); }
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
    std::optional<path::OpenFile> offered_;
    std::unique_ptr<path::FabricDevice> fabric_;
    /// Commands to a disk of the kernel.
    std::unique_ptr<path::SgIo> scsi_;
    path::SenseReader sense_reader_;
    path::FabricFinding finding_;
    std::shared_ptr<PathTls> tls_;
    bool admitted_ = false;
    bool fenced_off_ = false;
    uint64_t connects_ = 0;
    UnitListener* unit_listener_ = nullptr;
    std::vector<Layer> layers_;  ///< Innermost first.
    std::unique_ptr<path::Path> path_;
};

}  // namespace braidway::daemon
