// SPDX-License-Identifier: Apache-2.0
#include "daemon/numa.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

#include "multipath/cpu_mask.h"

namespace braidway::daemon {
namespace {

/// 3 of "node3".
std::optional<uint32_t> node_number(std::string_view name) {
    constexpr std::string_view prefix = "node";
    if (!name.starts_with(prefix)) return std::nullopt;
    uint32_t number = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, problem] = std::from_chars(name.data() + prefix.size(), end, number);
    if (problem != std::errc() || stop != end) return std::nullopt;
    return number;
}

}  // namespace

std::vector<uint32_t> node_of_cpu(const std::string& folder) {
    std::vector<uint32_t> nodes;
    std::error_code problem;
    for (std::filesystem::directory_iterator at(folder, problem), end; !problem && at != end;
         at.increment(problem)) {
        const std::optional<uint32_t> node = node_number(at->path().filename().native());
        if (!node) continue;
        std::ifstream file(at->path() / "cpumap");
        std::string mask;
        if (!(file >> mask)) continue;
        const auto cpus = multipath::parse_cpu_mask(mask);
        if (!cpus) continue;
        for (const uint32_t cpu : *cpus) {
            if (cpu >= nodes.size()) nodes.resize(cpu + 1);
            nodes[cpu] = *node;
        }
    }
    return nodes;
}

}  // namespace braidway::daemon
