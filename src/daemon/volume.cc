// SPDX-License-Identifier: Apache-2.0
#include "daemon/volume.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "daemon/fabric_paths.h"
#include "daemon/file_reviver.h"
#include "daemon/numa.h"

namespace braidway::daemon {
namespace {

monitor::CheckConfig check_config(const PathConfig& path) {
    return {.enabled = path.check.checker != CheckConfig::Checker::none,
            .polling_interval = path.check.polling_interval,
            .max_polling_interval = path.check.max_polling_interval,
            .timeout = path.check.timeout};
}

map::MapConfig map_config(const MapConfig& config, const multipath::HandlerSpec& handler,
                          const std::vector<PathUnit*>& units, const block::Geometry& geometry) {
    map::MapConfig made{.name = config.name, .table = {}, .geometry = geometry};
    made.table.initial_group = config.initial_group;
    made.table.attempts_max = config.attempts_max;
    made.table.fence = {.quiesce_time = config.quiesce_time, .patience = config.fence_timeout};
    made.table.kernel_strict = config.kernel_strict;
    made.table.no_path = {.queue = config.no_path.queue, .timeout = config.no_path.timeout};
    made.table.node_of_cpu = node_of_cpu();
    made.table.handler = handler;
    if (!handler.name.empty()) {
        made.table.pg_init_retries = config.handler.retries;
        made.table.pg_init_delay = config.handler.delay;
    }
    made.held_requests_max = config.held_requests_max;
    made.held_bytes_max = config.held_bytes_max;
    size_t next = 0;
    for (const GroupConfig& group : config.groups) {
        multipath::GroupSpec& spec = made.table.groups.emplace_back();
        spec.selector = group.selector;
        spec.selector_arguments = group.selector_arguments;
        for (const GroupPath& path : group.paths) {
            multipath::PathSpec& place = spec.paths.emplace_back();
            place.name = path.path;
            place.up = units[next++]->works();
            place.arguments = path.selector_words();
        }
    }
    return made;
}

std::vector<map::Member> members_of(const std::vector<PathUnit*>& units) {
    std::vector<map::Member> members;
    for (PathUnit* unit : units) members.push_back({&unit->path(), unit->store()});
    return members;
}

/// What both can do.
block::Geometry both(block::Geometry one, const block::Geometry& other) {
    one.memory_alignment = std::max(one.memory_alignment, other.memory_alignment);
    one.preferred_bytes = std::max(one.preferred_bytes, other.preferred_bytes);
    one.read_only = one.read_only || other.read_only;
    one.rotational = one.rotational || other.rotational;
    one.can_flush = one.can_flush && other.can_flush;
    one.can_fua = one.can_fua && other.can_fua;
    one.can_discard = one.can_discard && other.can_discard;
    one.can_write_zeroes = one.can_write_zeroes && other.can_write_zeroes;
    one.can_fast_zero = one.can_fast_zero && other.can_fast_zero;
    one.can_block_status = one.can_block_status && other.can_block_status;
    return one;
}

Result<void> check_agreement(const std::string& map, const std::string& first,
                             const block::Geometry& expected, const std::string& name,
                             const block::Geometry& found) {
    if (found.size_bytes != expected.size_bytes)
        return fail(fmt::format("map {}: path {} has {} bytes but path {} has {}; the paths of a "
                                "map lead to one storage and must have one size",
                                map, name, found.size_bytes, first, expected.size_bytes),
                    EINVAL);
    if (found.block_bytes != expected.block_bytes)
        return fail(fmt::format("map {}: path {} has blocks of {} bytes but path {} of {}; give "
                                "them one block size",
                                map, name, found.block_bytes, first, expected.block_bytes),
                    EINVAL);
    return {};
}

std::string different_caches(const std::string& map, const std::string& one,
                             const std::string& other, const std::string& buffered) {
    return fmt::format(
        "map {}: paths {} and {} are different files, and {} goes through the page "
        "cache; two caches over one storage read stale data, so such paths must "
        "allow direct I/O",
        map, one, other, buffered);
}

Result<block::Geometry> agree(const std::string& map, const std::vector<PathUnit*>& units) {
    const PathUnit* first = nullptr;
    block::Geometry geometry;
    std::string problems;
    for (PathUnit* unit : units) {
        if (!unit->works()) {
            problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", unit->name(),
                                    unit->problem());
            continue;
        }
        const block::Geometry& found = unit->path().geometry();
        if (first == nullptr) {
            first = unit;
            geometry = found;
            continue;
        }
        if (auto agreed = check_agreement(map, first->name(), geometry, unit->name(), found);
            !agreed)
            return std::unexpected(agreed.error());
        geometry = both(geometry, found);
        if (unit->store() != first->store() && (unit->buffered() || first->buffered()))
            return fail(different_caches(map, first->name(), unit->name(),
                                         unit->buffered() ? unit->name() : first->name()),
                        EINVAL);
    }
    if (first == nullptr)
        return fail(fmt::format("map {}: none of its paths works ({})", map, problems), ENODEV);
    return geometry;
}

}  // namespace

