// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/mapped_guard.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/limits.h"
#include "memory/reclaim/scratch_files.h"

namespace braidway::memory {
namespace {

constexpr size_t mib = 1 << 20;
constexpr size_t page = 4096;

/// A line of /proc/PROCESS/status, in KiB.
uint64_t status_kib(const std::string& process, const std::string& name) {
    std::ifstream file("/proc/" + process + "/status");
    for (std::string word; file >> word;) {
        uint64_t number = 0;
        if (word == name + ":" && file >> number) return number;
    }
    return 0;
}

bool may_look_everywhere() {
    return ::geteuid() == 0;
}

TEST(MappedGuard, PinsWhatAProcessHasMappedAndNothingElse) {
    if (!may_look_everywhere()) GTEST_SKIP() << "needs root: looks into another process";
    const ScratchFiles scratch;
    const std::string path = scratch.make("half", 32 * mib);
    MappingChild child(path, 8 * mib, 16 * mib);
    {
        const MappedGuard guard = MappedGuard::hold(GuardScope::large_only);
        EXPECT_EQ(guard.missed_why(), "");
        EXPECT_GE(guard.bytes(), 16 * mib);
        EXPECT_GE(status_kib("self", "VmLck"), 16u << 10);
        // The child's mapping would keep the pages too: only the guard is to hold them.
        child.end();
        drop(path);
        const uint64_t held = cached_pages_of(path) * page;
        EXPECT_GE(held, 16 * mib);
        EXPECT_LE(held, 20 * mib) << "what nobody had mapped could go, but for whole folios";
    }
    EXPECT_EQ(status_kib("self", "VmLck"), 0u);
    drop(path);
    EXPECT_EQ(cached_pages_of(path), 0u);
}

TEST(MappedGuard, KeepsWhatAProcessHasMappedWhileTheNodeIsReclaimed) {
    const std::string reclaim = "/sys/devices/system/node/node0/reclaim";
    if (::access(reclaim.c_str(), W_OK) != 0)
        GTEST_SKIP() << "needs root and a kernel with " << reclaim << " (6.17)";
    const ScratchFiles scratch;
    const std::string path = scratch.make("mapped", 32 * mib);
    const std::string other = scratch.make("other", 32 * mib);
    const MappingChild child(path, 0, 32 * mib);
    const std::string process = std::to_string(child.pid());
    ASSERT_GE(status_kib(process, "RssFile"), 32u << 10);
    const MappedGuard guard = MappedGuard::hold(GuardScope::large_only);
    // The kernel spares for some seconds what was used a moment ago.
    for (int i = 0; i < 8; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        const int file = ::open(reclaim.c_str(), O_WRONLY | O_CLOEXEC);
        static_cast<void>(::write(file, "64M swappiness=0", 16));
        ::close(file);
    }
    EXPECT_GE(status_kib(process, "RssFile"), 32u << 10);
    EXPECT_EQ(cached_pages_of(path) * page, 32 * mib);
}

TEST(MappedGuard, ReadsNothingFromDisk) {
    if (!may_look_everywhere()) GTEST_SKIP() << "needs root: looks into another process";
    const ScratchFiles scratch;
    const std::string path = scratch.make("holes", 40 * mib);
    const MappingChild front(path, 0, 1 * mib);
    const MappingChild back(path, 30 * mib, 10 * mib);
    drop(path);
    const uint64_t before = cached_pages_of(path);
    ASSERT_LT(before * page, 20 * mib);
    MappedGuard guard = MappedGuard::hold(GuardScope::all);
    EXPECT_EQ(cached_pages_of(path), before);
    guard.hold_files({scratch.path()});
    EXPECT_EQ(cached_pages_of(path), before);
}

TEST(MappedGuard, LeavesSmallProcessesAloneWhenOnlyLargeOnesCount) {
    if (!may_look_everywhere()) GTEST_SKIP() << "needs root: looks into another process";
    const ScratchFiles scratch;
    const std::string path = scratch.make("small", 1 * mib);
    MappingChild child(path, 0, 1 * mib);
    const MappedGuard large = MappedGuard::hold(GuardScope::large_only);
    child.end();
    drop(path);
    EXPECT_EQ(cached_pages_of(path), 0u);
}

TEST(MappedGuard, HoldsDeletedFilesToo) {
    if (!may_look_everywhere()) GTEST_SKIP() << "needs root: looks into another process";
    const ScratchFiles scratch;
    const std::string path = scratch.make("deleted", 24 * mib);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    MappingChild child(path, 0, 24 * mib);
    std::filesystem::remove(path);
    const MappedGuard guard = MappedGuard::hold(GuardScope::large_only);
    EXPECT_EQ(guard.missed_why(), "");
    child.end();
    EXPECT_EQ(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    std::vector<PageRange> ranges;
    EXPECT_EQ(CachedPages().find(file, ranges), 0);
    EXPECT_EQ(ranges, (std::vector<PageRange>{{0, 24 * mib / page}}));
    ::close(file);
}

TEST(MappedGuard, TakesACutFileAsItIs) {
    if (!may_look_everywhere()) GTEST_SKIP() << "needs root: looks into another process";
    const ScratchFiles scratch;
    const std::string path = scratch.make("cut", 24 * mib);
    const MappingChild child(path, 0, 24 * mib);
    std::filesystem::resize_file(path, 20 * mib + 100);
    const MappedGuard guard = MappedGuard::hold(GuardScope::large_only);
    EXPECT_EQ(guard.missed_files(), 0u) << guard.missed_why();
    drop(path);
    EXPECT_GE(cached_pages_of(path) * page, 20 * mib);
}

TEST(MappedGuard, HoldsTheCachedPagesOfNamedTrees) {
    const ScratchFiles scratch;
    const std::string kept = scratch.make("keep/deep/file", 4 * mib);
    const std::string other = scratch.make("other", 4 * mib);
    MappedGuard guard;
    guard.hold_files({scratch.path("keep")});
    EXPECT_EQ(guard.missed_why(), "");
    EXPECT_EQ(guard.bytes(), 4 * mib);
    drop(kept);
    drop(other);
    EXPECT_EQ(cached_pages_of(kept) * page, 4 * mib);
    EXPECT_EQ(cached_pages_of(other), 0u);
    guard = MappedGuard();
    drop(kept);
    EXPECT_EQ(cached_pages_of(kept), 0u);
}

TEST(MappedGuard, SaysInOneSentenceWhatItMissed) {
    MappedGuard guard;
    guard.hold_files({"/nowhere/at-all"});
    EXPECT_EQ(guard.missed_files(), 1u);
    EXPECT_EQ(guard.missed_why(), "1 file could not be guarded (No such file or directory)");
}

TEST(MappedGuard, WithoutPrivilegeItCountsTheProcessesThatItMayNotSee) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
        const MappedGuard guard = MappedGuard::hold(GuardScope::all);
        const bool told = guard.missed_why().find("CAP_SYS_PTRACE") != std::string::npos;
        ::_exit(guard.missed_processes() > 0 && told ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace braidway::memory
