// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/control_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/units.h"

namespace braidway::apps {
namespace {

using memory::Kind;
using memory::NodeList;
using memory::Shortfall;

/// As a shell's echo or printf writes a line.
std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

NodeList nodes_of(const NodeStates& states) {
    NodeList nodes;
    for (const auto& [node, state] : states) nodes.push_back(node);
    std::ranges::sort(nodes);
    return nodes;
}

/// The most page cache that one of `nodes` holds: asking each for that much asks for all there is.
uint64_t page_cache_max(const NodeStates& states, const NodeList& nodes) {
    uint64_t most = 0;
    for (const auto& [node, state] : states)
        if (std::ranges::binary_search(nodes, node)) most = std::max(most, state.page_cache());
    return most;
}

bool has_shortfall(const memory::Report& report, Shortfall reason) {
    return std::ranges::any_of(report.nodes,
                               [reason](const auto& node) { return node.shortfall == reason; });
}

bool has_freed(const memory::Report& report) {
    return std::ranges::any_of(report.nodes,
                               [](const auto& node) { return node.freed.total() > 0; });
}

}  // namespace

std::string_view name_of(ControlFile file) {
    switch (file) {
        case ControlFile::toss_page_cache_nodes:
            return "toss_page_cache_nodes";
        case ControlFile::free_node_memory:
            return "free_node_memory";
        case ControlFile::status:
            return "status";
    }
    return "?";
}

ControlFiles::ControlFiles(memory::Settings base, ControlActions actions)
    : base_(std::move(base)), actions_(std::move(actions)) {
}

std::string ControlFiles::read(ControlFile file) const {
    if (file == ControlFile::status) {
        const auto states = actions_.states();
        std::string text = states ? states_text(*states) : states.error().message + "\n";
        const sync::MutexLock hold(mutex_);
        text += last_result_.empty() ? "last result: none yet\n" : "last result:\n" + last_result_;
        return text;
    }
    const sync::MutexLock hold(mutex_);
    return file == ControlFile::free_node_memory ? last_result_ : last_list_ + "\n";
}

int ControlFiles::write(ControlFile file, std::string_view text, const memory::Cancel& cancel) {
    if (text.size() > limits::control_bytes_max) return EMSGSIZE;
    switch (file) {
        case ControlFile::toss_page_cache_nodes:
            return toss_nodes(text, cancel);
        case ControlFile::free_node_memory:
            return obey_line(text, cancel);
        case ControlFile::status:
            return EACCES;
    }
    return EACCES;
}

int ControlFiles::toss_nodes(std::string_view text, const memory::Cancel& cancel) {
    const auto asked = memory::parse_node_list(trim(text));
    if (!asked) return refuse(asked.error(), EINVAL);
    if (base_.nodes && !base_.nodes->empty() && !std::ranges::includes(*base_.nodes, *asked))
        return refuse({fmt::format("this file may free on node {} only",
                                   memory::format_node_list(*base_.nodes))},
                      EPERM);
    if (!base_.request.kinds.empty() && !base_.request.kind_set().has(Kind::page_cache))
        return refuse({"this file may not free page-cache"}, EPERM);
    const auto states = actions_.states();
    if (!states) return refuse(states.error(), EIO);

    const NodeList with_memory = nodes_of(*states);
    NodeList there;
    std::ranges::set_intersection(*asked, with_memory, std::back_inserter(there));
    if (there.empty())
        return refuse(
            {fmt::format("none of node {} is there; nodes with memory: {}",
                         memory::format_node_list(*asked), memory::format_node_list(with_memory))},
            EINVAL);
    {
        const sync::MutexLock hold(mutex_);
        last_list_ = memory::format_node_list(*asked);
    }
    memory::Request request = base_.request;
    request.goal = memory::Goal::free_more;
    request.bytes = page_cache_max(*states, there);
    request.kinds = {Kind::page_cache};
    request.writeback = false;  // The old file dropped what was clean, and wrote nothing.
    const int error = run(there, request, cancel);
    // As the old file did: the nodes that are there are tossed all the same.
    return error == 0 && there.size() < asked->size() ? EINVAL : error;
}

int ControlFiles::obey_line(std::string_view text, const memory::Cancel& cancel) {
    memory::Settings settings = base_;
    const auto read = memory::read_control_line(settings, text);
    if (!read) return refuse(read.error(), read.error().code == EPERM ? EPERM : EINVAL);
    const auto complete = memory::check_settings(settings);
    if (!complete) return refuse(complete.error(), EINVAL);
    NodeList nodes = *settings.nodes;
    if (nodes.empty()) {
        const auto states = actions_.states();
        if (!states) return refuse(states.error(), EIO);
        nodes = nodes_of(*states);
    }
    return run(nodes, settings.request, cancel);
}

int ControlFiles::run(const NodeList& nodes, const memory::Request& request,
                      const memory::Cancel& cancel) {
    const auto report = actions_.run(nodes, request, cancel);
    if (!report) {
        const int code = report.error().code;
        return refuse(report.error(), code == EPERM || code == EACCES ? EPERM : EINVAL);
    }
    std::string text;
    for (const memory::NodeReport& node : report->nodes)
        text += actions_.line(node, request) + "\n";
    keep_result(std::move(text));
    if (has_shortfall(*report, Shortfall::cancelled)) return EINTR;
    if (has_shortfall(*report, Shortfall::privilege) && !has_freed(*report)) return EPERM;
    return 0;
}

int ControlFiles::refuse(const Error& error, int code) {
    keep_result(fmt::format("refused: {}\n", error.message));
    return code;
}

void ControlFiles::keep_result(std::string text) {
    const sync::MutexLock hold(mutex_);
    last_result_ = std::move(text);
}

std::string states_text(const NodeStates& states) {
    constexpr std::string_view format = "{:<5}{:>8}{:>8}{:>12}{:>19}{:>11}{:>8}{:>8}{:>8}\n";
    std::string text = fmt::format(format, "node", "total", "free", "page-cache",
                                   "mapped-page-cache", "anonymous", "slab", "dirty", "shmem");
    for (const auto& [node, state] : states)
        text += fmt::format(format, node, format_size(state.total), format_size(state.free),
                            format_size(state.page_cache() - state.mapped_page_cache()),
                            format_size(state.mapped_page_cache()), format_size(state.anon_pages),
                            format_size(state.slab_reclaimable), format_size(state.dirty),
                            format_size(state.shmem));
    return text;
}

}  // namespace braidway::apps
