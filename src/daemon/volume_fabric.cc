// SPDX-License-Identifier: Apache-2.0
// What the paths of a volume lead to, what happens when they are lost and come back, and the
// hardware handler that they have.
#include <fmt/format.h>

#include "daemon/ready_looker.h"
#include "daemon/volume.h"

namespace braidway::daemon {

/// The rule against writing to the wrong volume: a number of a disk, or a name of an export, is
/// given to another one sooner or later. What comes first is what the map stands for.
path::IdentityAnswer Volume::compare(const std::string& path, const std::string& identity,
                                     const std::string& found) {
    if (identity.empty()) return {path::IdentityVerdict::same, {}};
    return path::compare_identity(path, identity, found);
}

/// A path that stays, against what the map is to stand for. What it has not told counts for
/// nothing.
path::IdentityAnswer Volume::compare_kept(const PathUnit& unit, const std::string& identity) {
    if (!unit.works() || unit.finding().identity.empty()) return {path::IdentityVerdict::same, {}};
    return compare(unit.name(), identity, unit.finding().identity);
}

/// Errors: it leads elsewhere, and is fenced off for good; or it cannot tell now, and is asked
/// again.
Result<void> Volume::check_identity(PathUnit& unit, const path::FabricFinding& found) {
    path::IdentityAnswer answer = compare(unit.name(), identity_, found.identity);
    switch (answer.verdict) {
        case path::IdentityVerdict::same:
            return {};
        case path::IdentityVerdict::other:
            surroundings_.tell(Severity::critical, "path-identity-changed", name(), unit.name(),
                               answer.line);
            unit.fence_off(answer.line);
            break;
        case path::IdentityVerdict::unknown:
            // Where it would not tell, this says why.
            if (found.identity.empty() && !found.description.empty())
                answer.line += fmt::format(" ({})", found.description);
            unit.turn_away(answer.line);
            break;
    }
    return fail(unit.problem(), EMEDIUMTYPE);
}

/// The first volume that is found is the map's, unless the configuration says which it is.
void Volume::take_identity(const std::string& found) {
    if (identity_.empty()) identity_ = found;
}

/// Of a map that is being made. Who says nothing comes last: it must not be in before it is known
/// what the others are.
void Volume::admit_units(const std::vector<PathUnit*>& units) {
    const PathUnit* first = nullptr;
    for (const bool nameless : {false, true})
        for (PathUnit* unit : units) {
            if (!unit->awaits_admission() || unit->finding().identity.empty() != nameless) continue;
            const path::FabricFinding& found = unit->finding();
            if (!check_identity(*unit, found)) continue;
            if (first != nullptr &&
                found.geometry.block_bytes != first->finding().geometry.block_bytes) {
                unit->turn_away(
                    fmt::format("it has blocks of {} bytes but path {} of {}; give them "
                                "one block_size",
                                found.geometry.block_bytes, first->name(),
                                first->finding().geometry.block_bytes));
                continue;
            }
            if (first == nullptr) first = unit;
            take_identity(found.identity);
            unit->admit();
        }
}

/// Before anything is read from or written to a path that has come back.
Result<void> Volume::fits(PathUnit& unit, const path::FabricFinding& found) {
    if (auto same = check_identity(unit, found); !same) return same;
    if (auto joins = check_joins(unit.name(), found.geometry, unit.store(), false); !joins)
        return joins;
    take_identity(found.identity);
    surroundings_.tell(Severity::info, "path-connected", name(), unit.name(), found.description);
    return {};
}

/// The same for a file.
Result<void> Volume::fits(PathUnit& unit, const OpenedPath& found) {
    if (found.scsi_disk)
        if (auto same = check_identity(unit, found.finding); !same) return same;
    if (auto joins = check_joins(unit.name(), found.file->geometry,
                                 reinterpret_cast<uint64_t>(found.file->store.get()),
                                 found.file->mode == path::FileMode::buffered);
        !joins)
        return joins;
    if (found.scsi_disk) take_identity(found.finding.identity);
    return {};
}

void Volume::unit_lost(PathUnit& unit, const std::string& reason) {
    surroundings_.tell(Severity::warning, "connection-lost", name(), unit.name(), reason);
    // Whoever asks next must not find out by failing.
    if (unit.checker() != CheckConfig::Checker::none) monitor_.find(unit.path())->check_now();
}

void Volume::unit_settled(PathUnit& unit, bool at_risk) {
    if (at_risk)
        surroundings_.tell(Severity::warning, "resend-at-risk", name(), unit.name(),
                           "writes whose answers were lost go out again after resend_quiesce, "
                           "without proof that the first copies cannot happen any more");
    else
        surroundings_.tell(Severity::info, "resend-safe", name(), unit.name(),
                           "writes whose answers were lost go out again: the first copies cannot "
                           "happen any more");
}

// --- the hardware handler ---------------------------------------------------------------------

multipath::HandlerSpec Volume::handler_now() const {
    return handler_ == nullptr ? multipath::HandlerSpec{} : handler_->spec();
}

/// Has the map driven by `wanted`; the handler before is let go. `units` are all its paths.
void Volume::use_handler(const multipath::HandlerSpec& wanted,
                         const std::vector<PathUnit*>& units) {
    const multipath::HandlerSpec now = handler_now();
    // A handler keeps the words that it has when it is given none.
    const bool anew =
        now.name != wanted.name || (wanted.parameters.empty() && !now.parameters.empty());
    if (anew) drop_handler();
    if (wanted.name.empty()) return;
    if (anew)
        handler_ = std::make_unique<VolumeHandler>(surroundings_.loop, *map_, wanted);
    else if (now.parameters != wanted.parameters)
        handler_->set_words(wanted.parameters);
    for (PathUnit* unit : units)
        if (unit->works() && !handler_->knows(*unit)) attach(*unit);
}

void Volume::attach(PathUnit& unit) {
    handler_->attach(unit);
    if (const std::string remark = handler_->remark(unit); !remark.empty())
        surroundings_.tell(Severity::warning, "path-remark", name(), unit.name(), remark);
}

std::unique_ptr<monitor::Looker> Volume::make_looker(PathUnit& unit) {
    return std::make_unique<ReadyLooker>(
        surroundings_.loop, unit,
        [this, &unit]() -> std::string_view {
            if (handler_ == nullptr || !handler_->serves(unit)) return {};
            return handler_->spec().name;
        },
        [this, &unit](bool takes_io) {
            if (handler_ != nullptr) handler_->observed(unit, takes_io);
        });
}

void Volume::drop_handler() {
    if (handler_ == nullptr) return;
    surroundings_.graveyard.bury(handler_->let_go());
    handler_.reset();
}

/// A path works again; where it leads to has been checked.
void Volume::came_back(PathUnit& unit) {
    map_->set_store(index_of(unit), unit.store());
    if (handler_ != nullptr) return attach(unit);
    std::vector<PathUnit*> units;
    for (const auto& each : units_) units.push_back(each.get());
    const multipath::HandlerSpec found = choose_handler(config_.handler, units, {});
    if (found.name.empty()) return;
    // It is the first one that says of which kind the array is.
    use_handler(found, units);
    install_table(config_, units);
}

}  // namespace braidway::daemon
