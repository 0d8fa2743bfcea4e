// SPDX-License-Identifier: Apache-2.0
// The values of the control API as JSON, and back where the command line reads them. The shape is
// described in docs/braidway.md; every document carries "schema".
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/control.h"

namespace braidway::daemon {

/// Changes when a member is renamed, removed or changes its meaning; not when one is added.
inline constexpr int json_schema = 1;

nlohmann::json map_json(const MapSnapshot& map);
nlohmann::json path_json(const PathSnapshot& path);
nlohmann::json export_json(const ExportSnapshot& from);
/// The daemon itself, with counts of maps, paths and exports.
nlohmann::json status_json(const Snapshot& snapshot);
/// Maps with their groups, and in the groups the paths.
nlohmann::json topology_json(const Snapshot& snapshot);
nlohmann::json event_json(const EventRecord& event);

/// A document: `value` with "schema" as text on one line. Bytes that are no UTF-8 are replaced.
std::string json_document(nlohmann::json value);
/// One line of JSON without "schema", for streams.
std::string json_line(const nlohmann::json& value);

/// Reads what event_json made; nothing when the line is no event.
std::optional<EventRecord> event_from_json(std::string_view line);

/// "2026-01-31T12:00:00.123Z", from nanoseconds since 1970.
std::string format_wall_clock(Duration since_1970);

/// "debug", "info", "warning", "critical".
std::string_view severity_name(Severity severity);

}  // namespace braidway::daemon
