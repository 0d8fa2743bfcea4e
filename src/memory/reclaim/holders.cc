// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/holders.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "memory/reclaim/file_holders.h"

namespace braidway::memory {
namespace {

constexpr std::string_view memory_filesystems[] = {"tmpfs", "ramfs", "hugetlbfs", "devtmpfs"};

std::string_view take_word(std::string_view& line) {
    const size_t size = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, size);
    line.remove_prefix(std::min(size + 1, line.size()));
    return word;
}

/// One look at the machine.
class Search {
  public:
    Search(const Machine& machine, const HoldersOptions& options)
        : machine_(machine),
          options_(options),
          end_(machine.now() + options.budget),
          mounts_(machine.read("/proc/self/mounts").value_or("")) {}

    Result<Holders> run() {
        auto nodes =
            options_.nodes.empty() ? nodes_with_memory(machine_) : Result<NodeList>(options_.nodes);
        if (!nodes) return std::unexpected(nodes.error());
        for (const uint32_t node : *nodes) {
            if (auto known = check_node(machine_, node); !known)
                return std::unexpected(known.error());
            auto state = read_node_state(machine_, node, Refresh::yes);
            if (!state) return std::unexpected(state.error());
            found_.nodes.push_back({.node = node, .state = *state});
        }
        find_processes();
        find_cgroups();
        find_file_holders(machine_, options_, end_, mounts_, found_);
        for (NodeHolders& node : found_.nodes) {
            keep_top(node.processes, options_.top);
            keep_top(node.cgroups, options_.top);
            keep_top(node.files, options_.top);
        }
        if (machine_.cancelled()) found_.notes.push_back("cancelled: what is shown is not all");
        return std::move(found_);
    }

  private:
    const Machine& machine_;
    const HoldersOptions& options_;
    Instant end_;
    MemoryPaths mounts_;
    Holders found_;

    bool ended() const { return machine_.cancelled() || machine_.now() >= end_; }

    void find_processes() {
        const auto names = machine_.list("/proc");
        if (!names) {
            found_.notes.push_back("processes cannot be seen: " + names.error().message);
            return;
        }
        uint64_t hidden = 0;
        for (const std::string& name : *names) {
            if (ended()) {
                found_.notes.push_back("processes: not all were looked at within the time allowed");
                break;
            }
            pid_t process = 0;
            const auto [stop, error] =
                std::from_chars(name.data(), name.data() + name.size(), process);
            if (error != std::errc() || *stop != '\0' || process == ::getpid()) continue;
            const auto text = machine_.read("/proc/" + name + "/numa_maps");
            if (!text) {
                hidden += text.error().code == EACCES || text.error().code == EPERM;
                continue;
            }
            ++found_.processes_seen;
            if (!text->empty()) add_process(process, parse_numa_maps(*text));
        }
        if (hidden > 0)
            found_.notes.push_back(fmt::format(
                "processes of others that could not be seen: {} (needs CAP_SYS_PTRACE)", hidden));
    }

    void add_process(pid_t process, const std::vector<NumaMapping>& mappings) {
        std::string name;
        for (NodeHolders& node : found_.nodes) {
            ProcessHolder holder =
                count_process(mappings, node.node, mounts_, machine_.page_bytes());
            if (holder.total() == 0) continue;
            if (name.empty()) {
                name = machine_.read(fmt::format("/proc/{}/comm", process)).value_or("?");
                if (name.ends_with('\n')) name.pop_back();
            }
            holder.process = process;
            holder.name = name;
            node.processes.push_back(std::move(holder));
        }
    }

    void find_cgroups() {
        // Version 1 has a tree for each controller, version 2 one for all.
        for (const std::string root : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"}) {
            if (!machine_.list(root)) continue;
            add_cgroup(root, root.size());
            if (found_.cgroups_seen > 0) break;
        }
        if (found_.cgroups_seen == 0)
            found_.notes.push_back("cgroups cannot be seen: no memory.numa_stat on this machine");
        if (found_.cgroups_seen >= limits::holders_cgroups_max)
            found_.notes.push_back(fmt::format("cgroups: only the first {} were looked at",
                                               limits::holders_cgroups_max));
    }

    void add_cgroup(const std::string& root, size_t root_size) {
        std::vector<std::string> rest{root};
        while (!rest.empty() && found_.cgroups_seen < limits::holders_cgroups_max && !ended()) {
            const std::string path = std::move(rest.back());
            rest.pop_back();
            const auto text = machine_.read(path + "/memory.numa_stat");
            // Version 2 has none at its root on older kernels; what is below may have one.
            if (!text && path.size() > root_size) continue;
            if (text) {
                ++found_.cgroups_seen;
                const auto bytes = parse_numa_stat(*text, machine_.page_bytes());
                for (NodeHolders& node : found_.nodes) {
                    const auto of = bytes.find(node.node);
                    if (of == bytes.end() || of->second.total() == 0) continue;
                    const std::string name = path.substr(root_size);
                    node.cgroups.push_back({name.empty() ? "/" : name, of->second});
                }
            }
            for (const std::string& name : machine_.list(path).value_or(std::vector<std::string>()))
                if (!is_control_file(name)) rest.push_back(fmt::format("{}/{}", path, name));
        }
    }

    static bool is_control_file(std::string_view name) {
        constexpr std::string_view controls[] = {"memory.", "cgroup.",  "cpu.",  "cpuset.", "io.",
                                                 "pids.",   "hugetlb.", "misc.", "rdma."};
        return std::ranges::any_of(
            controls, [&](std::string_view control) { return name.starts_with(control); });
    }
};

}  // namespace

Result<Holders> find_holders(const Machine& machine, const HoldersOptions& options) {
    return Search(machine, options).run();
}

MemoryPaths::MemoryPaths(std::string_view mounts) {
    while (!mounts.empty()) {
        const size_t end = std::min(mounts.find('\n'), mounts.size());
        std::string_view line = mounts.substr(0, end);
        mounts.remove_prefix(std::min(end + 1, mounts.size()));
        take_word(line);
        const std::string_view point = take_word(line);
        const std::string_view type = take_word(line);
        // A later mount at the same place hides the earlier one.
        mounts_[std::string(point)] =
            std::ranges::find(memory_filesystems, type) != std::end(memory_filesystems);
    }
}

bool MemoryPaths::holds(std::string_view path) const {
    for (const std::string_view named : {"/memfd:", "/SYSV", "/dev/zero", "/anon_hugepage"})
        if (path.starts_with(named)) return true;
    for (;;) {
        if (const auto mount = mounts_.find(path.empty() ? "/" : path); mount != mounts_.end())
            return mount->second;
        const size_t slash = path.rfind('/');
        if (slash == std::string_view::npos || path.empty()) return false;
        path = path.substr(0, slash);
    }
}

ProcessHolder count_process(const std::vector<NumaMapping>& mappings, uint32_t node,
                            const MemoryPaths& in_memory, uint64_t page_bytes) {
    ProcessHolder holder;
    for (const NumaMapping& mapping : mappings) {
        const auto found = mapping.nodes.find(node);
        if (found == mapping.nodes.end()) continue;
        if (!mapping.file) {
            holder.anon += found->second * page_bytes;
            continue;
        }
        const uint64_t anon = mapping.anon_on(node);
        holder.anon += anon * page_bytes;
        (in_memory.holds(mapping.path) ? holder.shmem : holder.file) +=
            (found->second - anon) * page_bytes;
    }
    return holder;
}

}  // namespace braidway::memory
