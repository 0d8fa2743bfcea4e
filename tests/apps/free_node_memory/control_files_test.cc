// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/control_files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace braidway::apps {
namespace {

using memory::Goal;
using memory::Kind;
using memory::NodeList;
using memory::Shortfall;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

/// Two nodes, 0 and 2, and what was asked of them.
struct Nodes {
    NodeStates states{{0, {.total = 8u << 20, .file_pages = 3 << 20}},
                      {2, {.total = 8u << 20, .file_pages = 5 << 20}}};
    std::vector<std::pair<NodeList, memory::Request>> runs{};
    Result<memory::Report> answer = memory::Report{};  ///< Empty: all is freed.
    memory::Cancel cancel{};

    ControlActions actions() {
        return {.states = [this]() -> Result<NodeStates> { return states; },
                .run = [this](const NodeList& nodes, const memory::Request& request,
                              const memory::Cancel&) -> Result<memory::Report> {
                    runs.emplace_back(nodes, request);
                    if (!answer || !answer->nodes.empty()) return answer;
                    memory::Report report;
                    for (const uint32_t node : nodes) report.nodes.emplace_back().node = node;
                    return report;
                },
                .line =
                    [](const memory::NodeReport& report, const memory::Request& request) {
                        return fmt::format("node {}: {}", report.node, request.bytes);
                    }};
    }
};

memory::Settings with(std::initializer_list<std::pair<const char*, const char*>> words) {
    memory::Settings settings;
    for (const auto& [word, value] : words)
        EXPECT_TRUE(memory::set_setting(settings, word, value).has_value()) << word;
    return settings;
}

memory::NodeReport short_of(Shortfall reason) {
    memory::NodeReport report;
    report.shortfall = reason;
    return report;
}

constexpr auto toss = ControlFile::toss_page_cache_nodes;
constexpr auto free_file = ControlFile::free_node_memory;

TEST(TossFile, FreesAllPageCacheOfTheNodesAndReadsAsTheLastList) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    EXPECT_EQ(files.read(toss), "\n");
    EXPECT_EQ(files.write(toss, "2,0\n", nodes.cancel), 0);
    ASSERT_EQ(nodes.runs.size(), 1u);
    const auto& [list, request] = nodes.runs[0];
    EXPECT_THAT(list, ElementsAre(0, 2));
    EXPECT_EQ(request.goal, Goal::free_more);
    EXPECT_EQ(request.bytes, 5u << 20) << "what the fuller one holds";
    EXPECT_THAT(request.kinds, ElementsAre(Kind::page_cache));
    EXPECT_EQ(files.read(toss), "0,2\n");
    EXPECT_EQ(files.read(free_file), "node 0: 5242880\nnode 2: 5242880\n");
}

TEST(TossFile, RefusesBadTextAndFreesNothing) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    for (const char* text : {"", "\n", "all", "-1", "0,x", "0 2", "2-0", "1024", "0\n2"}) {
        EXPECT_EQ(files.write(toss, text, nodes.cancel), EINVAL) << text;
        EXPECT_THAT(files.read(free_file), StartsWith("refused: "));
    }
    EXPECT_EQ(files.write(toss, std::string(4097, '0'), nodes.cancel), EMSGSIZE);
    EXPECT_THAT(nodes.runs, IsEmpty());
    EXPECT_EQ(files.read(toss), "\n");
}

TEST(TossFile, TossesTheNodesThatAreThereBeforeItRefusesTheOthers) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    EXPECT_EQ(files.write(toss, "1,2,9-12", nodes.cancel), EINVAL);
    ASSERT_EQ(nodes.runs.size(), 1u);
    EXPECT_THAT(nodes.runs[0].first, ElementsAre(2));
    EXPECT_EQ(files.write(toss, "1,3", nodes.cancel), EINVAL);
    EXPECT_EQ(nodes.runs.size(), 1u) << "none is there: at once";
}

TEST(TossFile, WritesNothingBackAndKeepsTheOwnersBounds) {
    Nodes nodes;
    ControlFiles files(with({{"writeback", "yes"}, {"budget", "3s"}, {"allow-global", "yes"}}),
                       nodes.actions());
    EXPECT_EQ(files.write(toss, "0", nodes.cancel), 0);
    const memory::Request& request = nodes.runs.at(0).second;
    EXPECT_FALSE(request.writeback);
    EXPECT_TRUE(request.allow_global);
    EXPECT_EQ(request.budget, std::chrono::seconds(3));
}

