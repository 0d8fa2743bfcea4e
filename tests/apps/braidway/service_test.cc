// SPDX-License-Identifier: Apache-2.0
// A whole daemon process: signals, reloads, readiness. What it serves is made of values.
#include "apps/braidway/service.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "../../daemon/fake_control_target.h"

namespace braidway::apps {
namespace {

/// How the daemon under test behaves; read by the child from its configuration's map name.
class FakeDaemon final : public daemon::RunningDaemon {
  public:
    explicit FakeDaemon(daemon::Config config) : config_(std::move(config)) {}

    Result<daemon::Snapshot> snapshot() override { return values_.snapshot(); }
    Result<std::string> execute(const daemon::Command& command) override {
        return values_.execute(command);
    }
    Result<std::string> reload(daemon::Config config) override {
        config_ = std::move(config);
        return std::string("changed");
    }
    Result<void> shut_down(Duration) override {
        if (config_.map("stuck") != nullptr) return fail("path a: 3 requests are stuck");
        if (config_.map("slow") != nullptr)
            while (true) ::pause();
        return {};
    }

  private:
    daemon::Config config_;
    daemon::FakeControlTarget values_;
};

Result<std::unique_ptr<daemon::RunningDaemon>> start_fake(daemon::Config config,
                                                          daemon::EventSink&) {
    if (config.map("busy") != nullptr) return fail("tcp:127.0.0.1:1: Address in use", EADDRINUSE);
    return std::make_unique<FakeDaemon>(std::move(config));
}

class ServiceTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string folder = "/tmp/braidway-service-XXXXXX";
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
        notify_fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        (folder + "/notify").copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(::bind(notify_fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address),
                  0);
    }
    void TearDown() override {
        ::close(notify_fd_);
        std::filesystem::remove_all(folder_);
    }

    void write_config(const std::string& map) const {
        std::ofstream(folder_ / "b.toml")
            << "[api]\nsocket = \"api.sock\"\n[path.a]\ndevice = \"zero:1G\"\n[map." << map
            << "]\ngroups = [{ paths = [\"a\"] }]\n";
    }

    /// Starts `braidway serve` in a child whose stderr goes to a file.
    void start(const std::string& map) {
        write_config(map);
        child_ = ::fork();
        if (child_ != 0) return;
        ::setenv("NOTIFY_SOCKET", (folder_ / "notify").c_str(), 1);
        if (std::freopen((folder_ / "stderr").c_str(), "w", stderr) == nullptr) ::_exit(99);
        std::ostringstream out;
        std::ostringstream error;
        const int code = run({"serve", "--config", folder_ / "b.toml"}, {out, error}, start_fake);
        std::fputs(error.str().c_str(), stderr);
        std::fflush(stderr);
        ::_exit(code);
    }

    /// The next message to systemd.
    std::string notified() const {
        char buffer[256];
        const ssize_t size = ::recv(notify_fd_, buffer, sizeof buffer, 0);
        return size < 0 ? "" : std::string(buffer, static_cast<size_t>(size));
    }

    int exit_code() const {
        int status = 0;
        EXPECT_EQ(::waitpid(child_, &status, 0), child_);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    std::string log() const {
        std::ifstream file(folder_ / "stderr");
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }

    std::filesystem::path folder_;
    int notify_fd_ = -1;
    pid_t child_ = -1;
};

TEST_F(ServiceTest, SaysWhenItIsReadyAndEndsCleanlyOnSigterm) {
    start("db");
    EXPECT_EQ(notified(), "READY=1");
    EXPECT_TRUE(std::filesystem::exists(folder_ / "api.sock"));
    ::kill(child_, SIGTERM);
    EXPECT_EQ(notified(), "STOPPING=1");
    EXPECT_EQ(exit_code(), exit_ok);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "api.sock"));
    EXPECT_NE(log().find("info started"), std::string::npos);
    EXPECT_NE(log().find("info stopped reason=\"drained and flushed\"\n"), std::string::npos);
}

TEST_F(ServiceTest, SighupReloadsAndABadFileChangesNothing) {
    start("db");
    EXPECT_EQ(notified(), "READY=1");
    ::kill(child_, SIGHUP);
    EXPECT_EQ(notified().find("RELOADING=1\nMONOTONIC_USEC="), 0u);
    EXPECT_EQ(notified(), "READY=1");
    std::ofstream(folder_ / "b.toml") << "[map.x]\n[path.y]\n";
    ::kill(child_, SIGHUP);
    notified();
    EXPECT_EQ(notified(), "READY=1");
    ::kill(child_, SIGINT);
    EXPECT_EQ(exit_code(), exit_ok);
    EXPECT_NE(log().find("info reloaded reason=changed\n"), std::string::npos);
    const std::string file = folder_ / "b.toml";
    EXPECT_NE(log().find("warning reload-refused reason=\"nothing changed: " + file +
                         ":1: map.x.groups: is missing"),
              std::string::npos)
        << log();
}

TEST_F(ServiceTest, ADaemonThatCannotDrainEndsWithOneAndALine) {
    start("stuck");
    EXPECT_EQ(notified(), "READY=1");
    ::kill(child_, SIGTERM);
    EXPECT_EQ(exit_code(), exit_failed);
    EXPECT_NE(log().find("braidway: path a: 3 requests are stuck\n"), std::string::npos);
}

TEST_F(ServiceTest, ASecondSignalEndsAtOnce) {
    start("slow");
    EXPECT_EQ(notified(), "READY=1");
    ::kill(child_, SIGTERM);
    EXPECT_EQ(notified(), "STOPPING=1");
    ::kill(child_, SIGTERM);
    EXPECT_EQ(exit_code(), exit_failed);
    EXPECT_NE(log().find("braidway: a second signal: ended at once, without draining\n"),
              std::string::npos);
}

TEST_F(ServiceTest, ATakenAddressIsOneLineThatSaysWhereToChangeIt) {
    start("busy");
    EXPECT_EQ(exit_code(), exit_failed);
    EXPECT_EQ(log(),
              "braidway: tcp:127.0.0.1:1: Address in use (change `nbd` of its "
              "[export.NAME] in " +
                  (folder_ / "b.toml").string() + ")\n");
}

}  // namespace
}  // namespace braidway::apps
