// SPDX-License-Identifier: Apache-2.0
// Opens the files of paths that were not there.
#pragma once

#include <functional>

#include "daemon/path_unit.h"
#include "monitor/monitor.h"
#include "path/file_store.h"

namespace braidway::daemon {

/// Opens a path's file again on the lane's helper thread, when it was not there.
///
/// Threads: the lane's.
class FileReviver final : public monitor::Reviver {
  public:
    /// Says whether a file that has appeared may be used: it is the map's volume, with its
    /// geometry. Then it is taken, and `taken` is told.
    using Fits = std::function<Result<void>(const OpenedPath&)>;

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
