// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/tools.h"

#include <algorithm>

#include "memory/reclaim/cgroup_reclaim.h"
#include "memory/reclaim/drop_caches.h"
#include "memory/reclaim/file_advice.h"
#include "memory/reclaim/mglru.h"
#include "memory/reclaim/node_reclaim.h"
#include "memory/reclaim/process_pageout.h"
#include "memory/reclaim/shrinker.h"

namespace braidway::memory {

Mechanisms make_mechanisms(Machine& machine, uint32_t node, const Request& request) {
    Mechanisms all;
    all.push_back(std::make_unique<NodeReclaim>(machine, node));
    all.push_back(std::make_unique<Mglru>(machine));
    all.push_back(std::make_unique<FileAdvice>(machine, request.files));
    all.push_back(std::make_unique<CgroupReclaim>(machine));
    all.push_back(std::make_unique<ProcessPageout>(machine));
    all.push_back(std::make_unique<ShrinkerScan>(machine));
    all.push_back(std::make_unique<DropCaches>(machine));
    if (!request.mechanisms.empty())
        std::erase_if(all, [&request](const std::unique_ptr<Mechanism>& mechanism) {
            return std::ranges::find(request.mechanisms, mechanism->name()) ==
                   request.mechanisms.end();
        });
    return all;
}

std::vector<Capability> find_capabilities(Machine& machine, const NodeList& nodes) {
    std::vector<Capability> found;
    for (const uint32_t node : nodes)
        for (const auto& mechanism : make_mechanisms(machine, node, {})) {
            const auto usable = mechanism->probe();
            found.push_back({.mechanism = std::string(mechanism->name()),
                             .node = node,
                             .kinds = mechanism->kinds(),
                             .global = mechanism->reach() == Reach::global,
                             .usable = usable.has_value(),
                             .why_not = usable ? "" : usable.error().message});
        }
    return found;
}

}  // namespace braidway::memory
