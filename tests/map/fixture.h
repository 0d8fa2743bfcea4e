// SPDX-License-Identifier: Apache-2.0
// A map on paths whose answers the test decides.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "map/map_device.h"
#include "multipath/driver.h"
#include "support/devices.h"

namespace braidway::map {

using multipath::Event;
using multipath::Message;

/// Remembers what a map says.
struct Heard final : MapObserver {
    std::vector<multipath::Action::Kind> kinds;
    void map_event(const std::string&, const multipath::Action& action,
                   const std::string&) override {
        kinds.push_back(action.kind);
    }
    size_t count(multipath::Action::Kind kind) const {
        return static_cast<size_t>(std::count(kinds.begin(), kinds.end(), kind));
    }
};

/// One path of a test: the path, and the device under it.
struct TestPath {
    std::unique_ptr<path::Path> path;
    ScriptedDevice* device = nullptr;
    uint64_t store = 0;
};

class MapTest : public LaneTest {
  protected:
    ~MapTest() override {
        map_.reset();
        settle();
    }

    /// Adds a path called `name` that the map does not know yet.
    TestPath& add_path(const std::string& name, uint64_t store = 0,
                       std::optional<Duration> io_timeout = {}) {
        auto device = std::make_unique<ScriptedDevice>();
        TestPath made;
        made.device = device.get();
        made.store = store;
        made.path = std::make_unique<path::Path>(
            *loop_, *pool_, std::move(device),
            path::Path::Options{.name = name, .io_timeout = io_timeout, .tries_max = 256});
        paths_.push_back(std::move(made));
        return paths_.back();
    }

    TestPath& path(const std::string& name) {
        for (TestPath& known : paths_)
            if (known.path->name() == name) return known;
        ADD_FAILURE() << "no path " << name;
        return paths_.front();
    }
    ScriptedDevice& device(const std::string& name) { return *path(name).device; }

    MapConfig config_for(multipath::MultipathSpec table) {
        MapConfig config;
        config.name = "m";
        config.table = std::move(table);
        config.geometry.size_bytes = 1u << 30;
        config.geometry.can_discard = config.geometry.can_write_zeroes = true;
        return config;
    }
    std::vector<Member> members_for(const multipath::MultipathSpec& table) {
        std::vector<Member> members;
        for (const auto& group : table.groups)
            for (const auto& spec : group.paths)
                members.push_back({path(spec.name).path.get(), path(spec.name).store});
        return members;
    }

    /// Makes the map; paths that do not exist yet are made, all on one store.
    void make(MapConfig config) {
        paths_.reserve(64);
        for (const auto& group : config.table.groups)
            for (const auto& spec : group.paths)
                if (std::none_of(paths_.begin(), paths_.end(), [&](const TestPath& known) {
                        return known.path->name() == spec.name;
                    }))
                    add_path(spec.name);
        const auto members = members_for(config.table);
        map_ = *MapDevice::create(*loop_, std::move(config), members, heard_);
    }
    void make(multipath::MultipathSpec table) { make(config_for(std::move(table))); }

    /// One group of two paths; held I/O waits for ever unless a test says otherwise.
    void make_pair(std::optional<Duration> no_path_timeout = {}, uint32_t held_requests_max = 1024,
                   uint64_t held_bytes_max = 1u << 30) {
        MapConfig config = config_for(multipath::make_spec({multipath::make_group({"a", "b"})}));
        config.table.no_path.timeout = no_path_timeout;
        config.held_requests_max = held_requests_max;
        config.held_bytes_max = held_bytes_max;
        make(std::move(config));
    }
    void fail_both() {
        fail_path("a");
        fail_path("b");
    }
    uint32_t index(const std::string& name) {
        const auto& members = map_->members();
        for (uint32_t at = 0; at < members.size(); ++at)
            if (members[at].path->name() == name) return at;
        ADD_FAILURE() << "no path " << name << " in the map";
        return 0;
    }
    void fail_path(const std::string& name) {
        Event event{.kind = Event::Kind::message, .reason = {}};
        event.message = Message::fail_path;
        event.path = index(name);
        EXPECT_TRUE(map_->handle(event).has_value());
    }
    void reinstate(const std::string& name) {
        Event event{.kind = Event::Kind::message, .reason = {}};
        event.message = Message::reinstate_path;
        event.path = index(name);
        EXPECT_TRUE(map_->handle(event).has_value());
    }
    void send(Message message, uint32_t group = 0) {
        Event event{.kind = Event::Kind::message, .reason = {}};
        event.message = message;
        event.group = group;
        EXPECT_TRUE(map_->handle(event).has_value());
    }

    Client& submit(IoOp op = IoOp::read, uint64_t offset = 0, uint64_t length = 4096) {
        clients_.push_back(std::make_unique<Client>(op, offset, length));
        clients_.back()->submit(*map_);
        return *clients_.back();
    }

    std::vector<TestPath> paths_;
    std::vector<std::unique_ptr<Client>> clients_;
    Heard heard_;
    std::unique_ptr<MapDevice> map_;
};

}  // namespace braidway::map
