// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/process_pageout.h"

#include <gtest/gtest.h>

#include <fstream>

#include "memory/reclaim/scratch_files.h"
#include "memory/reclaim/tree_machine.h"

namespace braidway::memory {
namespace {

constexpr size_t mib = 1 << 20;
constexpr std::string_view privileged = "Name:\tx\nCapEff:\t000001ffffffffff\n";

/// MiB of files that a process has mapped.
uint64_t mapped_mib(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/status");
    for (std::string word; file >> word;) {
        uint64_t kib = 0;
        if (word == "RssFile:" && file >> kib) return kib / 1024;
    }
    return 0;
}

TEST(ProcessPageout, ChoosesPagesThatLieOnTheNode) {
    std::vector<PageRange> chosen;
    choose_on_node({100, 106}, {0, 1, 1, -ENOENT, 1, 0}, 1, chosen);
    EXPECT_EQ(chosen, (std::vector<PageRange>{{101, 103}, {104, 105}}));
    choose_on_node({105, 106}, {1}, 1, chosen);
    EXPECT_EQ(chosen.back(), (PageRange{104, 106}));
}

TEST(ProcessPageout, ReadsCapabilities) {
    EXPECT_TRUE(has_capability(privileged, 23));
    EXPECT_FALSE(has_capability("CapEff:\t0000000000000000\n", 23));
    EXPECT_FALSE(has_capability("CapEff:\t0000000000400000\n", 23));
    EXPECT_FALSE(has_capability("", 23));
}

TEST(ProcessPageout, SaysWhichPrivilegeLacks) {
    TreeMachine machine;
    machine.files["/proc/self/status"] = "CapEff:\t0000000000000000\n";
    const auto lacking = ProcessPageout(machine).probe();
    ASSERT_FALSE(lacking.has_value());
    EXPECT_EQ(lacking.error().code, EPERM);
    EXPECT_NE(lacking.error().message.find("CAP_SYS_NICE"), std::string::npos);
    machine.files["/proc/self/status"] = privileged;
    EXPECT_TRUE(ProcessPageout(machine).probe().has_value());
}

TEST(ProcessPageout, RefusesAnonymousMemoryWithoutSwap) {
    TreeMachine machine;
    machine.files["/proc/meminfo"] = "SwapTotal: 0 kB\nSwapFree: 0 kB\n";
    ProcessPageout pageout(machine, [] { return std::vector<pid_t>{::getppid()}; });
    const Answer answer = pageout.reclaim({0, Kind::anonymous, mib});
    EXPECT_EQ(answer.error, ENOSPC);
    EXPECT_TRUE(answer.exhausted);
}

TEST(ProcessPageout, PagesOutWhatAProcessHasMappedInSteps) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: CAP_SYS_NICE, and to look at a process";
    TreeMachine machine;
    machine.set_nodes("0");
    const ScratchFiles scratch;
    const std::string path = scratch.make("mapped", 32 * mib);
    const std::string other = scratch.make("other", 8 * mib);
    const MappingChild child(path, 0, 32 * mib);
    const MappingChild second(other, 0, 8 * mib);
    ASSERT_GE(mapped_mib(child.pid()), 32u);
    ProcessPageout pageout(machine, [&] { return std::vector<pid_t>{second.pid(), child.pid()}; });
    EXPECT_EQ(pageout.reclaim({0, Kind::mapped_page_cache, 8 * mib}).error, 0);
    const uint64_t first = mapped_mib(child.pid());
    EXPECT_GE(mapped_mib(second.pid()), 8u) << "the biggest process comes first";
    const Answer rest = pageout.reclaim({0, Kind::mapped_page_cache, 1024 * mib});
    EXPECT_TRUE(rest.exhausted);
    EXPECT_LT(mapped_mib(child.pid()), first);
    EXPECT_LT(mapped_mib(child.pid()), 8u);
    EXPECT_LT(mapped_mib(second.pid()), 6u);
    // The kernel keeps some that it takes for hot.
    EXPECT_LT(cached_pages_of(path), 4096u);
}

TEST(ProcessPageout, OnSeveralNodesPassesOverWhatLiesElsewhere) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: CAP_SYS_NICE, and to look at a process";
    TreeMachine machine;
    machine.set_nodes("0-1,9");
    const ScratchFiles scratch;
    const std::string path = scratch.make("mapped", 8 * mib);
    const MappingChild child(path, 0, 8 * mib);
    ProcessPageout pageout(machine, [&] { return std::vector<pid_t>{child.pid()}; });
    EXPECT_TRUE(pageout.reclaim({9, Kind::mapped_page_cache, 64 * mib}).exhausted);
    EXPECT_GE(mapped_mib(child.pid()), 8u);
}

TEST(ProcessPageout, AProcessThatEndedIsPassedOver) {
    TreeMachine machine;
    machine.set_nodes("0");
    ProcessPageout pageout(machine, [] { return std::vector<pid_t>{4194305}; });
    const Answer answer = pageout.reclaim({0, Kind::mapped_page_cache, mib});
    EXPECT_TRUE(answer.exhausted);
    EXPECT_EQ(answer.note, "");
}

}  // namespace
}  // namespace braidway::memory
