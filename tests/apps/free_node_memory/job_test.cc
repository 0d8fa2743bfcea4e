// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::apps {
namespace {

using memory::FakeKernel;
using memory::Kind;
using memory::NodeList;
using memory::Outcome;
using testing::ElementsAre;
using Variables = std::map<std::string, std::string>;
using testing::HasSubstr;
namespace fake = memory::fake;

/// Variables of the environment while a test runs.
class Environment {
  public:
    explicit Environment(const Variables& variables) {
        for (const char* name : {"SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_SCRIPT_CONTEXT"})
            unsetenv(name);
        for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() {
        for (const char* name : {"SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_SCRIPT_CONTEXT"})
            unsetenv(name);
    }
};

class JobPolicy : public testing::Test {
  protected:
    JobPolicy() {
        kernel_.fill(0, {.pages = 300 * fake::mib});
        kernel_.fill(1, {.pages = 100 * fake::mib});
        kernel_.settle();
    }
    /// The order of a policy, which must be a good one.
    JobOrder order_of(std::string_view policy, std::optional<std::string_view> asked = {},
                      const std::string& context = "prolog_slurmd") {
        const auto order =
            order_of_job(kernel_, {.id = "17", .machine_name = "", .context = context}, policy,
                         "policy.conf", asked);
        EXPECT_TRUE(order.has_value()) << order.error().message;
        return order.value_or(JobOrder{});
    }
    std::string refusal_of(std::string_view policy, std::optional<std::string_view> asked = {}) {
        const auto order = order_of_job(kernel_, {.id = "17"}, policy, "policy.conf", asked);
        EXPECT_FALSE(order.has_value());
        return order ? "" : order.error().message;
    }
    FakeKernel kernel_{2};
};

TEST_F(JobPolicy, AsksForAllThereIsWhenItNamesNoAmount) {
    const JobOrder order = order_of("");
    EXPECT_TRUE(order.wanted);
    EXPECT_TRUE(order.all_there_is);
    EXPECT_EQ(order.settings.nodes, (NodeList{0, 1}));
    EXPECT_THAT(order.settings.request.kinds, ElementsAre(Kind::page_cache));
    EXPECT_GE(order.settings.request.bytes, 280u << 20);
    EXPECT_LE(order.settings.request.bytes, 300u << 20);
}

TEST_F(JobPolicy, KeepsAPrologShortUnlessItSaysOtherwise) {
    EXPECT_EQ(order_of("").settings.request.budget, std::chrono::seconds(10));
    EXPECT_EQ(order_of("budget = 30 s").settings.request.budget, std::chrono::seconds(30));
}

TEST_F(JobPolicy, KeepsItsAmount) {
    const JobOrder order = order_of("until-free = 512M\nwhat = slab,page-cache");
    EXPECT_FALSE(order.all_there_is);
    EXPECT_EQ(order.settings.amount_word, "until-free");
    EXPECT_EQ(order.settings.request.bytes, 512u << 20);
    EXPECT_THAT(order.settings.request.kinds, ElementsAre(Kind::slab, Kind::page_cache));
}

TEST_F(JobPolicy, SaysWhen) {
    struct Row {
        const char* when;
        bool start, end;
    };
    for (const Row& row : {Row{"start", true, false}, Row{"end", false, true},
                           Row{"both", true, true}, Row{"never", false, false}}) {
        const std::string policy = std::string("when = ") + row.when;
        EXPECT_EQ(order_of(policy, {}, "prolog_slurmd").wanted, row.start) << row.when;
        EXPECT_EQ(order_of(policy, {}, "epilog_slurmd").wanted, row.end) << row.when;
        EXPECT_TRUE(order_of(policy, "page-cache").wanted) << "the job asked itself: " << row.when;
        EXPECT_TRUE(order_of(policy, "").wanted) << "the job asked itself: " << row.when;
    }
    EXPECT_THAT(order_of("when = never").note, HasSubstr("does not clean before a job"));
}

TEST_F(JobPolicy, GrantsAJobTheKindsThatItNamesAndNoOther) {
    EXPECT_THAT(order_of("what = page-cache,slab", "slab").settings.request.kinds,
                ElementsAre(Kind::slab));
    EXPECT_THAT(refusal_of("what = page-cache,slab", "anonymous"),
                HasSubstr("does not grant anonymous"));
    EXPECT_THAT(order_of("", "slab").settings.request.kinds, ElementsAre(Kind::slab));
    EXPECT_THAT(refusal_of("", "page-cache,anonymous"), HasSubstr("does not grant anonymous"));
}

TEST_F(JobPolicy, NamesTheLineThatIsWrong) {
    EXPECT_THAT(refusal_of("when = start\nwhat = marble\n"), HasSubstr("policy.conf:2"));
}

TEST_F(JobPolicy, NarrowsTheNodesOfTheJob) {
    EXPECT_EQ(order_of("node = 1,5").settings.nodes, (NodeList{1}));
    kernel_.set_file("/sys/fs/cgroup/system.slice/slurmstepd.scope/job_3/cpuset.mems.effective",
                     "1\n");
    EXPECT_EQ(order_of("").settings.nodes, (NodeList{0}));
    EXPECT_EQ(order_of("nodes = all").settings.nodes, (NodeList{0, 1}));
    const JobOrder none = order_of("node = 1");
    EXPECT_FALSE(none.wanted);
    EXPECT_THAT(none.note, HasSubstr("job 3"));
}

TEST_F(JobPolicy, FailsNoJobUnlessItSaysSo) {
    for (const Outcome outcome : {Outcome::done, Outcome::fell_short, Outcome::refused}) {
        EXPECT_EQ(exit_code_of_job(order_of("free = 1G"), outcome), 0);
        const int code = static_cast<int>(outcome);
        EXPECT_EQ(exit_code_of_job(order_of("free = 1G\ndrain-on-shortfall = yes"), outcome), code);
        EXPECT_EQ(exit_code_of_job(order_of("free = 1G\nstrict"), outcome), code);
    }
}

TEST_F(JobPolicy, CountsOnlyARefusalWhenItNamesNoAmount) {
    const JobOrder order = order_of("drain-on-shortfall = yes");
    EXPECT_EQ(exit_code_of_job(order, Outcome::fell_short), 0);
    EXPECT_EQ(exit_code_of_job(order, Outcome::refused), 4);
}

TEST_F(JobPolicy, IsCarriedOut) {
    const Environment environment(
        {{"SLURM_JOB_ID", "17"}, {"SLURM_SCRIPT_CONTEXT", "prolog_slurmd"}});
    std::ostringstream out;
    const auto code = run_job(kernel_, "node = 1\nfree = 20M\n", "policy.conf", false, out);
    ASSERT_TRUE(code.has_value()) << code.error().message;
    EXPECT_EQ(*code, 0);
    EXPECT_THAT(out.str(), HasSubstr("job 17: "));
    EXPECT_THAT(out.str(), HasSubstr("node 1: freed 20"));
    EXPECT_THAT(out.str(), testing::Not(HasSubstr("node 0: freed")));
}

TEST_F(JobPolicy, AnswersADocumentAlsoWhenNothingIsToBeDone) {
    const Environment environment(
        {{"SLURM_JOB_ID", "17"}, {"SLURM_SCRIPT_CONTEXT", "epilog_slurmd"}});
    std::ostringstream out;
    const auto code = run_job(kernel_, "free = 20M", "policy.conf", true, out);
    ASSERT_TRUE(code.has_value()) << code.error().message;
    EXPECT_EQ(*code, 0);
    EXPECT_THAT(out.str(), HasSubstr("\"schema_version\""));
}

TEST(JobOfEnvironment, RefusesWhatIsNoJobOnThisMachine) {
    {
        const Environment environment(Variables{});
        ASSERT_FALSE(job_of_environment().has_value());
        EXPECT_THAT(job_of_environment().error().message, HasSubstr("SLURM_JOB_ID"));
    }
    {
        const Environment environment(Variables{{"SLURM_JOB_ID", "../17"}});
        EXPECT_FALSE(job_of_environment().has_value());
    }
    {
        const Environment environment(
            {{"SLURM_JOB_ID", "17"}, {"SLURM_SCRIPT_CONTEXT", "prolog_slurmctld"}});
        ASSERT_FALSE(job_of_environment().has_value());
        EXPECT_THAT(job_of_environment().error().message, HasSubstr("slurmd"));
    }
    const Environment environment({{"SLURM_JOB_ID", "17"}, {"SLURMD_NODENAME", "../n"}});
    ASSERT_TRUE(job_of_environment().has_value());
    EXPECT_EQ(job_of_environment()->machine_name, "") << "it would become part of a path";
}

}  // namespace
}  // namespace braidway::apps
