// SPDX-License-Identifier: Apache-2.0
// The file system mounted for real, by a process of its own, over nodes that are made up.
#include "apps/free_node_memory/fuse_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/clock.h"

namespace braidway::apps {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

/// Says each run on a pipe. "free=1" waits until it is cancelled, at most 20 s.
ControlActions made_up(int log) {
    return {.states = []() -> Result<NodeStates> { return NodeStates{{0, {}}, {1, {}}}; },
            .run = [log](const memory::NodeList& nodes, const memory::Request& request,
                         const memory::Cancel& cancel) -> Result<memory::Report> {
                memory::Report report;
                for (const uint32_t node : nodes) report.nodes.emplace_back().node = node;
                EXPECT_EQ(write(log, "r", 1), 1);
                if (request.bytes == 1 && !cancel.pause(20s))
                    report.nodes[0].shortfall = memory::Shortfall::cancelled;
                return report;
            },
            .line =
                [](const memory::NodeReport& report, const memory::Request& request) {
                    return fmt::format("node {}: {}", report.node, request.bytes);
                }};
}

/// Where to wait for a deadline without sleeping in the test.
void wait_a_little() {
    poll(nullptr, 0, 10);
}

class Mounted : public testing::Test {
  protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "mounting for others needs root";
        if (access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "there is no /dev/fuse";
        char name[] = "/tmp/braidway-mount-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        directory_ = name;
        chmod(name, 0755);
        ASSERT_EQ(pipe2(log_, O_CLOEXEC), 0);
        server_ = fork();
        if (server_ == 0) {
            ControlFiles files({}, made_up(log_[1]));
            std::ostringstream out;
            _exit(serve_control_files({.directory = directory_, .mode = 0600}, files, out,
                                      std::cerr));
        }
        const Instant begin = monotonic_now();
        while (access(path("status").c_str(), F_OK) != 0 && monotonic_now() - begin < 20s)
            wait_a_little();
        ASSERT_EQ(access(path("status").c_str(), F_OK), 0) << "it is not mounted";
    }
    void TearDown() override {
        if (server_ > 0) end(SIGTERM);
        if (directory_.empty()) return;
        EXPECT_EQ(rmdir(directory_.c_str()), 0) << "still mounted";
        close(log_[0]);
        close(log_[1]);
    }
    std::string path(std::string_view name) const { return fmt::format("{}/{}", directory_, name); }
    /// Its exit code, and how long it took.
    std::pair<int, Duration> end(int signal) {
        const Instant begin = monotonic_now();
        if (signal != 0) kill(server_, signal);
        int status = -1;
        waitpid(std::exchange(server_, -1), &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, monotonic_now() - begin};
    }
    /// One write(2) into a file that is opened for it; 0 or errno.
    int put(std::string_view name, std::string_view text, int flags = O_WRONLY) const {
        const int file = open(path(name).c_str(), flags | O_CLOEXEC, 0600);
        if (file < 0) return errno;
        const ssize_t written = write(file, text.data(), text.size());
        const int error = written < 0 ? errno : 0;
        EXPECT_TRUE(written < 0 || written == static_cast<ssize_t>(text.size()));
        close(file);
        return error;
    }
    std::string get(std::string_view name) const {
        std::ifstream file(path(name));
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    /// Another process that writes; its exit code is the errno it got.
    pid_t writer(std::string_view name, std::string_view text, uid_t user = 0) const {
        const pid_t child = fork();
        if (child != 0) return child;
        if (user != 0 && (setgroups(0, nullptr) != 0 || setresgid(user, user, user) != 0 ||
                          setresuid(user, user, user) != 0))
            _exit(255);
        _exit(put(name, text, O_WRONLY | O_TRUNC));  // As a shell's ">".
    }
    static int answer_of(pid_t child) {
        int status = -1;
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    void wait_run() const {
        char byte = 0;
        ASSERT_EQ(read(log_[0], &byte, 1), 1);
    }
    /// How many runs have begun that were not waited for.
    size_t runs() const {
        size_t count = 0;
        for (pollfd wanted{log_[0], POLLIN, 0}; poll(&wanted, 1, 0) == 1; ++count) wait_run();
        return count;
    }

    std::string directory_;
    pid_t server_ = -1;
    int log_[2] = {-1, -1};
};

constexpr std::string_view endless = "node=0 free=1 what=slab";

TEST_F(Mounted, ListsItsFilesWithTheirModes) {
    const auto mode = [this](std::string_view name) {
        struct stat found{};
        EXPECT_EQ(stat(path(name).c_str(), &found), 0) << name;
        return found.st_mode;
    };
    EXPECT_EQ(mode("toss_page_cache_nodes"), mode_t{S_IFREG | 0600});
    EXPECT_EQ(mode("free_node_memory"), mode_t{S_IFREG | 0600});
    EXPECT_EQ(mode("status"), mode_t{S_IFREG | 0444});
    EXPECT_EQ(mode("."), mode_t{S_IFDIR | 0755});
    EXPECT_NE(access(path("other").c_str(), F_OK), 0);
    EXPECT_EQ(put("other", "0", O_WRONLY | O_CREAT), EPERM);
    EXPECT_EQ(unlink(path("status").c_str()), -1);
    EXPECT_EQ(errno, EPERM);
}

TEST_F(Mounted, TakesOneWriteAsOneRequest) {
    EXPECT_EQ(put("toss_page_cache_nodes", "0-1\n", O_WRONLY | O_TRUNC), 0);
    EXPECT_EQ(get("toss_page_cache_nodes"), "0-1\n");
    EXPECT_EQ(put("toss_page_cache_nodes", "0\n", O_WRONLY | O_APPEND), 0);
    EXPECT_EQ(get("toss_page_cache_nodes"), "0\n");
    EXPECT_EQ(put("free_node_memory", "node=1 free=8K what=slab\n", O_RDWR), 0);
    EXPECT_EQ(get("free_node_memory"), "node 1: 8192\n");
    EXPECT_THAT(get("status"), HasSubstr("last result:\nnode 1: 8192\n"));
    EXPECT_EQ(runs(), 3u);
}

TEST_F(Mounted, RefusesWithoutARun) {
    EXPECT_EQ(put("toss_page_cache_nodes", "x\n"), EINVAL);
    EXPECT_EQ(put("free_node_memory", "node=0\n"), EINVAL);
    EXPECT_EQ(put("free_node_memory", std::string(4097, ' ')), EMSGSIZE);
    EXPECT_EQ(put("free_node_memory", std::string(3 << 20, ' ')), EMSGSIZE);
    EXPECT_EQ(put("status", "0"), EACCES);
    const int file = open(path("toss_page_cache_nodes").c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(write(file, "x", 1), -1);
    EXPECT_EQ(pwrite(file, "0", 1, 1), -1) << "the rest of something";
    EXPECT_EQ(errno, EINVAL);
    close(file);
    EXPECT_EQ(runs(), 0u);
}

TEST_F(Mounted, GivesOneFileToAnotherUser) {
    constexpr uid_t nobody = 65534;
    EXPECT_EQ(answer_of(writer("toss_page_cache_nodes", "0", nobody)), EACCES);
    ASSERT_EQ(chmod(path("toss_page_cache_nodes").c_str(), 0602), 0);
    EXPECT_EQ(answer_of(writer("toss_page_cache_nodes", "0", nobody)), 0);
    EXPECT_EQ(answer_of(writer("free_node_memory", "node=0 free=1M what=slab", nobody)), EACCES);
    ASSERT_EQ(chown(path("free_node_memory").c_str(), nobody, 0), 0);
    EXPECT_EQ(answer_of(writer("free_node_memory", "node=0 free=1M what=slab", nobody)), 0);
    EXPECT_EQ(answer_of(writer("status", "0", nobody)), EACCES);
    EXPECT_EQ(runs(), 2u);
}

TEST_F(Mounted, GivesEachOfManyWritersItsTurn) {
    std::vector<pid_t> writers;
    for (int i = 0; i < 20; ++i) writers.push_back(writer("toss_page_cache_nodes", "0\n"));
    for (const pid_t each : writers) EXPECT_EQ(answer_of(each), 0);
    EXPECT_EQ(runs(), 20u);
}

TEST_F(Mounted, IsReadWhileAWriteRuns) {
    const pid_t at_work = writer("free_node_memory", endless);
    wait_run();
    EXPECT_THAT(get("status"), HasSubstr("none yet"));
    EXPECT_EQ(get("free_node_memory"), "");
    kill(at_work, SIGKILL);
    EXPECT_EQ(answer_of(at_work), 1000 + SIGKILL);
}

TEST_F(Mounted, CancelsARunWhoseWriterIsKilled) {
    const pid_t at_work = writer("free_node_memory", endless);
    wait_run();
    const pid_t next = writer("toss_page_cache_nodes", "0");
    const Instant begin = monotonic_now();
    kill(at_work, SIGKILL);
    EXPECT_EQ(answer_of(at_work), 1000 + SIGKILL);
    EXPECT_EQ(answer_of(next), 0);
    EXPECT_LT(monotonic_now() - begin, 5s);
}

TEST_F(Mounted, LetsAWriterGoWhoIsKilledWhileWaiting) {
    const pid_t at_work = writer("free_node_memory", endless);
    wait_run();
    const pid_t waits = writer("free_node_memory", "node=1 free=8K what=slab");
    poll(nullptr, 0, 200);
    const Instant begin = monotonic_now();
    kill(waits, SIGKILL);
    EXPECT_EQ(answer_of(waits), 1000 + SIGKILL);
    EXPECT_LT(monotonic_now() - begin, 5s);
    EXPECT_EQ(runs(), 0u) << "it never had its turn";
    kill(at_work, SIGKILL);
    answer_of(at_work);
}

TEST_F(Mounted, EndsWithZeroAtASignalAlsoWhileWritesWait) {
    const pid_t at_work = writer("free_node_memory", endless);
    wait_run();
    const pid_t waits = writer("toss_page_cache_nodes", "0");
    poll(nullptr, 0, 200);
    const auto [code, length] = end(SIGTERM);
    EXPECT_EQ(code, 0);
    EXPECT_LT(length, 3s);
    EXPECT_EQ(answer_of(at_work), EINTR);
    EXPECT_EQ(answer_of(waits), EINTR);
}

TEST_F(Mounted, EndsWithZeroAtSigintWhileAFileIsOpen) {
    const int file = open(path("status").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0);
    EXPECT_EQ(end(SIGINT).first, 0);
    close(file);
}

TEST_F(Mounted, EndsWithZeroWhenItIsUnmounted) {
    ASSERT_EQ(umount2(directory_.c_str(), 0), 0);
    const auto [code, length] = end(0);
    EXPECT_EQ(code, 0);
    EXPECT_LT(length, 3s);
}

/// What is said about a directory, and the exit code.
std::pair<int, std::string> refusal(const std::string& directory) {
    ControlFiles files({}, made_up(-1));
    std::ostringstream out;
    std::ostringstream error;
    const int code = serve_control_files({.directory = directory}, files, out, error);
    EXPECT_EQ(out.str(), "");
    return {code, error.str()};
}

TEST(MountPoint, MustBeAnEmptyDirectory) {
    using testing::Pair;
    EXPECT_THAT(refusal("/no/such/place"), Pair(2, HasSubstr("No such file")));
    EXPECT_THAT(refusal(""), Pair(2, HasSubstr("expected an empty directory")));
    EXPECT_THAT(refusal("/etc/passwd"), Pair(2, HasSubstr("is no directory")));
    EXPECT_THAT(refusal("/usr"), Pair(2, HasSubstr("/usr: is not empty")));
}

TEST_F(Mounted, IsNotMountedOnTwice) {
    EXPECT_EQ(refusal(directory_).first, 2);
}

}  // namespace
}  // namespace braidway::apps
