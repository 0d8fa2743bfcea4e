// SPDX-License-Identifier: Apache-2.0
#include "map/handler_driver.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "loop/loop.h"

namespace braidway::map {

using multipath::DeviceId;
using multipath::HandlerAction;
using multipath::HandlerResult;

HandlerDriver::HandlerDriver(loop::Loop& loop, MapDevice& map,
                             std::unique_ptr<multipath::HardwareHandler> handler)
    : loop_(loop), map_(&map), handler_(std::move(handler)) {
    timer_.owner = this;
    timer_.fire = [](loop::Timer& timer, Instant now) {
        HandlerDriver& self = *static_cast<HandlerDriver*>(timer.owner);
        self.handler_->timer(now);
        self.drain();
    };
    map_->set_activator(this);
}

HandlerDriver::~HandlerDriver() {
    CHECK(quiet(), "a handler goes after its commands have ended");
    if (map_ != nullptr) map_->set_activator(nullptr);
    loop_.disarm(timer_);
}

Result<void> HandlerDriver::attach(path::Path& path, path::ScsiChannel& channel,
                                   const multipath::DeviceIdentity& identity) {
    auto free = std::ranges::find(devices_, nullptr, &Device::path);
    const auto device = static_cast<DeviceId>(free - devices_.begin());
    if (device >= multipath::handler_devices_max) return fail("too many devices for one handler");
    if (auto taken = handler_->attach(device, identity, loop_.now()); !taken) return taken;
    if (free == devices_.end()) free = devices_.emplace(free);
    *free = {&path, &channel};
    std::erase(passed_, &path);
    // Also when it is admitted: the veto may be that of the device before.
    tell_admission(device, handler_->admits(device, {}));
    drain();
    return {};
}

void HandlerDriver::let_pass(path::Path& path) {
    passed_.push_back(&path);
    const auto& members = map_->members();
    for (uint32_t index = 0; index < members.size(); ++index)
        if (members[index].path == &path) map_->path_admitted(index, true, {});
}

void HandlerDriver::detach(path::Path& path) {
    std::erase(passed_, &path);
    const auto device = device_of(path);
    if (!device) return;
    handler_->detach(*device, loop_.now());
    // Its number stays taken until the map has been told how its activations ended.
    devices_[*device].channel = nullptr;
    drain();
}

void HandlerDriver::let_go() {
    if (map_ != nullptr) map_->set_activator(nullptr);
    // First the map: it is not told how its activations end, nobody waits for that any more.
    map_ = nullptr;
    passed_.clear();
    for (DeviceId device = 0; device < devices_.size(); ++device) {
        if (devices_[device].channel == nullptr) continue;
        handler_->detach(device, loop_.now());
        devices_[device].channel = nullptr;
    }
    drain();
    loop_.disarm(timer_);
}

Result<void> HandlerDriver::set_parameters(std::span<const std::string> words) {
    auto taken = handler_->set_parameters(words, loop_.now());
    drain();
    return taken;
}

void HandlerDriver::forget_detached() {
    for (Device& device : devices_)
        if (device.channel == nullptr) device = {};
}

bool HandlerDriver::quiet(const path::ScsiChannel& channel) const {
    return std::ranges::none_of(
        tasks_, [&](const auto& task) { return task->busy && task->channel == &channel; });
}

void HandlerDriver::activate(uint32_t path) {
    const path::Path& wanted = *map_->members()[path].path;
    if (const auto device = device_of(wanted)) {
        handler_->activate(*device, loop_.now());
        drain();
    } else if (std::ranges::find(passed_, &wanted) != passed_.end()) {
        map_->path_activated(path, HandlerResult::ok, "the path is used without the handler");
    } else {
        map_->path_activated(path, HandlerResult::no_handler, "the path takes no SCSI commands");
    }
}

void HandlerDriver::table_changed() {
    for (DeviceId device = 0; device < devices_.size(); ++device)
        if (devices_[device].channel != nullptr)
            tell_admission(device, handler_->admits(device, {}));
}

void HandlerDriver::rescan(path::Path& path) {
    const auto device = device_of(path);
    if (!device) return;
    handler_->rescan(*device, loop_.now());
    drain();
}

multipath::SenseVerdict HandlerDriver::check_sense(path::Path& path, const wire::ScsiSense& sense) {
    const auto device = device_of(path);
    if (!device) return {};
    const multipath::SenseVerdict verdict = handler_->check_sense(*device, sense, loop_.now());
    drain();
    return verdict;
}

bool HandlerDriver::admits(const path::Path& path) const {
    const auto device = device_of(path);
    return !device || handler_->admits(*device, {});
}

std::string HandlerDriver::status_text(const path::Path& path) const {
    const auto device = device_of(path);
    return device ? handler_->status_text(*device) : std::string();
}

std::optional<DeviceId> HandlerDriver::device_of(const path::Path& path) const {
    const auto found = std::ranges::find_if(devices_, [&](const Device& device) {
        return device.path == &path && device.channel != nullptr;
    });
    if (found == devices_.end()) return std::nullopt;
    return static_cast<DeviceId>(found - devices_.begin());
}

std::optional<uint32_t> HandlerDriver::index_of(DeviceId device) const {
    if (map_ == nullptr) return std::nullopt;
    const auto& members = map_->members();
    const auto found = std::ranges::find(members, devices_[device].path, &Member::path);
    if (found == members.end()) return std::nullopt;
    return static_cast<uint32_t>(found - members.begin());
}

void HandlerDriver::drain() {
    // What the map does about an action may ask the handler again; the outer call takes that.
    if (draining_) return;
    draining_ = true;
    HandlerAction action;
    while (handler_->next_action(action)) {
        switch (action.kind) {
            case HandlerAction::Kind::send_command:
                send(action.command);
                break;
            case HandlerAction::Kind::arm_timer:
                if (action.deadline == never)
                    loop_.disarm(timer_);
                else
                    loop_.arm(timer_, action.deadline);
                break;
            case HandlerAction::Kind::activated:
                tell_activated(action.device, action.result);
                break;
            case HandlerAction::Kind::admission_changed:
                tell_admission(action.device, action.admits);
                break;
        }
    }
    forget_detached();
    draining_ = false;
}

void HandlerDriver::send(multipath::ScsiCommand& command) {
    // What one device has left undone another one takes up, which is leaving as well.
    if (map_ == nullptr) return;
    auto free = std::ranges::find(tasks_, false, [](const auto& task) { return task->busy; });
    if (free == tasks_.end()) free = tasks_.insert(free, std::make_unique<Task>());
    Task& task = **free;
    static_cast<path::ScsiTask&>(task) = {.cdb = command.cdb,
                                          .data_out = std::move(command.data_out),
                                          .data_in_bytes = command.data_in_bytes,
                                          .timeout = command.timeout};
    task.driver = this;
    task.channel = devices_[command.device].channel;
    task.device = command.device;
    task.tag = command.tag;
    task.busy = true;
    task.done = [](path::ScsiTask& done) {
        Task& ended = static_cast<Task&>(done);
        ended.driver->answered(ended);
    };
    ++tasks_in_flight_;
    CHECK(task.channel != nullptr, "a handler sends nothing to a device that it gave up");
    devices_[command.device].channel->execute(task);
}

void HandlerDriver::answered(Task& task) {
    task.busy = false;
    --tasks_in_flight_;
    handler_->answered(task.device, task.tag,
                       {.transport = task.transport,
                        .status = task.status,
                        .sense = task.sense,
                        .data_in = task.data_in},
                       loop_.now());
    drain();
}

void HandlerDriver::tell_activated(DeviceId device, HandlerResult result) {
    if (const auto index = index_of(device))
        map_->path_activated(*index, result, handler_->status_text(device));
}

void HandlerDriver::tell_admission(DeviceId device, bool admits) {
    if (const auto index = index_of(device))
        map_->path_admitted(*index, admits, handler_->status_text(device));
}

}  // namespace braidway::map
