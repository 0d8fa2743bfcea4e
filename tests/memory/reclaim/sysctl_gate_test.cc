// SPDX-License-Identifier: Apache-2.0
// Sysctls that are changed for the moment of a call come back however the process ends.
#include "memory/reclaim/sysctl_gate.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/clock.h"
#include "base/random.h"
#include "memory/reclaim/gate.h"
#include "memory/reclaim/real_machine.h"
#include "memory/reclaim/run_place.h"
#include "memory/reclaim/temporary_tree.h"

namespace braidway::memory {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

/// Files as of /proc/sys, with the values that a kernel begins with.
class SysctlGateTest : public testing::Test {
  protected:
    TemporaryTree tree{};
    Cancel cancel{};
    RealMachine machine{cancel, tree.root()};
    std::string place{};

    void SetUp() override {
        if (geteuid() != 0) ::setenv("XDG_RUNTIME_DIR", (tree.root() + "/run").c_str(), 1);
        const auto made = run_place(tree.root());
        ASSERT_TRUE(made.has_value()) << made.error().message;
        place = *made;
        set("1", "5", "0");
    }
    void set(const char* unmapped, const char* slab, const char* mode) const {
        tree.put(sysctl_min_unmapped, fmt::format("{}\n", unmapped));
        tree.put(sysctl_min_slab, fmt::format("{}\n", slab));
        tree.put(sysctl_zone_reclaim, fmt::format("{}\n", mode));
    }
    std::string values() const {
        std::string all;
        for (const char* path : {sysctl_min_unmapped, sysctl_min_slab, sysctl_zone_reclaim})
            all += tree.get(path);
        return all;
    }
    bool recorded() const { return access(sysctl_record_path(place).c_str(), F_OK) == 0; }
    Result<std::unique_ptr<OpenGate>> open(bool anonymous = false) {
        return open_sysctl_gate(machine, tree.root(), place, anonymous);
    }
    /// Looks until it is so, at most some seconds.
    template <typename Condition>
    static bool becomes(Condition condition) {
        for (const Instant until = monotonic_now() + 10s; monotonic_now() < until;) {
            if (condition()) return true;
            std::this_thread::sleep_for(1ms);
        }
        return condition();
    }
    /// A child that opens the gate and stays so until it is killed. `told` is how it says so.
    pid_t child_with_open_gate(int* told) {
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        const pid_t child = fork();
        if (child == 0) {
            ::close(ends[0]);
            const auto gate = open(true);
            const char answer = gate ? 'o' : 'x';
            (void)!::write(ends[1], &answer, 1);
            ::close(ends[1]);
            while (true) pause();
        }
        ::close(ends[1]);
        *told = ends[0];
        return child;
    }
    static bool hears_open(int told) {
        char answer = 0;
        const bool opened = ::read(told, &answer, 1) == 1 && answer == 'o';
        ::close(told);
        return opened;
    }
    static void kill_and_reap(pid_t child) {
        ::kill(child, SIGKILL);
        EXPECT_EQ(waitpid(child, nullptr, 0), child);
    }
};

/// Processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> found;
    DIR* directory = opendir("/proc");
    while (const dirent* entry = readdir(directory)) {
        const pid_t pid = static_cast<pid_t>(std::atoi(entry->d_name));
        if (pid <= 0) continue;
        std::ifstream file(fmt::format("/proc/{}/stat", pid));
        std::string text;
        std::getline(file, text);
        const size_t end = text.rfind(')');
        if (end == std::string::npos) continue;
        if (std::atoi(text.c_str() + end + 4) == parent) found.push_back(pid);
    }
    closedir(directory);
    return found;
}

