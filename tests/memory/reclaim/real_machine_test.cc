// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/real_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "base/limits.h"
#include "memory/reclaim/node_state.h"
#include "memory/reclaim/temporary_tree.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

struct RealMachineTest : testing::Test {
    TemporaryTree tree{};
    Cancel cancel{};
    RealMachine machine{cancel, tree.root()};
};

TEST_F(RealMachineTest, ReadsBelowItsRoot) {
    tree.put("/sys/kernel/x", "some text\n");
    EXPECT_EQ(*machine.read("/sys/kernel/x"), "some text\n");
    tree.put("/empty", "");
    EXPECT_EQ(*machine.read("/empty"), "");
    EXPECT_EQ(machine.root(), tree.root());
}

TEST_F(RealMachineTest, ReadsTextsOfAnyLength) {
    for (const size_t size : {32767u, 32768u, 32769u, 1u << 20}) {
        const std::string text(size, 'y');
        tree.put("/long", text);
        EXPECT_EQ(machine.read("/long")->size(), size);
    }
}

TEST_F(RealMachineTest, NamesThePathOfTheMachineAndTheErrno) {
    const auto read = machine.read("/sys/none");
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().message, "cannot open /sys/none: No such file or directory");
    EXPECT_EQ(read.error().code, ENOENT);
    tree.put("/folder/x", "");
    EXPECT_EQ(machine.read("/folder").error().code, EISDIR);
    EXPECT_EQ(machine.write("/folder", "x").error().code, EISDIR);
    EXPECT_EQ(machine.write("/sys/none", "x").error().code, ENOENT);
    EXPECT_EQ(machine.writable("/sys/none").error().code, ENOENT);
    EXPECT_EQ(machine.list("/sys/none").error().code, ENOENT);
    EXPECT_THAT(machine.list("/sys/none").error().message, HasSubstr("cannot list /sys/none"));
}

TEST_F(RealMachineTest, WritesOnceAndMakesNoFile) {
    tree.put("/proc/knob", "1\n");
    EXPECT_TRUE(machine.write("/proc/knob", "7").has_value());
    EXPECT_EQ(tree.get("/proc/knob")[0], '7');
    EXPECT_FALSE(machine.write("/proc/other", "7").has_value());
    EXPECT_FALSE(std::filesystem::exists(tree.root() + "/proc/other"));
}

TEST_F(RealMachineTest, AsksForWritingWithoutChangingAnything) {
    tree.put("/proc/knob", "1\n");
    EXPECT_TRUE(machine.writable("/proc/knob").has_value());
    EXPECT_EQ(tree.get("/proc/knob"), "1\n");
    if (geteuid() == 0) GTEST_SKIP() << "root may write everything";
    ASSERT_EQ(chmod((tree.root() + "/proc/knob").c_str(), 0400), 0);
    EXPECT_EQ(machine.writable("/proc/knob").error().code, EACCES);
}

TEST_F(RealMachineTest, ListsNamesInOrder) {
    for (const char* name : {"/d/b", "/d/a", "/d/c/x", "/d/.hidden"}) tree.put(name, "");
    EXPECT_THAT(*machine.list("/d"), ElementsAre("a", "b", "c"));
    EXPECT_THAT(*machine.list("/d/"), ElementsAre("a", "b", "c"));
    EXPECT_EQ(machine.list("/d/a").error().code, ENOTDIR);
}

TEST_F(RealMachineTest, PausesUntilCancelled) {
    EXPECT_TRUE(machine.pause(1ms));
    EXPECT_FALSE(machine.cancelled());
    cancel.cancel();
    const Instant begun = machine.now();
    EXPECT_FALSE(machine.pause(1h));
    EXPECT_TRUE(machine.cancelled());
    EXPECT_LT(machine.now() - begun, 10s);
}

TEST(RealMachine, IsThisMachine) {
    const Cancel cancel;
    RealMachine machine(cancel);
    EXPECT_EQ(machine.root(), "");
    EXPECT_EQ(machine.page_bytes(), static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
    EXPECT_GE(machine.cpus(), 1u);
    const auto nodes = nodes_with_memory(machine);
    if (!nodes) GTEST_SKIP() << nodes.error().message;
    const auto state = read_node_state(machine, nodes->front(), Refresh::yes);
    ASSERT_TRUE(state.has_value()) << state.error().message;
    EXPECT_GT(state->total, 64u << 20);
    EXPECT_GT(state->free, 0u);
    EXPECT_LE(state->free, state->total);
    EXPECT_GE(state->page_cache() + (64u << 20), state->file_lru())
        << "what is on the lists is page cache";
    const auto swap = read_swap_state(machine);
    ASSERT_TRUE(swap.has_value());
    EXPECT_LE(swap->free, swap->total);
}

}  // namespace
}  // namespace braidway::memory
