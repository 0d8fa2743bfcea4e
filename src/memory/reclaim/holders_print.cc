// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/holders_print.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace braidway::memory {
namespace {

using Json = nlohmann::ordered_json;

/// A name from outside must not write to the terminal as it likes.
std::string printable(std::string_view text) {
    std::string clean;
    for (const char letter : text) {
        const auto code = static_cast<unsigned char>(letter);
        if (code < 0x20 || code == 0x7f)
            fmt::format_to(std::back_inserter(clean), "\\x{:02x}", code);
        else
            clean += letter;
    }
    return clean;
}

void add_processes(std::string& text, const NodeHolders& node) {
    auto out = std::back_inserter(text);
    fmt::format_to(out, "  {:>9} {:>9} {:>9}  process\n", "anonymous", "files", "shared");
    for (const ProcessHolder& holder : node.processes)
        fmt::format_to(out, "  {:>9} {:>9} {:>9}  {} {}\n", format_size(holder.anon),
                       format_size(holder.file), format_size(holder.shmem), holder.process,
                       printable(holder.name));
}

void add_cgroups(std::string& text, const NodeHolders& node) {
    auto out = std::back_inserter(text);
    fmt::format_to(out, "  {:>9} {:>9} {:>9} {:>9}  cgroup, with its children\n", "anonymous",
                   "cache", "shared", "slab");
    for (const CgroupHolder& holder : node.cgroups)
        fmt::format_to(out, "  {:>9} {:>9} {:>9} {:>9}  {}\n", format_size(holder.bytes.anon),
                       format_size(holder.bytes.file), format_size(holder.bytes.shmem),
                       format_size(holder.bytes.slab), printable(holder.path));
}

void add_files(std::string& text, const NodeHolders& node) {
    auto out = std::back_inserter(text);
    fmt::format_to(out, "  {:>9} {:>9}  {:<6}  file\n", "cache", "dirty", "");
    for (const FileHolder& holder : node.files)
        fmt::format_to(out, "  {:>9} {:>9}  {:<6}  {}\n", format_size(holder.bytes),
                       format_size(holder.dirty), holder.in_use ? "in use" : "",
                       printable(holder.path));
    fmt::format_to(out, "  {} of {} of page cache is of files that were looked at\n",
                   format_size(node.files_bytes), format_size(node.state.page_cache()));
}

Json node_json(const NodeHolders& node) {
    Json processes = Json::array();
    for (const ProcessHolder& holder : node.processes)
        processes.push_back({{"pid", holder.process},
                             {"name", holder.name},
                             {"anonymous_bytes", holder.anon},
                             {"file_bytes", holder.file},
                             {"shmem_bytes", holder.shmem}});
    Json cgroups = Json::array();
    for (const CgroupHolder& holder : node.cgroups)
        cgroups.push_back({{"path", holder.path},
                           {"anonymous_bytes", holder.bytes.anon},
                           {"page_cache_bytes", holder.bytes.file},
                           {"shmem_bytes", holder.bytes.shmem},
                           {"slab_bytes", holder.bytes.slab}});
    Json files = Json::array();
    for (const FileHolder& holder : node.files)
        files.push_back({{"path", holder.path},
                         {"page_cache_bytes", holder.bytes},
                         {"dirty_bytes", holder.dirty},
                         {"in_use", holder.in_use}});
    return {{"node", node.node},
            {"total_bytes", node.state.total},
            {"free_bytes", node.state.free},
            {"page_cache_bytes", node.state.page_cache()},
            {"anonymous_bytes", node.state.anon_pages},
            {"shmem_bytes", node.state.shmem},
            {"files_bytes", node.files_bytes},
            {"processes", processes},
            {"cgroups", cgroups},
            {"files", files}};
}

}  // namespace

std::string holders_text(const Holders& holders) {
    std::string text;
    for (const NodeHolders& node : holders.nodes) {
        fmt::format_to(std::back_inserter(text),
                       "{}node {}: {} of memory, {} free; {} page cache, {} anonymous, {} shared\n",
                       text.empty() ? "" : "\n", node.node, format_size(node.state.total),
                       format_size(node.state.free), format_size(node.state.page_cache()),
                       format_size(node.state.anon_pages), format_size(node.state.shmem));
        add_processes(text, node);
        add_cgroups(text, node);
        add_files(text, node);
    }
    for (const std::string& note : holders.notes) text += "note: " + printable(note) + "\n";
    return text;
}

std::string holders_json(const Holders& holders) {
    Json nodes = Json::array();
    for (const NodeHolders& node : holders.nodes) nodes.push_back(node_json(node));
    const Json document = {{"schema_version", 1},
                           {"nodes", nodes},
                           {"looked_at",
                            {{"processes", holders.processes_seen},
                             {"cgroups", holders.cgroups_seen},
                             {"files", holders.files_seen}}},
                           {"notes", holders.notes}};
    return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace braidway::memory