Volume::Volume(const Surroundings& surroundings, const MapConfig& config)
    : surroundings_(surroundings),
      config_(config),
      identity_(config.wwid),
      monitor_(surroundings.loop) {
}

Volume::~Volume() {
    // Of one that was never served, its connections are still there.
    if (!units_.empty()) bury(surroundings_.graveyard);
}

Result<std::unique_ptr<Volume>> Volume::create(const Surroundings& surroundings,
                                               const MapConfig& config,
                                               std::vector<WantedPath> paths) {
    std::unique_ptr<Volume> volume(new Volume(surroundings, config));
    std::vector<PathUnit*> units;
    for (WantedPath& wanted : paths) {
        auto unit =
            PathUnit::create(surroundings.loop, surroundings.pool, wanted.config, wanted.opened);
        if (!unit) {
            for (WantedPath& each : paths)
                if (each.opened.fabric != nullptr)
                    surroundings.graveyard.bury(std::move(each.opened.fabric));
            return std::unexpected(unit.error());
        }
        units.push_back(unit->get());
        volume->units_.push_back(std::move(*unit));
    }
    volume->admit_units(units);
    auto geometry = agree(config.name, units);
    if (!geometry) return std::unexpected(geometry.error());
    geometry->read_only = geometry->read_only || config.read_only;
    const multipath::HandlerSpec handler = choose_handler(config.handler, units, {});
    auto map =
        map::MapDevice::create(surroundings.loop, map_config(config, handler, units, *geometry),
                               members_of(units), surroundings.observer);
    if (!map) return std::unexpected(map.error());
    volume->map_ = std::move(*map);
    volume->map_->set_failure_listener(&volume->monitor_);
    volume->use_handler(handler, units);
    for (uint32_t index = 0; index < units.size(); ++index) volume->watch(*units[index], index);
    return volume;
}

void Volume::watch(PathUnit& unit, uint32_t index) {
    unit.set_listener(this);
    const monitor::CheckConfig config = check_config(unit.config());
    monitor_.add(unit.path(), make_reviver(unit), config, index, *map_);
    monitor_.find(unit.path())->set_looker(make_looker(unit));
    // The first look is at once, so that nobody waits an interval for a path that is bad.
    if (config.enabled) monitor_.find(unit.path())->check_now();
}

std::unique_ptr<monitor::Reviver> Volume::make_reviver(PathUnit& unit) {
    if (unit.fabric() != nullptr)
        return std::make_unique<FabricReviver>(
            unit, [this, &unit](const path::FabricFinding& found) { return fits(unit, found); },
            [this, &unit] { came_back(unit); });
    if (unit.file() != nullptr)
        return std::make_unique<FileReviver>(
            surroundings_.loop, unit, surroundings_.stores,
            [this, &unit](const OpenedPath& found) { return fits(unit, found); },
            [this, &unit] { came_back(unit); });
    return nullptr;
}

void Volume::number_checkers() {
    for (uint32_t index = 0; index < units_.size(); ++index)
        monitor_.find(units_[index]->path())->set_path_index(index);
}

PathUnit* Volume::find_path(const std::string& name) {
    for (const auto& unit : units_)
        if (unit->name() == name) return unit.get();
    return nullptr;
}

uint32_t Volume::index_of(const PathUnit& unit) const {
    const auto found = std::ranges::find(units_, &unit, &std::unique_ptr<PathUnit>::get);
    CHECK(found != units_.end(), "a path is asked of its own volume");
    return static_cast<uint32_t>(found - units_.begin());
}

void Volume::set_check(const PathUnit& unit, const PathConfig& config) {
    units_[index_of(unit)]->set_check(config.check);
    const monitor::CheckConfig wanted = check_config(config);
    monitor::Checker& checker = *monitor_.find(unit.path());
    if (checker.config() != wanted) checker.configure(wanted);
}

monitor::Checker* Volume::find_checker(const PathUnit& unit) {
    return monitor_.find(unit.path());
}

Result<void> Volume::check_joins(const std::string& path, const block::Geometry& found,
                                 uint64_t store, bool buffered) const {
    const block::Geometry& geometry = map_->geometry();
    if (auto agreed = check_agreement(name(), "(the map)", geometry, path, found); !agreed)
        return agreed;
    if (both(geometry, found) != geometry)
        return fail(
            fmt::format("map {}: path {} can do less than what the clients of the map were "
                        "told (read-only, discard, zeroes or alignment); it needs a new map",
                        name(), path),
            EINVAL);
    for (const auto& unit : units_)
        if (unit->works() && unit->store() != store && (buffered || unit->buffered()))
            return fail(
                different_caches(name(), path, unit->name(), buffered ? path : unit->name()),
                EINVAL);
    return {};
}

