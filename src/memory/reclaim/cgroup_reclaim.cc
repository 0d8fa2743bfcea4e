// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/cgroup_reclaim.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/limits.h"
#include "memory/reclaim/node_list.h"
#include "memory/reclaim/proportion.h"
#include "memory/reclaim/swap_room.h"

namespace braidway::memory {
namespace {

std::optional<uint64_t> number_of(std::string_view text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end == text.data()) return {};
    return number;
}

/// Bytes on `node` in the lines of memory.numa_stat that are named, "inactive_file N0=4096 N1=0".
std::optional<uint64_t> numa_bytes(std::string_view text, uint32_t node, Kind kind) {
    const bool anonymous = kind == Kind::anonymous;
    const std::string key = fmt::format(" N{}=", node);
    std::optional<uint64_t> sum;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::string_view name = line.substr(0, line.find(' '));
        if (name != (anonymous ? "inactive_anon" : "inactive_file") &&
            name != (anonymous ? "active_anon" : "active_file"))
            continue;
        const size_t at = line.find(key);
        if (at == std::string_view::npos) continue;
        sum = sum.value_or(0) + number_of(line.substr(at + key.size())).value_or(0);
    }
    return sum;
}

std::optional<NodeList> nodes_of(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    auto list = parse_node_list(text);
    if (!list) return {};
    return std::move(*list);
}

/// In a list of controllers "cpuset memory pids".
bool has_word(std::string_view text, std::string_view word) {
    while (text.ends_with('\n')) text.remove_suffix(1);
    return fmt::format(" {} ", text).contains(fmt::format(" {} ", word));
}

}  // namespace

KindSet CgroupReclaim::kinds() const {
    return KindSet{}.add(Kind::page_cache).add(Kind::mapped_page_cache).add(Kind::anonymous);
}

uint64_t CgroupReclaim::chunk_bytes_max(Kind kind) const {
    return kind == Kind::anonymous ? limits::reclaim_anon_chunk : limits::reclaim_file_chunk;
}

std::string CgroupReclaim::mount() const {
    for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
        if (machine_.read(fmt::format("{}/cgroup.controllers", path))) return path;
    return {};
}

Result<void> CgroupReclaim::probe() const {
    const std::string root = mount();
    if (root.empty()) return fail("no cgroup version 2 is mounted at /sys/fs/cgroup", ENOENT);
    const auto controllers = machine_.read(root + "/cgroup.controllers");
    for (const char* needed : {"memory", "cpuset"})
        if (!controllers || !has_word(*controllers, needed))
            return fail(fmt::format("cgroup version 2 has no {} controller here", needed), ENOENT);
    const auto groups = bound_groups(nullptr);
    if (groups.empty())
        return fail("no cgroup with memory.reclaim (5.19) is bound to a single node (cpuset.mems)",
                    ENOENT);
    std::optional<Error> refused;
    for (const Group& group : groups) {
        const auto writable = machine_.writable(group.path + "/memory.reclaim");
        if (writable) return {};
        if (!refused) refused = writable.error();
    }
    return std::unexpected(*refused);
}

std::vector<CgroupReclaim::Group> CgroupReclaim::bound_groups(const uint32_t* node) const {
    std::vector<Group> bound;
    std::vector<std::string> open;
    if (const std::string root = mount(); !root.empty()) open.push_back(root);
    for (size_t seen = 0; !open.empty() && seen < limits::cgroups_walked_max; ++seen) {
        const std::string path = std::move(open.back());
        open.pop_back();
        const auto mems = machine_.read(path + "/cpuset.mems.effective");
        // Where the controller is not switched on, it is not below either.
        if (!mems) continue;
        const auto nodes = nodes_of(*mems);
        if (!nodes || (node != nullptr && !std::ranges::binary_search(*nodes, *node))) continue;
        const auto names = machine_.list(path);
        if (!names) continue;
        if (nodes->size() == 1 && std::ranges::binary_search(*names, "memory.reclaim")) {
            bound.push_back({.path = path, .node = nodes->front()});
            continue;
        }
        for (const std::string& name : *names) {
            if (const std::string below = fmt::format("{}/{}", path, name);
                machine_.read(below + "/cgroup.controllers"))
                open.push_back(below);
        }
    }
    std::ranges::sort(bound, {}, &Group::path);
    return bound;
}

