// SPDX-License-Identifier: Apache-2.0
// Reclaim of cgroups that are bound to one node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memory/reclaim/mechanism.h"

namespace braidway::memory {

/// "cgroup-reclaim": memory.reclaim (5.19, cgroup version 2) of each group whose
/// cpuset.mems.effective is exactly the node. Groups that may use other nodes too are left alone:
/// memory.reclaim knows no nodes.
///
/// On a machine with one node that is the root group. The amount is spread by what each group has
/// of the kind on the node. Page cache is asked for with swappiness=0 where the kernel takes it
/// (6.9); before, what is swappable may go as well.
/// Anonymous memory needs swappiness=max (6.16): with 200 a 6.12 kernel takes the group's page
/// cache as long as that is older, and says that all went well. It also needs room both in the
/// machine's swap and under the group's memory.swap.max. What a group had on another node before it
/// was bound may be freed there.
class CgroupReclaim : public Mechanism {
  public:
    explicit CgroupReclaim(Machine& machine) : machine_(machine) {}

    std::string_view name() const override { return "cgroup-reclaim"; }
    KindSet kinds() const override;
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind kind) const override;
    bool takes_mapped() const override { return true; }
    bool takes_tmpfs() const override { return true; }
    Answer reclaim(const Ask& ask) override;

    /// A group that can be asked.
    struct Group {
        std::string path{};  ///< Of its folder.
        uint32_t node = 0;
        uint64_t bytes = 0;  ///< Of the kind on the node.
    };
    /// The outermost groups that are bound to one node each; of all nodes or only of `node`.
    std::vector<Group> bound_groups(const uint32_t* node) const;

  private:
    Machine& machine_;
    bool takes_swappiness_ = true;  ///< Until the kernel says no.
    /// Of the node of this run, found once: a machine may have thousands of groups.
    std::optional<std::vector<Group>> groups_{};

    /// The mount of version 2; empty: there is none.
    std::string mount() const;
    uint64_t bytes_of(const Group& group, Kind kind) const;
    /// What may still be swapped out of the group, by its own limit and those above it.
    uint64_t swap_room(const std::string& path) const;
    int ask_group(const Group& group, Kind kind, uint64_t bytes);
};

}  // namespace braidway::memory
