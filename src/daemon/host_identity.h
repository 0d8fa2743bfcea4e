// SPDX-License-Identifier: Apache-2.0
// Which host this is, for peers that must recognise it after a restart.
#pragma once

#include <string>

namespace braidway::daemon {

/// A text that no other host has and that stays: the machine's id, else the host's name. Not for
/// showing: machine-id(5) asks that it be kept on the host. May sleep.
std::string host_identity(const std::string& machine_id_file = "/etc/machine-id");

}  // namespace braidway::daemon