TEST(TossFile, StaysWithTheOwnersNodesAndKinds) {
    Nodes nodes;
    ControlFiles one_node(with({{"node", "0"}}), nodes.actions());
    EXPECT_EQ(one_node.write(toss, "0,2", nodes.cancel), EPERM);
    ControlFiles slab_only(with({{"what", "slab"}}), nodes.actions());
    EXPECT_EQ(slab_only.write(toss, "0", nodes.cancel), EPERM);
    EXPECT_THAT(nodes.runs, IsEmpty());
}

TEST(FreeFile, RunsALineAndReadsAsItsResult) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    EXPECT_EQ(files.read(free_file), "");
    EXPECT_EQ(files.write(free_file, "node=2 free=1M what=slab,page-cache\n", nodes.cancel), 0);
    ASSERT_EQ(nodes.runs.size(), 1u);
    EXPECT_THAT(nodes.runs[0].first, ElementsAre(2));
    EXPECT_THAT(nodes.runs[0].second.kinds, ElementsAre(Kind::slab, Kind::page_cache));
    EXPECT_EQ(files.read(free_file), "node 2: 1048576\n");
    EXPECT_EQ(files.read(toss), "\n") << "the list is that of its own file";
}

TEST(FreeFile, MeansAllNodesByAll) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    EXPECT_EQ(files.write(free_file, "node=all free=1M what=slab", nodes.cancel), 0);
    EXPECT_THAT(nodes.runs.at(0).first, ElementsAre(0, 2));
}

TEST(FreeFile, RefusesWhatIsBadIncompleteOrNotAllowed) {
    Nodes nodes;
    ControlFiles files(with({{"budget", "3s"}}), nodes.actions());
    for (const char* text :
         {"", "node=0", "node=0 free=1M", "node=0 free=1M what=cake", "free=1M what=slab",
          "node=0 free=-1 what=slab", "node=0 free=1M what=slab files=/etc",
          "node=0 free=1M what=slab budget=soon"}) {
        EXPECT_EQ(files.write(free_file, text, nodes.cancel), EINVAL) << text;
        EXPECT_THAT(files.read(free_file), StartsWith("refused: "));
    }
    EXPECT_EQ(files.write(free_file, "node=0 free=1M what=slab budget=1h", nodes.cancel), EPERM)
        << "wider than the owner allows";
    EXPECT_THAT(nodes.runs, IsEmpty());
}

TEST(FreeFile, TellsTheWriterOnlyWhatIsNoShortfall) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    const auto told = [&](memory::NodeReport report) {
        nodes.answer = memory::Report{.nodes = {std::move(report)}};
        return files.write(free_file, "node=0 free=1M what=slab", nodes.cancel);
    };
    EXPECT_EQ(told(short_of(Shortfall::dirty)), 0);
    EXPECT_EQ(told(short_of(Shortfall::floor)), 0);
    EXPECT_EQ(told(short_of(Shortfall::privilege)), EPERM);
    memory::NodeReport partly = short_of(Shortfall::privilege);
    partly.freed[Kind::slab] = 4096;
    EXPECT_EQ(told(partly), 0) << "something was freed";
    EXPECT_EQ(told(short_of(Shortfall::cancelled)), EINTR);
    nodes.answer = fail("there is no node 7", ENODEV);
    EXPECT_EQ(files.write(free_file, "node=7 free=1M what=slab", nodes.cancel), EINVAL);
    EXPECT_EQ(files.read(free_file), "refused: there is no node 7\n");
    nodes.answer = fail("not for you", EACCES);
    EXPECT_EQ(files.write(free_file, "node=0 free=1M what=slab", nodes.cancel), EPERM);
}

TEST(StatusFile, ShowsNodesAndTheLastResultAndTakesNothing) {
    Nodes nodes;
    ControlFiles files({}, nodes.actions());
    EXPECT_THAT(files.read(ControlFile::status), HasSubstr("last result: none yet\n"));
    EXPECT_EQ(files.write(ControlFile::status, "0", nodes.cancel), EACCES);
    ASSERT_EQ(files.write(toss, "0", nodes.cancel), 0);
    EXPECT_EQ(
        files.read(ControlFile::status),
        "node    total    free  page-cache  mapped-page-cache  anonymous    slab   dirty   "
        "shmem\n"
        "0        8.0M      0B        3.0M                 0B         0B      0B      0B      "
        "0B\n"
        "2        8.0M      0B        5.0M                 0B         0B      0B      0B      "
        "0B\n"
        "last result:\n"
        "node 0: 3145728\n");
}

}  // namespace
}  // namespace braidway::apps
