// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/job_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::apps {
namespace {

using memory::FakeKernel;
using memory::NodeList;
using testing::HasSubstr;

constexpr const char* v1 = "/sys/fs/cgroup/cpuset/slurm";
constexpr const char* v2 = "/sys/fs/cgroup/system.slice/slurmstepd.scope";

/// Four CPUs on each of four nodes.
void add_cpus(FakeKernel& kernel) {
    for (int node = 0; node < 4; ++node)
        kernel.set_file("/sys/devices/system/node/node" + std::to_string(node) + "/cpulist",
                        std::to_string(4 * node) + "-" + std::to_string(4 * node + 3) + "\n");
}

void confine_v1(FakeKernel& kernel, const std::string& uid_and_job, const std::string& mems,
                const std::string& cpus, const std::string& root = v1) {
    kernel.set_file(root + "/" + uid_and_job + "/cpuset.mems", mems + "\n");
    kernel.set_file(root + "/" + uid_and_job + "/cpuset.cpus", cpus + "\n");
}

void confine_v2(FakeKernel& kernel, const std::string& job, const std::string& mems,
                const std::string& cpus, const std::string& root = v2) {
    kernel.set_file(root + "/" + job + "/cpuset.mems", "\n");
    kernel.set_file(root + "/" + job + "/cpuset.mems.effective", mems + "\n");
    kernel.set_file(root + "/" + job + "/cpuset.cpus.effective", cpus + "\n");
    kernel.set_file(root + "/" + job + "/cgroup.events", "populated 1\nfrozen 0\n");
}

JobNodes nodes_of(const FakeKernel& kernel, const Job& job) {
    const auto nodes = nodes_of_job(kernel, job);
    EXPECT_TRUE(nodes.has_value()) << nodes.error().message;
    return nodes.value_or(JobNodes{});
}

class NodesOfJob : public testing::Test {
  protected:
    NodesOfJob() { add_cpus(kernel_); }
    FakeKernel kernel_{4};
    const Job job_{.id = "17", .machine_name = "n001", .context = "prolog_slurmd"};
};

TEST_F(NodesOfJob, AreAllWhereNoCpusetConfinesAJob) {
    const JobNodes found = nodes_of(kernel_, job_);
    EXPECT_EQ(found.nodes, (NodeList{0, 1, 2, 3}));
    EXPECT_THAT(found.because, HasSubstr("no cpuset"));
}

TEST_F(NodesOfJob, AreThoseOfItsCpusetOfVersion1) {
    confine_v1(kernel_, "uid_1000/job_17", "1-2", "4-11");
    confine_v1(kernel_, "uid_1000/job_18", "3", "12-15");
    EXPECT_EQ(nodes_of(kernel_, job_).nodes, (NodeList{1, 2}));
}

TEST_F(NodesOfJob, AreThoseOfItsCpusetOfVersion2) {
    confine_v2(kernel_, "job_17", "3", "12-15");
    const JobNodes found = nodes_of(kernel_, job_);
    EXPECT_EQ(found.nodes, (NodeList{3}));
    EXPECT_THAT(found.because, HasSubstr("node 3 of the job's cpuset"));
}

TEST_F(NodesOfJob, AreFoundWhereTheCgroupBearsTheMachinesName) {
    confine_v2(kernel_, "job_17", "2", "8", "/sys/fs/cgroup/system.slice/n001_slurmstepd.scope");
    EXPECT_EQ(nodes_of(kernel_, job_).nodes, (NodeList{2}));
    FakeKernel other(4);
    confine_v1(other, "uid_0/job_17", "1", "4", "/sys/fs/cgroup/cpuset/slurm_n001");
    EXPECT_EQ(nodes_of(other, job_).nodes, (NodeList{1}));
}

TEST_F(NodesOfJob, AreThoseOfItsCpusWhereEveryMemoryNodeIsAllowed) {
    confine_v2(kernel_, "job_17", "0-3", "5,14-15");
    EXPECT_EQ(nodes_of(kernel_, job_).nodes, (NodeList{1, 3}));
}

TEST_F(NodesOfJob, AreAllAllowedWhenItsCpusAreOnNodesWithoutMemory) {
    confine_v2(kernel_, "job_17", "0-3", "64-71");
    EXPECT_EQ(nodes_of(kernel_, job_).nodes, (NodeList{0, 1, 2, 3}));
}

TEST_F(NodesOfJob, LeaveOutThoseOfOthersWhileTheJobHasNoCpuset) {
    confine_v1(kernel_, "uid_1000/job_5", "0-3", "0-3");
    confine_v1(kernel_, "uid_1001/job_6", "2", "8");
    const JobNodes found = nodes_of(kernel_, job_);
    EXPECT_EQ(found.nodes, (NodeList{1, 3}));
    EXPECT_THAT(found.because, HasSubstr("nodes 0,2"));
    EXPECT_THAT(found.because, HasSubstr("job 5, 6"));
}

TEST_F(NodesOfJob, AreNoneWhenOthersUseAll) {
    confine_v2(kernel_, "job_5", "0-3", "0-15");
    const JobNodes found = nodes_of(kernel_, job_);
    EXPECT_TRUE(found.nodes.empty());
    EXPECT_THAT(found.because, HasSubstr("in use by others (job 5)"));
}

TEST_F(NodesOfJob, AreNotTakenByAJobThatIsOver) {
    confine_v2(kernel_, "job_5", "0-3", "0-15");
    kernel_.set_file(std::string(v2) + "/job_5/cgroup.events", "populated 0\nfrozen 0\n");
    EXPECT_EQ(nodes_of(kernel_, job_).nodes, (NodeList{0, 1, 2, 3}));
}

TEST_F(NodesOfJob, DoNotTakeAJobOfALongerNumberForThisOne) {
    confine_v2(kernel_, "job_171", "0", "0-3");
    EXPECT_EQ(nodes_of(kernel_, job_).nodes, (NodeList{1, 2, 3}));
}

TEST_F(NodesOfJob, AreRefusedWhenACpusetMakesNoSense) {
    confine_v2(kernel_, "job_17", "a few", "0-3");
    const auto nodes = nodes_of_job(kernel_, job_);
    ASSERT_FALSE(nodes.has_value());
    EXPECT_THAT(nodes.error().message, HasSubstr("a few"));
}

}  // namespace
}  // namespace braidway::apps
