// SPDX-License-Identifier: Apache-2.0
// A volume's paths over a network: what they lead to, and what happens when they are lost.
#include <fmt/format.h>

#include "daemon/volume.h"

namespace braidway::daemon {

/// The rule against writing to the wrong volume: a number of a disk, or a name of an export, is
/// given to another one sooner or later.
Result<void> Volume::check_identity(const std::string& path, const std::string& found) const {
    if (identity_.empty() || found == identity_) return {};
    return fail(fmt::format("map {}: path {} leads to another volume: it is {}, the map's is {}; "
                            "nothing is written to it. Correct the path or the server, then "
                            "reload",
                            name(), path, found, identity_),
                EMEDIUMTYPE);
}

/// Of a map that is being made: the first volume that is found is the map's, unless the
/// configuration says which it is.
void Volume::admit_fabrics(const std::vector<PathUnit*>& units) {
    const PathUnit* first = nullptr;
    for (PathUnit* unit : units) {
        if (!unit->awaits_admission()) continue;
        const path::FabricFinding& found = unit->finding();
        auto same = check_identity(unit->name(), found.identity);
        if (same && first != nullptr &&
            found.geometry.block_bytes != first->finding().geometry.block_bytes)
            same =
                fail(fmt::format("map {}: path {} has blocks of {} bytes but path {} of {}; "
                                 "give them one block_size",
                                 name(), unit->name(), found.geometry.block_bytes, first->name(),
                                 first->finding().geometry.block_bytes));
        if (!same) {
            surroundings_.tell(Severity::critical, "path-identity-changed", name(), unit->name(),
                               same.error().message);
            unit->fence_off(same.error().message);
            continue;
        }
        if (identity_.empty()) identity_ = found.identity;
        if (first == nullptr) first = unit;
        unit->admit();
    }
}

/// Before anything is read from or written to a path that has come back.
Result<void> Volume::fits(PathUnit& unit, const path::FabricFinding& found) {
    if (auto same = check_identity(unit.name(), found.identity); !same) {
        surroundings_.tell(Severity::critical, "path-identity-changed", name(), unit.name(),
                           same.error().message);
        unit.fence_off(same.error().message);
        return same;
    }
    const uint64_t store = unit.store();
    if (auto joins = check_joins(unit.name(), found.geometry, store, false); !joins) return joins;
    if (identity_.empty()) identity_ = found.identity;
    surroundings_.tell(Severity::info, "path-connected", name(), unit.name(), found.description);
    return {};
}

void Volume::unit_lost(PathUnit& unit, const std::string& reason) {
    surroundings_.tell(Severity::warning, "connection-lost", name(), unit.name(), reason);
    // Whoever asks next must not find out by failing.
    if (unit.config().check.checker != CheckConfig::Checker::none)
        monitor_.find(unit.path())->check_now();
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

}  // namespace braidway::daemon
