// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "multipath/dm_table.h"

namespace braidway::scenario {
namespace {

using namespace std::chrono_literals;
using multipath::HandlerResult;

/// The handlers that Debian's kernel has.
constexpr std::array<std::string_view, 4> handlers{"alua", "emc", "rdac", "hp_sw"};
/// scsi_debug claims implicit access states, so every device has this one from the start.
constexpr std::string_view attached_handler = "alua";
/// From the question to the answer of an alua activation; nothing depends on it.
constexpr Duration activation_time = 10ms;
/// Long enough for whatever a suspension waits for, delayed activations too.
constexpr Duration suspension_patience = 200s;
/// Numbers of the devices: of the dm-linear ones, of SCSI disks.
constexpr unsigned dm_major = 254;
constexpr unsigned sd_major = 8;
constexpr unsigned minors_per_disk = 16;

/// MAJOR:MINOR and nothing behind it.
std::optional<std::pair<unsigned, unsigned>> device_number(std::string_view name) {
    unsigned major = 0;
    unsigned minor = 0;
    char behind = 0;
    if (std::sscanf(std::string(name).c_str(), "%u:%u%c", &major, &minor, &behind) != 2)
        return std::nullopt;
    if (name.find_first_of("+- ") != name.npos) return std::nullopt;
    return std::pair(major, minor);
}

}  // namespace

Machine::Machine(Backing backing, const std::vector<std::string>& paths, uint64_t size_sectors)
    : backing_(backing),
      size_sectors_(size_sectors),
      store_(size_sectors * sector_bytes),
      pool_(*memory::BufferPool::create(1u << 20)),
      names_(paths) {
    for (unsigned number = 0; number < paths.size(); ++number) {
        auto device = std::make_unique<PathDevice>(loop_, store_, backing, number);
        PathEntry& entry = paths_[paths[number]];
        entry.device = device.get();
        entry.number = number;
        entry.path = std::make_unique<path::Path>(
            loop_, *pool_, std::move(device),
            path::Path::Options{.name = paths[number], .io_timeout = {}});
    }
}

Machine::~Machine() {
    if (map_ != nullptr) {
        map_->shut_down();
        loop_.pass(1s);
    }
    for (const auto& activation : activations_) loop_.disarm(*activation);
    map_.reset();
}

// --- names --------------------------------------------------------------------------------------

std::string Machine::device_of(const std::string& path) const {
    const auto found = paths_.find(path);
    if (found == paths_.end()) return path;
    return backing_ == Backing::bio
               ? fmt::format("{}:{}", dm_major, found->second.number)
               : fmt::format("{}:{}", sd_major, found->second.number * minors_per_disk);
}

/// The path that `name` stands for, or an empty string for a block device that is none.
/// Errors: the kernel's when it looks a name up.
Result<std::string> Machine::find_device(std::string_view name) const {
    const auto path_number = [&](unsigned number) {
        return number < names_.size() ? names_[number] : std::string();
    };
    if (const auto number = device_number(name)) {
        const auto [major, minor] = *number;
        if (major >= 1u << 12 || minor >= 1u << 20) return fail("no such number", EOVERFLOW);
        if (backing_ == Backing::bio && major == dm_major) return path_number(minor);
        if (backing_ == Backing::mq && major == sd_major && minor % minors_per_disk == 0)
            return path_number(minor / minors_per_disk);
        return std::string();
    }
    const std::string file(name);
    if (backing_ == Backing::bio && file == "/dev/ram0") return std::string();
    if (backing_ == Backing::bio && file.starts_with("/dev/dm-") &&
        file.find_first_not_of("0123456789", 8) == file.npos && file.size() > 8)
        return path_number(static_cast<unsigned>(std::stoul(file.substr(8))));
    if (backing_ == Backing::mq && file.size() == 8 && file.starts_with("/dev/sd"))
        return path_number(static_cast<unsigned>(file[7] - 'a'));
    struct stat status{};
    if (!file.starts_with("/") || ::stat(file.c_str(), &status) != 0)
        return fail(fmt::format("{}: there is no such file", name), ENOENT);
    if (!S_ISBLK(status.st_mode)) return fail(fmt::format("{}: not a block device", name), ENOTBLK);
    return std::string();
}

// --- tables -------------------------------------------------------------------------------------

Result<map::MapConfig> Machine::parse(const std::string& table) const {
    const auto lookup = [&](std::string_view name) -> Result<void> {
        auto found = find_device(name);
        if (!found) return std::unexpected(std::move(found.error()));
        if (found->empty()) return fail("no such device", ENXIO);
        return {};
    };
    auto spec =
        multipath::parse_dm_table(table, lookup, {.kernel_strict = true, .node_of_cpu = {}});
    if (!spec) return std::unexpected(std::move(spec.error()));
    for (multipath::GroupSpec& group : spec->groups)
        for (multipath::PathSpec& path : group.paths) path.name = *find_device(path.name);
    spec->kernel_strict = true;
    if (auto attached = attach_handler(*spec); !attached)
        return std::unexpected(std::move(attached.error()));
    map::MapConfig config;
    config.name = "map";
    config.table = std::move(*spec);
    config.geometry.size_bytes = store_.size();
    config.geometry.block_bytes = sector_bytes;
    config.held_requests_max = UINT32_MAX;
    config.held_bytes_max = UINT64_MAX;
    return config;
}

/// What happens to the table's handler on devices that have one already: it stays, and the table
/// gets its name.
Result<void> Machine::attach_handler(multipath::MultipathSpec& spec) const {
    if (backing_ == Backing::bio || spec.groups.empty()) return {};
    multipath::HandlerSpec& handler = spec.handler;
    if (!handler.name.empty() && std::ranges::find(handlers, handler.name) == handlers.end() &&
        !spec.retain_attached_handler)
        return fail("error attaching hardware handler", EINVAL);
    if (handler.name == attached_handler && !handler.parameters.empty()) {
        // alua takes one parameter, optimize_stpg.
        const bool good = handler.parameters.size() == 1 &&
                          (handler.parameters[0] == "0" || handler.parameters[0] == "1");
        if (!good) return fail("unable to set hardware handler parameters", EINVAL);
    }
    if (!handler.name.empty() || spec.retain_attached_handler)
        handler = {.name = std::string(attached_handler), .parameters = {}};
    return {};
}

std::vector<map::Member> Machine::members_for(const map::MapConfig& config) const {
    std::vector<map::Member> members;
    for (const multipath::GroupSpec& group : config.table.groups)
        for (const multipath::PathSpec& path : group.paths)
            members.push_back({paths_.find(path.name)->second.path.get(), 0});
    return members;
}

// --- device-mapper's calls ----------------------------------------------------------------------

Result<void> Machine::create(const std::string& table) {
    if (map_ != nullptr) return fail("the name is taken", EBUSY);
    auto config = parse(table);
    if (!config) return std::unexpected(std::move(config.error()));
    auto members = members_for(*config);
    auto made = map::MapDevice::create(loop_, std::move(*config), std::move(members), *this);
    if (!made) return std::unexpected(std::move(made.error()));
    map_ = std::move(*made);
    map_->set_activator(this);
    return {};
}

Result<void> Machine::load(const std::string& table) {
    if (map_ == nullptr) return fail("there is no map", ENXIO);
    auto config = parse(table);
    if (!config) return std::unexpected(std::move(config.error()));
    auto members = members_for(*config);
    return map_->load(std::move(*config), std::move(members));
}

Result<void> Machine::suspend(bool noflush) {
    if (map_ == nullptr) return fail("there is no map", ENXIO);
    if (map_->state() != map::MapDevice::State::running) return {};
    if (auto begun = map_->suspend(noflush); !begun) return begun;
    loop_.pass_until([&] { return map_->state() == map::MapDevice::State::suspended; },
                     suspension_patience);
    return {};
}

Result<void> Machine::resume() {
    if (map_ == nullptr) return fail("there is no map", ENXIO);
    if (auto begun = map_->resume(); !begun) return begun;
    loop_.pass_until([&] { return map_->state() == map::MapDevice::State::running; },
                     suspension_patience);
    return {};
}

Result<void> Machine::remove(bool in_use) {
    if (map_ == nullptr) return fail("there is no map", ENXIO);
    if (in_use) return fail("the map is open", EBUSY);
    loop_.pass(1s);
    map_.reset();
    return {};
}

Result<void> Machine::message(const std::vector<std::string>& words) {
    if (map_ == nullptr) return fail("there is no map", ENXIO);
    if (!words.empty() && words[0].starts_with("@"))
        return fail("a message to device-mapper itself", EINVAL);
    if (!words.empty() && map_->brain().suspended()) return fail("the map is suspended", EBUSY);
    multipath::DmMessageMap against;
    against.groups = map_->status().groups.size();
    against.device = [&](std::string_view name) -> Result<void> {
        auto found = find_device(name);
        if (!found) return std::unexpected(std::move(found.error()));
        return {};
    };
    against.in_table = [&](std::string_view name) {
        return map_->brain().find_path(find_device(name).value_or("")).has_value();
    };
    const auto parsed = multipath::parse_dm_message(words, against);
    if (!parsed) return std::unexpected(parsed.error());
    multipath::Event event{.message = parsed->message, .group = parsed->group, .reason = {}};
    if (!parsed->path.empty()) event.path = *map_->brain().find_path(*find_device(parsed->path));
    return map_->handle(event);
}

bool Machine::set_fault(const std::string& path, Fault fault, bool on) {
    const auto found = paths_.find(path);
    if (found == paths_.end()) return false;
    found->second.device->set_fault(fault, on);
    return true;
}

/// The alua handler of the SCSI device: access states are implicit, so it only asks for them, and
/// every state will do. A device that is offline is not asked.
void Machine::activate(uint32_t path) {
    auto& activation = *activations_.emplace_back(std::make_unique<Activation>());
    activation.machine = this;
    activation.owner = &activation;
    activation.path = path;
    const std::string& name = map_->members()[path].path->name();
    const bool offline = paths_.find(name)->second.device->offline();
    activation.device = paths_.find(name)->second.device;
    activation.result = offline ? HandlerResult::device_offlined : HandlerResult::ok;
    activation.fire = [](loop::Timer& timer, Instant) {
        auto& self = *static_cast<Activation*>(timer.owner);
        if (self.result == HandlerResult::ok) self.device->learn_access_state();
        if (self.machine->map_ != nullptr)
            self.machine->map_->path_activated(self.path, self.result, "");
    };
    loop_.arm_after(activation, offline ? Duration(0) : activation_time);
}

// --- what it shows ------------------------------------------------------------------------------

std::string Machine::table_text() const {
    return fmt::format("0 {} multipath {}", size_sectors_,
                       multipath::dm_table_text(map_->brain().table()));
}

std::string Machine::status_text() const {
    return fmt::format("0 {} multipath {}", size_sectors_,
                       multipath::dm_info_text(map_->brain().dm_info()));
}

}  // namespace braidway::scenario
