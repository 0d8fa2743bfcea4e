// SPDX-License-Identifier: Apache-2.0
// Paths over a network on the lane: their devices are made and connected there, and connected again
// when they were lost.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/graveyard.h"
#include "daemon/path_unit.h"
#include "path/iscsi_options.h"

namespace braidway::daemon {

/// A path over a network whose device is to be made.
struct FabricWish {
    PathConfig config;
    std::shared_ptr<PathTls> tls{};  ///< Null where it is not encrypted.
    /// 0 when the daemon starts. A device that takes the place of a running one must not end its
    /// session: each reload has other initiator ports.
    uint64_t generation = 0;
};

/// Makes the device that `wish` names; not connected. Its device is one of a network.
std::unique_ptr<path::FabricDevice> make_fabric_device(loop::Loop& loop, const FabricWish& wish);

/// What a path's device is told, but for secrets that stand in files. `config.device` is iSCSI.
path::IscsiOptions iscsi_options_of(const PathConfig& config, uint64_t generation = 0);

/// How long connecting may take, as configured.
Duration connect_timeout_of(const PathConfig& config);

/// Devices of a configuration that is about to be applied, connecting all at once.
///
/// Threads: the lane's.
class FabricNursery {
  public:
    explicit FabricNursery(loop::Loop& loop) : loop_(loop) {}

    /// Makes and connects the devices of `paths`; one whose certificates or keys could not be read
    /// is made and not connected. `done` is called once, when each has been answered. What an
    /// attempt before this one has left must have been dropped.
    void connect(const std::vector<FabricWish>& paths, std::function<void()> done);
    /// Hands over the device of a path, connected or with the reason why not. Empty when there is
    /// none of this name.
    OpenedPath take(const std::string& path);
    /// What nobody took goes.
    void drop(Graveyard& graveyard);

  private:
    struct Newborn {
        std::string path;
        OpenedPath opened;
    };
    loop::Loop& loop_;
    std::vector<std::unique_ptr<Newborn>> newborns_;
    size_t awaited_ = 0;
    uint64_t round_ = 0;
    uint64_t generation_ = 0;
    std::function<void()> done_;
};

/// Connects a path again that has lost its connection, or never had one.
class FabricReviver final : public monitor::Reviver {
  public:
    /// Says whether what was found may be used; then the device is admitted, and `taken` called.
    using Fits = std::function<Result<void>(const path::FabricFinding&)>;

    FabricReviver(PathUnit& unit, Fits fits, std::function<void()> taken)
        : unit_(unit), fits_(std::move(fits)), taken_(std::move(taken)) {}
    bool needed() const override { return !unit_.works(); }
    void revive(Done done) override;
    void abandon() override { abandoned_ = true; }

  private:
    PathUnit& unit_;
    Fits fits_;
    std::function<void()> taken_;
    bool abandoned_ = false;
};

}  // namespace braidway::daemon
