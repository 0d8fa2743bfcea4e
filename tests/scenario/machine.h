// SPDX-License-Identifier: Apache-2.0
// The machine of a scenario: paths, device names, and device-mapper's calls on one multipath map.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "map/map_device.h"
#include "multipath/dm_message.h"
#include "sim/virtual_loop.h"
#include "store.h"

namespace braidway::scenario {

/// A machine with paths p1.. to one store and at most one map on them, in virtual time. Its calls
/// are device-mapper's: an error has the errno that the kernel gives.
///
/// The map is our own, on the brain in kernel_strict mode; what device-mapper's core does (tables
/// loaded and taken up, suspension, names of devices) is done by the map and here.
class Machine final : private map::MapObserver, private map::Activator {
  public:
    Machine(Backing backing, const std::vector<std::string>& paths, uint64_t size_sectors);
    ~Machine();

    /// The number of a path's device, as tables and messages have it; what is no path stays.
    std::string device_of(const std::string& path) const;
    Result<void> create(const std::string& table);
    Result<void> load(const std::string& table);
    Result<void> suspend(bool noflush);
    Result<void> resume();
    /// `in_use`: a program has the map open.
    Result<void> remove(bool in_use);
    Result<void> message(const std::vector<std::string>& words);
    /// Whether the path is known.
    bool set_fault(const std::string& path, Fault fault, bool on);

    /// Null when there is none.
    map::MapDevice* map() { return map_.get(); }
    uint32_t events() const { return map_->brain().events(); }
    /// The whole lines that `dmsetup table` and `dmsetup status` show.
    std::string table_text() const;
    std::string status_text() const;
    const std::vector<std::string>& path_names() const { return names_; }
    uint64_t ios(const std::string& path) const { return paths_.at(path).device->ios(); }
    sim::VirtualLoop& loop() { return loop_; }

  private:
    struct PathEntry {
        std::unique_ptr<path::Path> path;
        PathDevice* device = nullptr;
        unsigned number = 0;
    };
    struct Activation : loop::Timer {
        Machine* machine = nullptr;
        uint32_t path = 0;
        PathDevice* device = nullptr;
        multipath::HandlerResult result{};
    };

    Result<map::MapConfig> parse(const std::string& table) const;
    Result<void> attach_handler(multipath::MultipathSpec& spec) const;
    std::vector<map::Member> members_for(const map::MapConfig& config) const;
    Result<std::string> find_device(std::string_view name) const;
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
    void activate(uint32_t path) override;

    Backing backing_;
    uint64_t size_sectors_;
    std::vector<std::byte> store_;
    sim::VirtualLoop loop_;
    std::unique_ptr<memory::BufferPool> pool_;
    std::vector<std::string> names_;
    std::map<std::string, PathEntry, std::less<>> paths_;
    std::vector<std::unique_ptr<Activation>> activations_;
    std::unique_ptr<map::MapDevice> map_;
};

}  // namespace braidway::scenario