TEST_F(SysctlGateTest, ChangesTheValuesWhileItIsOpenAndNoLonger) {
    {
        const auto gate = open();
        ASSERT_TRUE(gate.has_value()) << gate.error().message;
        EXPECT_EQ(values(), "0\n0\n0\n");
        EXPECT_TRUE(recorded());
    }
    EXPECT_EQ(values(), "1\n5\n0\n");
    EXPECT_FALSE(recorded());
    {
        const auto gate = open(true);
        EXPECT_EQ(values(), "0\n0\n4\n") << "for anonymous memory, mapped cache counts, too";
    }
    EXPECT_EQ(values(), "1\n5\n0\n");
    set("0", "0", "3");
    {
        const auto gate = open(true);
        EXPECT_EQ(values(), "0\n0\n7\n") << "the other bits stay";
    }
    EXPECT_EQ(values(), "0\n0\n3\n");
}

TEST_F(SysctlGateTest, LeavesNoChildBehind) {
    const auto before = children_of(getpid());
    for (int round = 0; round < 5; ++round) ASSERT_TRUE(open().has_value());
    EXPECT_EQ(children_of(getpid()), before);
}

TEST_F(SysctlGateTest, LeavesAValueThatSomebodyElseHasChanged) {
    {
        const auto gate = open();
        tree.put(sysctl_min_slab, "9\n");
    }
    EXPECT_EQ(values(), "1\n9\n0\n");
    EXPECT_FALSE(recorded());
}

TEST_F(SysctlGateTest, IsRestoredByTheGuardianWhenTheProcessIsKilled) {
    int told = -1;
    const pid_t child = child_with_open_gate(&told);
    ASSERT_TRUE(hears_open(told));
    EXPECT_EQ(values(), "0\n0\n4\n");
    kill_and_reap(child);
    EXPECT_TRUE(becomes([&] { return values() == "1\n5\n0\n" && !recorded(); })) << values();
    // The guardian is gone, too, with its lock.
    EXPECT_TRUE(becomes([&] { return FileLock::try_take(place + "/sysctl.lock").has_value(); }));
}

