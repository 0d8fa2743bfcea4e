// SPDX-License-Identifier: Apache-2.0
// The io-affinity path selector.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Io-affinity: the path that belongs to the CPU which submits the I/O.
///
/// Each path names its CPUs; a CPU belongs to the first path that names it. When the path of
/// IoShape::cpu is down or there is none, the first path that is up of a CPU on the same node is
/// used, else that of any CPU, both in the order of the CPUs. A CPU without a path counts as a
/// miss.
/// Shapes:  per path exactly one word, a CPU mask (cpu_mask.h) with a CPU that no path before it
///          has. Nodes are those of SelectorOptions::node_of_cpu.
/// Units:   neither sizes, times nor what is in flight matter.
/// Source:  the io-affinity selector of Linux device-mapper, which also shows the misses of the
///          whole group behind each path. A mask is printed as wide as node_of_cpu is, in the
///          kernel as wide as the machine.
Result<std::unique_ptr<Selector>> make_io_affinity(const PathArguments& group,
                                                   const std::vector<PathArguments>& paths,
                                                   const SelectorOptions& options);

}  // namespace braidway::multipath
