// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/numa_text.h"

#include <algorithm>
#include <charconv>
#include <span>

namespace braidway::memory {
namespace {

/// Takes the part up to `end` from `text`, and `end` too.
std::string_view take_until(std::string_view& text, char end) {
    const size_t size = std::min(text.find(end), text.size());
    const std::string_view part = text.substr(0, size);
    text.remove_prefix(std::min(size + 1, text.size()));
    return part;
}

bool parse_number(std::string_view text, uint64_t& number, int base = 10) {
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && stop == text.data() + text.size();
}

/// "N3=77".
bool parse_node_count(std::string_view word, uint32_t& node, uint64_t& count) {
    if (!word.starts_with('N')) return false;
    word.remove_prefix(1);
    uint64_t number = 0;
    if (!parse_number(take_until(word, '='), number) || !parse_number(word, count)) return false;
    node = static_cast<uint32_t>(number);
    return number <= UINT32_MAX;
}

struct StatRow {
    std::string_view name;
    uint64_t CgroupBytes::* place;
};
constexpr StatRow rows_v1[] = {{"hierarchical_anon", &CgroupBytes::anon},
                               {"hierarchical_file", &CgroupBytes::file}};
constexpr StatRow rows_v2[] = {{"anon", &CgroupBytes::anon},
                               {"file", &CgroupBytes::file},
                               {"shmem", &CgroupBytes::shmem},
                               {"slab_reclaimable", &CgroupBytes::slab},
                               {"slab_unreclaimable", &CgroupBytes::slab}};

}  // namespace

uint64_t NumaMapping::pages() const {
    uint64_t sum = 0;
    for (const auto& [node, count] : nodes) sum += count;
    return sum;
}

uint64_t NumaMapping::anon_on(uint32_t node) const {
    const auto found = nodes.find(node);
    if (found == nodes.end() || anon == 0) return 0;
    const uint64_t all = pages();
    if (anon >= all) return found->second;
    return static_cast<uint64_t>(static_cast<__uint128_t>(found->second) * anon / all);
}

std::vector<NumaMapping> parse_numa_maps(std::string_view text) {
    std::vector<NumaMapping> mappings;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        NumaMapping mapping;
        if (!parse_number(take_until(line, ' '), mapping.begin, 16)) continue;
        take_until(line, ' ');  // The policy.
        while (!line.empty()) {
            const std::string_view word = take_until(line, ' ');
            uint32_t node = 0;
            uint64_t count = 0;
            if (word.starts_with("file=")) {
                mapping.file = true;
                mapping.path = word.substr(5);
            } else if (word.starts_with("anon=")) {
                parse_number(word.substr(5), mapping.anon);
            } else if (parse_node_count(word, node, count)) {
                mapping.nodes[node] = count;
            }
        }
        mappings.push_back(std::move(mapping));
    }
    return mappings;
}

std::map<uint32_t, CgroupBytes> parse_numa_stat(std::string_view text, uint64_t page_bytes) {
    std::map<uint32_t, CgroupBytes> bytes;
    bool shmem_in_file = false;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        const std::string_view first = take_until(line, ' ');
        const size_t equals = first.find('=');
        const bool v1 = equals != std::string_view::npos;
        const std::string_view name = first.substr(0, equals);
        for (const StatRow& row : v1 ? std::span<const StatRow>(rows_v1) : rows_v2) {
            if (row.name != name) continue;
            if (!v1 && name == "shmem") shmem_in_file = true;
            while (!line.empty()) {
                uint32_t node = 0;
                uint64_t count = 0;
                if (parse_node_count(take_until(line, ' '), node, count))
                    bytes[node].*row.place += count * (v1 ? page_bytes : 1);
            }
        }
    }
    if (shmem_in_file)
        for (auto& [node, of] : bytes) of.file -= std::min(of.file, of.shmem);
    return bytes;
}

}  // namespace braidway::memory