TEST_F(SysctlGateTest, IsRestoredWheneverTheProcessIsKilled) {
    Random dice(20260101);
    for (int round = 0; round < 40; ++round) {
        int told = -1;
        const pid_t child = child_with_open_gate(&told);
        // Every other time after it is open, else at any time before or while it opens.
        if (round % 2 == 0) {
            EXPECT_TRUE(hears_open(told));
        }
        std::this_thread::sleep_for(std::chrono::microseconds(dice.below(30'000)));
        kill_and_reap(child);
        if (round % 2 != 0) ::close(told);
        // At the latest when the next run begins.
        const bool restored = becomes([&] {
            (void)restore_sysctls(machine, place);
            return values() == "1\n5\n0\n" &&
                   FileLock::try_take(place + "/sysctl.lock").has_value();
        });
        ASSERT_TRUE(restored) << round << ": " << values();
    }
}

TEST_F(SysctlGateTest, IsRestoredByTheNextRunWhenTheGuardianIsKilledToo) {
    // Whoever loses its parent comes to this process and can be found.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int told = -1;
    const pid_t child = child_with_open_gate(&told);
    ASSERT_TRUE(hears_open(told));
    const auto guardians = children_of(child);
    ASSERT_EQ(guardians.size(), 1u);
    // The guardian must not have the time to notice.
    ASSERT_EQ(::kill(guardians[0], SIGSTOP), 0);
    kill_and_reap(child);
    ASSERT_EQ(::kill(guardians[0], SIGKILL), 0);
    waitpid(guardians[0], nullptr, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    EXPECT_EQ(values(), "0\n0\n4\n");
    EXPECT_TRUE(recorded());
    const auto restored = restore_sysctls(machine, place);
    ASSERT_TRUE(restored.has_value());
    EXPECT_TRUE(*restored);
    EXPECT_EQ(values(), "1\n5\n0\n");
    EXPECT_FALSE(recorded());
    EXPECT_FALSE(*restore_sysctls(machine, place)) << "nothing is left to do";
}

TEST_F(SysctlGateTest, TheNextThatOpensRestoresWhatWasLeftFirst) {
    std::ofstream(sysctl_record_path(place)) << sysctl_min_unmapped << " 1 0\n"
                                             << sysctl_min_slab << " 5 0\n";
    set("0", "0", "0");
    { const auto gate = open(); }
    EXPECT_EQ(values(), "1\n5\n0\n");
}

TEST_F(SysctlGateTest, IgnoresAGarbledRecord) {
    for (const char* text : {"", "\n", "x\n", "/proc/sys/vm/min_slab_ratio 5\n", "\x01\xff"}) {
        std::ofstream(sysctl_record_path(place), std::ios::trunc) << text;
        EXPECT_TRUE(restore_sysctls(machine, place).has_value());
        EXPECT_EQ(values(), "1\n5\n0\n");
        EXPECT_FALSE(recorded());
    }
}

TEST_F(SysctlGateTest, RestoresNothingOfARunThatIsAlive) {
    const auto gate = open();
    ASSERT_TRUE(gate.has_value());
    const auto restored = restore_sysctls(machine, place);
    ASSERT_TRUE(restored.has_value());
    EXPECT_FALSE(*restored);
    EXPECT_EQ(values(), "0\n0\n0\n");
}

TEST_F(SysctlGateTest, LetsTwoRunsQueue) {
    auto first = open();
    ASSERT_TRUE(first.has_value());
    std::thread second([this] {
        const auto gate = open(true);
        EXPECT_TRUE(gate.has_value());
        EXPECT_EQ(values(), "0\n0\n4\n");
    });
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(values(), "0\n0\n0\n") << "the second waits";
    first->reset();
    second.join();
    EXPECT_EQ(values(), "1\n5\n0\n");
}

TEST_F(SysctlGateTest, StopsWaitingWhenItIsCancelledOrLate) {
    const auto first = open();
    const auto late = open_sysctl_gate(machine, tree.root(), place, false, monotonic_now() + 20ms);
    ASSERT_FALSE(late.has_value());
    EXPECT_THAT(late.error().message, HasSubstr("another run"));
    EXPECT_EQ(late.error().code, EBUSY);
    cancel.cancel();
    const auto second = open();
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, EINTR);
    EXPECT_EQ(values(), "0\n0\n0\n");
}

TEST_F(SysctlGateTest, ChangesNothingWhereOneCannotBeChanged) {
    std::filesystem::remove(tree.root() + sysctl_zone_reclaim);
    const auto gate = open();
    ASSERT_FALSE(gate.has_value());
    EXPECT_THAT(gate.error().message, HasSubstr("zone_reclaim_mode"));
    EXPECT_EQ(tree.get(sysctl_min_unmapped) + tree.get(sysctl_min_slab), "1\n5\n");
    EXPECT_FALSE(recorded());
}

TEST_F(SysctlGateTest, PutsTheFirstBackWhenTheSecondIsRefused) {
    RootedKernel kernel(1, tree.root());
    const auto gate = open_sysctl_gate(kernel, kernel.root(), place, false);
    ASSERT_TRUE(gate.has_value());
    EXPECT_EQ(kernel.world().min_slab_ratio, 0u);
    // What one write of several is refused with (EINTR is no standing fault of the file).
    RootedKernel other(1, tree.root() + "/other");
    std::filesystem::create_directories(tree.root() + "/other/run");
    const auto other_place = geteuid() == 0 ? run_place(other.root()) : Result<std::string>(place);
    ASSERT_TRUE(other_place.has_value());
    if (*other_place == place) return;
    other.fail(sysctl_min_slab, EINTR, 0);
    other.on_write([&other, first = true](fake::World&, const FakeWrite&) mutable {
        if (first) other.fail(sysctl_min_slab, EINTR, 1);
        first = false;
    });
    const auto refused = open_sysctl_gate(other, other.root(), *other_place, false);
    EXPECT_FALSE(refused.has_value());
    EXPECT_EQ(other.world().min_unmapped_ratio, 1u);
    EXPECT_EQ(other.world().min_slab_ratio, 5u);
}

}  // namespace
}  // namespace braidway::memory
