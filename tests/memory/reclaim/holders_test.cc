// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/holders.h"

#include <gtest/gtest.h>

#include "memory/reclaim/tree_machine.h"

namespace braidway::memory {
namespace {

constexpr uint64_t page = 4096;

TreeMachine two_nodes() {
    TreeMachine machine;
    machine.set_nodes("0-1");
    for (const std::string node : {"0", "1"}) {
        const std::string path = "/sys/devices/system/node/node" + node;
        machine.files[path + "/vmstat"] = "nr_free_pages 100\nnr_anon_pages 5\n";
        machine.files[path + "/meminfo"] = "Node " + node + " MemTotal: 4096 kB\n";
    }
    machine.files["/proc/self/mounts"] =
        "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vdb /run/disk xfs rw 0 0\n";
    machine.files["/proc/4194401/comm"] = "solver\n";
    machine.files["/proc/4194401/numa_maps"] =
        "1000 default heap anon=30 N0=10 N1=20 kernelpagesize_kB=4\n"
        "2000 default file=/opt/solver mapped=8 N0=8 kernelpagesize_kB=4\n"
        "3000 default file=/run/shared mapped=3 N1=3 kernelpagesize_kB=4\n";
    machine.files["/proc/4194402/comm"] = "small\n";
    machine.files["/proc/4194402/numa_maps"] = "1000 default heap anon=1 N0=1\n";
    machine.files["/sys/fs/cgroup/memory.numa_stat"] = "anon N0=40960 N1=8192\n";
    machine.files["/sys/fs/cgroup/jobs.slice/memory.numa_stat"] =
        "anon N0=4096 N1=8192\nfile N0=12288 N1=0\nshmem N0=4096 N1=0\n";
    machine.files["/sys/fs/cgroup/jobs.slice/memory.stat"] = "";
    return machine;
}

HoldersOptions no_files() {
    HoldersOptions options;
    options.files_max = 0;
    return options;
}

TEST(Holders, KnowsWhichPathsAreInMemory) {
    const MemoryPaths paths(
        "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vdb /run/disk xfs rw 0 0\n");
    EXPECT_TRUE(paths.holds("/run/lock/x"));
    EXPECT_TRUE(paths.holds("/memfd:buffer"));
    EXPECT_FALSE(paths.holds("/run/disk/x"));
    EXPECT_FALSE(paths.holds("/running/x"));
    EXPECT_FALSE(paths.holds("/usr/lib/x"));
    EXPECT_FALSE(MemoryPaths("").holds("/run/x"));
}

TEST(Holders, SaysWhichProcessesHoldWhatOnEachNode) {
    const TreeMachine machine = two_nodes();
    const auto holders = find_holders(machine, no_files());
    ASSERT_TRUE(holders.has_value()) << holders.error().message;
    ASSERT_EQ(holders->nodes.size(), 2u);
    const auto& first = holders->nodes[0].processes;
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ(first[0].name, "solver");
    EXPECT_EQ(first[0].anon, 10 * page);
    EXPECT_EQ(first[0].file, 8 * page);
    EXPECT_EQ(first[0].shmem, 0u);
    EXPECT_EQ(first[1].process, 4194402);
    const auto& second = holders->nodes[1].processes;
    ASSERT_EQ(second.size(), 1u);
    EXPECT_EQ(second[0].anon, 20 * page);
    EXPECT_EQ(second[0].shmem, 3 * page);
    EXPECT_EQ(holders->processes_seen, 2u);
}

TEST(Holders, SaysWhichCgroupsHoldWhatOnEachNode) {
    const TreeMachine machine = two_nodes();
    const auto holders = find_holders(machine, no_files());
    ASSERT_TRUE(holders.has_value());
    const auto& cgroups = holders->nodes[0].cgroups;
    ASSERT_EQ(cgroups.size(), 2u);
    EXPECT_EQ(cgroups[0].path, "/");
    EXPECT_EQ(cgroups[1].path, "/jobs.slice");
    EXPECT_EQ(cgroups[1].bytes.file, 2 * page);
    EXPECT_EQ(holders->cgroups_seen, 2u);
}

TEST(Holders, KeepsOnlyTheLargest) {
    const TreeMachine machine = two_nodes();
    HoldersOptions options = no_files();
    options.top = 1;
    options.nodes = {0};
    const auto holders = find_holders(machine, options);
    ASSERT_TRUE(holders.has_value());
    ASSERT_EQ(holders->nodes.size(), 1u);
    ASSERT_EQ(holders->nodes[0].processes.size(), 1u);
    EXPECT_EQ(holders->nodes[0].processes[0].name, "solver");
    EXPECT_EQ(holders->nodes[0].cgroups.size(), 1u);
}

TEST(Holders, RefusesANodeThatIsNotThere) {
    const TreeMachine machine = two_nodes();
    HoldersOptions options = no_files();
    options.nodes = {7};
    EXPECT_FALSE(find_holders(machine, options).has_value());
}

TEST(Holders, EndsSoonWhenCancelledAndSaysSo) {
    TreeMachine machine = two_nodes();
    machine.stop = true;
    const auto holders = find_holders(machine, HoldersOptions());
    ASSERT_TRUE(holders.has_value());
    EXPECT_EQ(holders->processes_seen, 0u);
    EXPECT_EQ(holders->files_seen, 0u);
    EXPECT_NE(holders->notes.back().find("cancelled"), std::string::npos);
}

}  // namespace
}  // namespace braidway::memory