uint64_t CgroupReclaim::bytes_of(const Group& group, Kind kind) const {
    if (const auto text = machine_.read(group.path + "/memory.numa_stat"))
        if (const auto bytes = numa_bytes(*text, group.node, kind)) return *bytes;
    const auto current = machine_.read(group.path + "/memory.current");
    return current ? number_of(*current).value_or(0) : 0;
}

uint64_t CgroupReclaim::swap_room(const std::string& path) const {
    uint64_t room = UINT64_MAX;
    const size_t root = mount().size();
    for (std::string at = path; at.size() > root; at = at.substr(0, at.rfind('/'))) {
        const auto max = machine_.read(at + "/memory.swap.max");
        const auto bytes = max ? number_of(*max) : std::nullopt;
        if (!bytes) continue;  // "max".
        const auto current = machine_.read(at + "/memory.swap.current");
        const uint64_t used = current ? number_of(*current).value_or(0) : 0;
        room = std::min(room, *bytes - std::min(*bytes, used));
    }
    return room;
}

int CgroupReclaim::ask_group(const Group& group, Kind kind, uint64_t bytes) {
    const std::string path = group.path + "/memory.reclaim";
    if (kind == Kind::anonymous) {
        const auto done = machine_.write(path, fmt::format("{} swappiness=max", bytes));
        if (done) return 0;
        return done.error().code == EINVAL ? EOPNOTSUPP : done.error().code;
    }
    if (takes_swappiness_) {
        const auto done = machine_.write(path, fmt::format("{} swappiness=0", bytes));
        if (done || done.error().code != EINVAL) return done ? 0 : done.error().code;
        takes_swappiness_ = false;
    }
    const auto done = machine_.write(path, fmt::format("{}", bytes));
    return done ? 0 : done.error().code;
}

Answer CgroupReclaim::reclaim(const Ask& ask) {
    const bool anonymous = ask.kind == Kind::anonymous;
    if (anonymous)
        if (const auto room = check_swap_room(machine_, ask.bytes); !room)
            return {.error = room.error().code, .exhausted = true, .note = room.error().message};
    if (!groups_) groups_ = bound_groups(&ask.node);
    std::vector<Group>& groups = *groups_;
    if (groups.empty())
        return {.error = ENOENT,
                .exhausted = true,
                .note = fmt::format("no cgroup is bound to node {} alone", ask.node)};
    uint64_t all = 0;
    for (Group& group : groups) {
        group.bytes = bytes_of(group, ask.kind);
        if (anonymous) group.bytes = std::min(group.bytes, swap_room(group.path));
        all += group.bytes;
    }
    if (all == 0) return {.error = EAGAIN, .exhausted = true};
    std::ranges::stable_sort(groups, std::greater{}, &Group::bytes);
    uint64_t left = ask.bytes;
    Answer answer;
    for (const Group& group : groups) {
        const uint64_t share = proportion(ask.bytes, group.bytes, all);
        const uint64_t bytes = std::min({share, group.bytes, left});
        if (bytes < machine_.page_bytes()) continue;
        if (machine_.cancelled()) return {.error = EINTR};
        const int error = ask_group(group, ask.kind, bytes);
        if (error == EOPNOTSUPP)
            return {
                .error = error,
                .exhausted = true,
                .note =
                    "this kernel's memory.reclaim cannot take anonymous memory only (6.16 can)"};
        // A group that ended meanwhile has no memory.
        if (error != 0 && error != ENOENT && error != ENODEV) answer.error = error;
        if (error != 0 && error != EAGAIN && error != ENOENT && error != ENODEV) break;
        left -= bytes;
    }
    return answer;
}

}  // namespace braidway::memory
