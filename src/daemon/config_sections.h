// SPDX-License-Identifier: Apache-2.0
// The sections of braidway.toml, each read into its part of a Draft; then the parts are joined.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/config_reader.h"

namespace braidway::daemon {

/// An I/O timeout as it is written: a duration, or "off" (nothing).
struct IoTimeout {
    std::optional<Duration> length;
};

/// The keys that [defaults], maps and paths have in common; the nearest one counts.
struct InheritedKeys {
    std::optional<CheckConfig::Checker> checker;
    std::optional<Duration> polling_interval;
    std::optional<Duration> max_polling_interval;
    std::optional<Duration> checker_timeout;
    std::optional<IoTimeout> io_timeout;
};

/// A configuration that is being read: its parts, and what is needed to join them.
struct Draft {
    Config config;
    InheritedKeys defaults;
    std::optional<std::string> default_selector;
    std::optional<NoPathConfig> default_no_path;
    std::optional<std::string> default_initiator;
    std::vector<InheritedKeys> path_keys;            ///< As config.paths.
    std::vector<InheritedKeys> map_keys;             ///< As config.maps.
    std::map<std::string, uint32_t> path_use_lines;  ///< Where each path is put into a group.
};

/// Reads the keys of InheritedKeys from a section.
InheritedKeys read_inherited_keys(TableReader& reader);

/// The keys that several sections have with the same words.
std::optional<NoPathConfig> read_no_path(TableReader& reader);
std::optional<std::string> read_selector(TableReader& reader);
/// Writes down when `value` of `key` is no power of two.
bool power_of_two(TableReader& reader, std::string_view key, uint64_t value);

/// One reader for each sort of section.
void read_api(TableReader& reader, Draft& draft);
void read_daemon(TableReader& reader, Draft& draft);
void read_defaults(TableReader& reader, Draft& draft);
void read_path(TableReader& reader, const std::string& name, Draft& draft);
void read_map(TableReader& reader, const std::string& name, Draft& draft);
void read_export(TableReader& reader, const std::string& name, Draft& draft);

/// Joins the parts: checks that names fit together and fills in what is inherited.
void join_sections(Draft& draft, ProblemList& problems);

/// A file name of the configuration: absolute, or from the folder of the configuration file.
std::string resolve_file(const std::string& path, const Draft& draft);

}  // namespace braidway::daemon
