// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/mount.h"

#include "apps/free_node_memory/control_files.h"
#include "apps/free_node_memory/fuse_server.h"
#include "memory/reclaim/free_nodes.h"
#include "memory/reclaim/real_machine.h"
#include "memory/reclaim/report_json.h"

namespace braidway::apps {
namespace {

/// Without memory's exact counts: anybody may read `status`, and making them exact disturbs all
/// CPUs.
Result<NodeStates> read_states(const memory::Machine& machine) {
    const auto nodes = memory::nodes_with_memory(machine);
    if (!nodes) return std::unexpected(nodes.error());
    NodeStates states;
    for (const uint32_t node : *nodes) {
        const auto state = memory::read_node_state(machine, node, memory::Refresh::no);
        if (!state) return std::unexpected(state.error());
        states.emplace_back(node, *state);
    }
    return states;
}

}  // namespace

int run_mount(const MountOptions& options, std::ostream& out, std::ostream& error) {
    const memory::Cancel never_cancelled;
    const memory::RealMachine watched(never_cancelled, options.root);
    ControlFiles files(
        options.base, {.states = [&watched] { return read_states(watched); },
                       .run =
                           [&options](const memory::NodeList& nodes, const memory::Request& request,
                                      const memory::Cancel& cancel) {
                               memory::RealMachine machine(cancel, options.root);
                               return memory::free_nodes(machine, nodes, request);
                           },
                       .line = memory::report_text});
    return serve_control_files(options, files, out, error);
}

}  // namespace braidway::apps
