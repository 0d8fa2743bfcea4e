// SPDX-License-Identifier: Apache-2.0
// Where paths, checkers and hardware handlers wait for the kernel and the network to give back what
// they have of them.
#pragma once

#include <memory>
#include <vector>

#include "daemon/path_unit.h"
#include "map/handler_driver.h"
#include "monitor/monitor.h"

namespace braidway::daemon {

/// What is no longer used, until nothing is under way in it.
///
/// Threads: the lane's.
class Graveyard {
  public:
    void bury(std::unique_ptr<PathUnit> unit, std::unique_ptr<monitor::Checker> checker);
    void bury(std::unique_ptr<path::FabricDevice> device);
    /// It has let go of its map. Commands of it may be on the channels of buried paths.
    void bury(std::unique_ptr<map::HandlerDriver> handler);
    /// Destroys what is quiet. True when nothing is left.
    bool sweep();
    size_t size() const { return graves_.size() + handlers_.size(); }

  private:
    struct Grave {
        // In this order: a checker refers to its path.
        std::unique_ptr<path::FabricDevice> device;
        std::unique_ptr<PathUnit> unit;
        std::unique_ptr<monitor::Checker> checker;
        /// When its connections end, though something is under way on them. A write that is cut off
        /// is in doubt, and nobody would tell its map when that is over.
        Instant retire_by;
        bool retired = true;
    };
    static void retire(Grave& grave);
    bool quiet(const Grave& grave) const;

    // Graves go first: a channel may still have commands of a handler.
    std::vector<std::unique_ptr<map::HandlerDriver>> handlers_;
    std::vector<Grave> graves_;
};

}  // namespace braidway::daemon
