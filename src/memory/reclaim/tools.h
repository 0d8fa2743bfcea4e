// SPDX-License-Identifier: Apache-2.0
// What a run is made of on this machine: the mechanisms, and what each is good for here.
#pragma once

#include <string>
#include <vector>

#include "memory/reclaim/machine.h"
#include "memory/reclaim/mechanism.h"
#include "memory/reclaim/node_list.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// Every mechanism there is, in the order of preference; those that `request` names, where it names
/// any. They are not probed yet.
Mechanisms make_mechanisms(Machine& machine, uint32_t node, const Request& request);

/// One mechanism on one node, and whether it works.
struct Capability {
    std::string mechanism;
    uint32_t node = 0;
    KindSet kinds{};
    bool global = false;
    bool usable = false;
    std::string why_not{};
};
/// Of all mechanisms on `nodes`.
std::vector<Capability> find_capabilities(Machine& machine, const NodeList& nodes);

}  // namespace braidway::memory
