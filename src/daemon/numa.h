// SPDX-License-Identifier: Apache-2.0
// Which CPU belongs to which NUMA node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace braidway::daemon {

/// The node of each CPU, as the kernel tells in the files nodeN/cpumap of `folder`; empty when it
/// does not.
std::vector<uint32_t> node_of_cpu(const std::string& folder = "/sys/devices/system/node");

}  // namespace braidway::daemon
