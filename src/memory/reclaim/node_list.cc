// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/limits.h"

namespace braidway::memory {
namespace {

std::optional<uint32_t> parse_node(std::string_view text) {
    uint32_t node = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), node);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    if (node > limits::node_max) return {};
    return node;
}

}  // namespace

Result<NodeList> parse_node_list(std::string_view text) {
    NodeList nodes;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        const std::string_view part = text.substr(begin, end - begin);
        const size_t dash = part.find('-');
        const auto first = parse_node(part.substr(0, dash));
        const auto last =
            dash == std::string_view::npos ? first : parse_node(part.substr(dash + 1));
        if (!first || !last || *last < *first)
            return fail(
                fmt::format("'{}' is no node or range of nodes (0 to {}); expected a list "
                            "such as 0,2-3",
                            part, limits::node_max));
        for (uint32_t node = *first; node <= *last; ++node) nodes.push_back(node);
        begin = end + 1;
    }
    std::ranges::sort(nodes);
    const auto rest = std::ranges::unique(nodes);
    nodes.erase(rest.begin(), rest.end());
    return nodes;
}

std::string format_node_list(const NodeList& nodes) {
    std::string text;
    for (size_t at = 0; at < nodes.size();) {
        size_t last = at;
        while (last + 1 < nodes.size() && nodes[last + 1] == nodes[last] + 1) ++last;
        text += fmt::format("{}{}", text.empty() ? "" : ",", nodes[at]);
        if (last > at) text += fmt::format("-{}", nodes[last]);
        at = last + 1;
    }
    return text;
}

}  // namespace braidway::memory
