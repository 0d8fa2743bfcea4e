// SPDX-License-Identifier: Apache-2.0
// The shared library through its public header, on this machine.
#include <braidway/node_memory.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

namespace {

using braidway::node_memory::Options;
using braidway::node_memory::Report;
using testing::HasSubstr;

constexpr int64_t mebibyte = 1 << 20;

/// Options for one small wish of clean page cache.
Options small_wish() {
    Options options;
    EXPECT_TRUE(options.set("node", "all")) << options.error();
    EXPECT_TRUE(options.set("free", "1M")) << options.error();
    EXPECT_TRUE(options.set("what", "page-cache")) << options.error();
    return options;
}

/// The first node with memory, or -1.
long some_node() {
    Options options = small_wish();
    const Report plan = Report::of(options, true);
    return plan.outcome() == NODE_MEMORY_DONE ? plan.value(NODE_MEMORY_VALUE_NODE, 0) : -1;
}

class NodeMemoryLibrary : public testing::Test {
  protected:
    std::string file(const std::string& text) {
        const std::string path = testing::TempDir() + "/" + std::to_string(getpid()) + "-" +
                                 testing::UnitTest::GetInstance()->current_test_info()->name();
        std::ofstream(path) << text;
        written_ = path;
        return path;
    }
    ~NodeMemoryLibrary() override {
        if (!written_.empty()) std::filesystem::remove(written_);
    }