Result<Volume::Change> Volume::prepare(const MapConfig& config, std::vector<WantedPath> paths) {
    Change change{.config = config,
                  .handler = {},
                  .identity = config.wwid.empty() ? identity_ : config.wwid,
                  .paths = {},
                  .fresh = {}};
    const auto refuse = [&](Error why) {
        discard(change, surroundings_.graveyard);
        for (WantedPath& wanted : paths)
            if (wanted.opened.fabric != nullptr)
                surroundings_.graveyard.bury(std::move(wanted.opened.fabric));
        return std::unexpected(std::move(why));
    };
    for (WantedPath& wanted : paths) {
        if (wanted.kept != nullptr) {
            change.fresh.push_back(nullptr);
            const path::IdentityAnswer answer = compare_kept(*wanted.kept, change.identity);
            if (answer.verdict == path::IdentityVerdict::other)
                return refuse({fmt::format("map {}: {}", name(), answer.line), EMEDIUMTYPE});
            continue;
        }
        auto made =
            PathUnit::create(surroundings_.loop, surroundings_.pool, wanted.config, wanted.opened);
        if (!made) return refuse(made.error());
        change.fresh.push_back(std::move(*made));
        PathUnit& unit = *change.fresh.back();
        if (unit.awaits_admission()) {
            const std::string& found = unit.finding().identity;
            const path::IdentityAnswer answer = compare(unit.name(), change.identity, found);
            if (answer.verdict == path::IdentityVerdict::other)
                return refuse({fmt::format("map {}: {}", name(), answer.line), EMEDIUMTYPE});
            if (answer.verdict == path::IdentityVerdict::same) {
                unit.admit();
                if (change.identity.empty()) change.identity = found;
            } else {
                unit.turn_away(answer.line);
            }
        }
        if (!unit.works()) continue;
        if (auto joins =
                check_joins(unit.name(), unit.path().geometry(), unit.store(), unit.buffered());
            !joins)
            return refuse(joins.error());
    }
    change.paths = std::move(paths);
    // A brain that is thrown away says whether the map's own will take the table.
    const std::vector<PathUnit*> units = change.units();
    // What was named before is not what the array has chosen.
    change.handler =
        choose_handler(config.handler, units,
                       config_.handler.automatic ? handler_now() : multipath::HandlerSpec{});
    const map::MapConfig made = map_config(config, change.handler, units, map_->geometry());
    if (auto good = multipath::Multipath::create(made.table, surroundings_.loop.now()); !good)
        return refuse({fmt::format("map {}: {}", name(), good.error().message), EINVAL});
    return change;
}

void Volume::discard(Change& change, Graveyard& graveyard) {
    for (auto& unit : change.fresh)
        if (unit != nullptr) graveyard.bury(std::move(unit), nullptr);
    change.fresh.clear();
}

std::vector<PathUnit*> Volume::Change::units() const {
    std::vector<PathUnit*> all;
    for (size_t at = 0; at < paths.size(); ++at)
        all.push_back(fresh[at] != nullptr ? fresh[at].get() : paths[at].kept);
    return all;
}

void Volume::commit(Change change, Graveyard& graveyard) {
    const std::vector<PathUnit*> units = change.units();
    // Before the table: the map has the paths of a new one activated at once.
    use_handler(change.handler, units);
    install_table(change.config, units);
    std::vector<std::unique_ptr<PathUnit>> before = std::move(units_);
    units_.clear();
    for (size_t at = 0; at < change.paths.size(); ++at) {
        if (change.fresh[at] != nullptr) {
            units_.push_back(std::move(change.fresh[at]));
            continue;
        }
        for (auto& unit : before)
            if (unit.get() == change.paths[at].kept) units_.push_back(std::move(unit));
    }
    for (auto& unit : before) {
        if (unit == nullptr) continue;
        if (handler_ != nullptr) handler_->detach(*unit);
        auto checker = monitor_.remove(unit->path());
        graveyard.bury(std::move(unit), std::move(checker));
    }
    config_ = change.config;
    // Whoever was fenced off is compared with what is expected now.
    if (identity_ != change.identity)
        for (const auto& unit : units_) unit->lift_fence();
    identity_ = change.identity;
    for (uint32_t index = 0; index < units_.size(); ++index)
        if (monitor_.find(units_[index]->path()) == nullptr) watch(*units_[index], index);
    number_checkers();
}

/// The table of `config` with the handler that there is. prepare() has shown it to a brain.
void Volume::install_table(const MapConfig& config, const std::vector<PathUnit*>& units) {
    const auto taken = map_->replace(map_config(config, handler_now(), units, map_->geometry()),
                                     members_of(units));
    CHECK(taken.has_value(), "a table that a brain has taken before");
}

void Volume::bury(Graveyard& graveyard) {
    if (map_ != nullptr) map_->set_failure_listener(nullptr);
    std::vector<std::unique_ptr<monitor::Checker>> checkers;
    for (auto& unit : units_) checkers.push_back(monitor_.remove(unit->path()));
    // The handler lets go of the map, and the map of its paths, before they go.
    drop_handler();
    map_.reset();
    for (size_t at = 0; at < units_.size(); ++at)
        graveyard.bury(std::move(units_[at]), std::move(checkers[at]));
    units_.clear();
}

}  // namespace braidway::daemon
