// SPDX-License-Identifier: Apache-2.0
// [path.NAME] where its device is at the other end of a network.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/config_sections.h"

namespace braidway::daemon {

/// Whether `device` is meant as the URI of a device of a network.
bool names_fabric_device(std::string_view device);

/// Reads `device`, for which names_fabric_device() is true, into `path`.
void read_fabric_device(TableReader& reader, PathConfig& path, const Draft& draft,
                        const std::string& device);

/// Reads the keys that only devices of a network have; writes down those that are in the way.
void read_fabric_keys(TableReader& reader, PathConfig& path, const Draft& draft);

/// Reads `initiator`, of a path or of [defaults].
std::optional<std::string> read_initiator(TableReader& reader);

}  // namespace braidway::daemon