  private:
    std::string written_;
};

TEST_F(NodeMemoryLibrary, ProposedCallRefusesWhatMeansNothing) {
    struct Row {
        long node, pages, what;
        int code;
    };
    for (const Row& row :
         {Row{0, -1, 1, EINVAL}, Row{0, 1, 0, EINVAL}, Row{0, 1, -1, EINVAL}, Row{0, 1, 16, EINVAL},
          Row{0, 1, 1L << 40, EINVAL}, Row{-1, 1, 1, ENODEV}, Row{1023, 1, 1, ENODEV},
          Row{1L << 40, 1, 1, ENODEV}}) {
        errno = 0;
        EXPECT_EQ(free_node_memory(row.node, row.pages, row.what), -1)
            << row.node << " " << row.pages << " " << row.what;
        EXPECT_EQ(errno, row.code) << row.node << " " << row.pages << " " << row.what;
    }
    errno = 0;
    EXPECT_EQ(free_node_memory(some_node(), INT64_MAX, NODE_MEMORY_PAGE_CACHE), -1);
    EXPECT_EQ(errno, EINVAL) << "more bytes than a number holds";
}

TEST_F(NodeMemoryLibrary, ProposedCallFreesNoPagesAtOnce) {
    EXPECT_EQ(free_node_memory(some_node(), 0, NODE_MEMORY_ALL), 0);
}

TEST_F(NodeMemoryLibrary, ProposedCallFreesCleanPageCache) {
    const long node = some_node();
    const std::string path = "/sys/devices/system/node/node" + std::to_string(node) + "/reclaim";
    if (access(path.c_str(), W_OK) != 0) GTEST_SKIP() << "cannot write " << path;
    file(std::string(8 * mebibyte, 'x'));
    sync();
    const long freed = free_node_memory(node, 256, NODE_MEMORY_PAGE_CACHE);
    if (freed == -1 && errno == EAGAIN) GTEST_SKIP() << "others took all that was clean";
    // The kernel gives whole large folios.
    EXPECT_GT(freed, 0);
    EXPECT_LE(freed, 256 + 2 * mebibyte / sysconf(_SC_PAGESIZE));
}

TEST_F(NodeMemoryLibrary, SaysWhatIsWrongWithAnOption) {
    Options options;
    EXPECT_EQ(options.error(), "");
    EXPECT_FALSE(options.set("free", "12parsecs"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_THAT(options.error(), HasSubstr("12parsecs"));
    EXPECT_FALSE(options.set("colour", "blue"));
    EXPECT_THAT(options.error(), HasSubstr("colour"));
    EXPECT_TRUE(options.set("free", "1M"));
    EXPECT_EQ(options.error(), "") << "an error ends with the next use";
}

TEST_F(NodeMemoryLibrary, SaysWhatIsMissingInARun) {
    Options options;
    const Report report = Report::of(options);
    EXPECT_EQ(report.outcome(), NODE_MEMORY_USAGE);
    EXPECT_NE(options.error(), "");
    EXPECT_EQ(report.json(), "");
}

TEST_F(NodeMemoryLibrary, RefusesANodeThatIsNotThere) {
    Options options = small_wish();
    ASSERT_TRUE(options.set("node", "1023"));
    EXPECT_EQ(Report::of(options, true).outcome(), NODE_MEMORY_USAGE);
    EXPECT_THAT(options.error(), HasSubstr("1023"));
}

TEST_F(NodeMemoryLibrary, ReplacesAnAmountThatIsSetAgain) {
    Options options = small_wish();
    ASSERT_TRUE(options.set("until-free", "1M")) << options.error();
    ASSERT_TRUE(options.set("free", "3M")) << options.error();
    const Report plan = Report::of(options, true);
    ASSERT_EQ(plan.outcome(), NODE_MEMORY_DONE) << options.error();
    EXPECT_EQ(plan.value(NODE_MEMORY_VALUE_ASKED_BYTES, 0), 3 * mebibyte);
}

TEST_F(NodeMemoryLibrary, KeepsItsOptionsWhenOneIsRefused) {
    Options options = small_wish();
    EXPECT_FALSE(options.set("what", "marble"));
    EXPECT_FALSE(options.set("free", "-1"));
    EXPECT_EQ(Report::of(options, true).outcome(), NODE_MEMORY_DONE) << options.error();
}

TEST_F(NodeMemoryLibrary, ReadsAPolicyFile) {
    Options options;
    ASSERT_TRUE(options.read(file("# a comment\nnode = all\nfree = 2M\nwhat = page-cache\n")))
        << options.error();
    const Report plan = Report::of(options, true);
    ASSERT_EQ(plan.outcome(), NODE_MEMORY_DONE) << options.error();
    EXPECT_EQ(plan.value(NODE_MEMORY_VALUE_ASKED_BYTES, 0), 2 * mebibyte);
}

TEST_F(NodeMemoryLibrary, NamesTheFileAndTheLineOfABadPolicy) {
    Options options;
    const std::string path = file("free = 2M\nwhat = marble\n");
    EXPECT_FALSE(options.read(path));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_THAT(options.error(), HasSubstr(path + ":2"));
    EXPECT_THAT(options.error(), HasSubstr("marble"));
}

TEST_F(NodeMemoryLibrary, GivesTheErrnoOfAFileThatCannotBeRead) {
    Options options;
    EXPECT_FALSE(options.read("/no/such/policy"));
    EXPECT_EQ(errno, ENOENT);
    EXPECT_THAT(options.error(), HasSubstr("/no/such/policy"));
    EXPECT_FALSE(options.read("/"));
    EXPECT_EQ(errno, EISDIR);
    EXPECT_FALSE(options.read("/dev/zero")) << "a file without an end is refused";
}

TEST_F(NodeMemoryLibrary, AddsUpTheNodesOfAReport) {
    Options options = small_wish();
    const Report plan = Report::of(options, true);
    ASSERT_EQ(plan.outcome(), NODE_MEMORY_DONE) << options.error();
    int64_t asked = 0;
    size_t nodes = 0;
    for (; plan.value(NODE_MEMORY_VALUE_ASKED_BYTES, nodes) > 0; ++nodes)
        asked += plan.value(NODE_MEMORY_VALUE_ASKED_BYTES, nodes);
    EXPECT_GE(nodes, 1u);
    EXPECT_EQ(plan.value(NODE_MEMORY_VALUE_ASKED_BYTES), asked);
    EXPECT_EQ(plan.value(NODE_MEMORY_VALUE_NODE), 0);
    EXPECT_EQ(plan.value(99), 0);
    EXPECT_EQ(plan.reason(nodes), "") << "beyond the last node";
}

TEST_F(NodeMemoryLibrary, ACancelledRunEndsSoonAndStillReports) {
    Options options = small_wish();
    ASSERT_TRUE(options.set("free", "1P"));
    std::jthread other([&options] { options.cancel(); });
    other.join();
    const Report report = Report::of(options);
    EXPECT_TRUE(report.outcome() == NODE_MEMORY_SHORT || report.outcome() == NODE_MEMORY_REFUSED)
        << report.outcome();
    EXPECT_THAT(report.json(), HasSubstr("schema_version"));
    EXPECT_NE(report.reason(), "");
}

TEST_F(NodeMemoryLibrary, TakesNullForOptionsAndReports) {
    EXPECT_EQ(node_memory_options_set(nullptr, "free", "1M"), -1);
    EXPECT_EQ(node_memory_options_read(nullptr, "/"), -1);
    EXPECT_STRNE(node_memory_options_error(nullptr), "");
    node_memory_options_cancel(nullptr);
    EXPECT_EQ(node_memory_run(nullptr, nullptr), NODE_MEMORY_USAGE);
    EXPECT_EQ(node_memory_report_nodes(nullptr), 0u);
}

}  // namespace
