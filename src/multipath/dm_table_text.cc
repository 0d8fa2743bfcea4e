// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/check.h"
#include "multipath/dm_table.h"

namespace braidway::multipath {
namespace {

std::string features_text(const MultipathSpec& map) {
    std::vector<std::string> words;
    if (map.no_path.queue) words.emplace_back("queue_if_no_path");
    if (map.pg_init_retries > 0) {
        words.emplace_back("pg_init_retries");
        words.push_back(fmt::to_string(map.pg_init_retries));
    }
    if (map.pg_init_delay) {
        words.emplace_back("pg_init_delay_msecs");
        words.push_back(fmt::to_string(
            std::chrono::duration_cast<std::chrono::milliseconds>(*map.pg_init_delay).count()));
    }
    if (map.retain_attached_handler || map.queue_mode == QueueMode::bio)
        words.emplace_back("retain_attached_hw_handler");
    if (map.queue_mode == QueueMode::bio) {
        words.emplace_back("queue_mode");
        words.emplace_back("bio");
    }
    return fmt::format("{}{}{}", words.size(), words.empty() ? "" : " ", fmt::join(words, " "));
}

void append_group(std::string& text, const GroupSpec& group, const SelectorOptions& options) {
    std::vector<PathArguments> arguments;
    for (const PathSpec& path : group.paths) arguments.push_back(path.arguments);
    const auto selector =
        make_selector(group.selector, group.selector_arguments, arguments, options);
    CHECK(selector.has_value(), "a map's selectors accept their words");
    const PathArguments own = (*selector)->group_words();
    text += fmt::format(" {} {}", escape_dm_word(group.selector), own.size());
    append_dm_words(text, own);
    const size_t words_per_path = group.paths.empty() ? 0 : (*selector)->table_words(0).size();
    text += fmt::format(" {} {}", group.paths.size(), words_per_path);
    for (Selector::Index path = 0; path < group.paths.size(); ++path) {
        text += " " + escape_dm_word(group.paths[path].name);
        append_dm_words(text, (*selector)->table_words(path));
    }
}

}  // namespace

std::string dm_table_text(const MultipathSpec& map) {
    std::string text = features_text(map) + " ";
    text += map.handler.name.empty() ? "0" : "1 " + escape_dm_word(map.handler.name);
    const size_t groups = map.groups.size();
    const bool inside = map.initial_group >= 1 && map.initial_group <= groups;
    const size_t first = inside ? map.initial_group : std::min<size_t>(groups, 1);
    text += fmt::format(" {} {}", groups, first);
    const SelectorOptions options{.kernel_strict = map.kernel_strict,
                                  .node_of_cpu = map.node_of_cpu};
    for (const GroupSpec& group : map.groups) append_group(text, group, options);
    return text;
}

}  // namespace braidway::multipath
