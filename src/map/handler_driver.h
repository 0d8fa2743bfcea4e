// SPDX-License-Identifier: Apache-2.0
// The hands of a map's hardware handler: sends its commands down the paths, and tells the map what
// it says.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "loop/timer.h"
#include "map/map_device.h"
#include "multipath/hardware_handler.h"
#include "path/scsi_channel.h"

namespace braidway::map {

/// Drives one hardware handler for the paths of one map.
///
/// The map's activations go to the handler, its answers, vetoes and admissions to the map; its
/// commands to the channels of the paths. Goes before the map, or lets go of it; and only when
/// quiet(), or after the channels have answered everything.
/// Errors:  a path that is not attached answers its activation with no_handler, unless it was let
///          pass.
/// Threads: the map's lane. No allocation per I/O.
class HandlerDriver final : public Activator {
  public:
    HandlerDriver(loop::Loop& loop, MapDevice& map,
                  std::unique_ptr<multipath::HardwareHandler> handler);
    ~HandlerDriver();

    /// Gives the handler the device behind `path`, which is in the map's table now or later, and
    /// stays until detach(). Errors: the handler's, for a device that is not of its kind.
    Result<void> attach(path::Path& path, path::ScsiChannel& channel,
                        const multipath::DeviceIdentity& identity);
    /// For a path that the handler cannot serve: it is used as in a map without a handler, until
    /// it is attached or detached.
    void let_pass(path::Path& path);
    /// The path may go now; its channel when quiet(channel). Answers that are still to come are
    /// ignored.
    void detach(path::Path& path);
    /// All paths are detached and the map is left alone; both may go before the driver. Nothing but
    /// quiet() and the destructor may follow.
    void let_go();
    /// Other words behind the handler's name. Errors: the handler's; nothing is changed then.
    Result<void> set_parameters(std::span<const std::string> words);
    void activate(uint32_t path) override;
    void table_changed() override;
    /// The path is back, or its device has reported a change: its state is learnt anew.
    void rescan(path::Path& path);
    /// What the handler says of sense data that an I/O on `path` met.
    multipath::SenseVerdict check_sense(path::Path& path, const wire::ScsiSense& sense);

    std::string_view name() const { return handler_->name(); }
    bool attached(const path::Path& path) const { return device_of(path).has_value(); }
    /// Whether the handler lets I/O through to the path.
    bool admits(const path::Path& path) const;
    /// The state of the path's device in words; empty for one that is not attached.
    std::string status_text(const path::Path& path) const;
    /// No command is under way.
    bool quiet() const { return tasks_in_flight_ == 0; }
    /// None is under way on `channel`: after detach() it may go.
    bool quiet(const path::ScsiChannel& channel) const;

  private:
    struct Device {
        path::Path* path = nullptr;            ///< Null when the number is free.
        path::ScsiChannel* channel = nullptr;  ///< Null while it is being detached.
    };
    struct Task : path::ScsiTask {
        HandlerDriver* driver = nullptr;
        const path::ScsiChannel* channel = nullptr;
        multipath::DeviceId device = 0;
        uint64_t tag = 0;
        bool busy = false;
    };

    std::optional<multipath::DeviceId> device_of(const path::Path& path) const;
    /// Where the device's path is in the map's table; nothing when it is not in it.
    std::optional<uint32_t> index_of(multipath::DeviceId device) const;
    void drain();
    void forget_detached();
    void send(multipath::ScsiCommand& command);
    void answered(Task& task);
    void tell_activated(multipath::DeviceId device, multipath::HandlerResult result);
    void tell_admission(multipath::DeviceId device, bool admits);

    loop::Loop& loop_;
    MapDevice* map_;  ///< Null once it was let go of.
    std::unique_ptr<multipath::HardwareHandler> handler_;
    std::vector<Device> devices_;            ///< By DeviceId.
    std::vector<const path::Path*> passed_;  ///< Used without the handler.
    std::vector<std::unique_ptr<Task>> tasks_;
    uint32_t tasks_in_flight_ = 0;
    loop::Timer timer_;
    bool draining_ = false;
};

}  // namespace braidway::map
