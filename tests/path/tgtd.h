// SPDX-License-Identifier: Apache-2.0
// A real iSCSI target for tests: Debian's tgtd, on ports of the loopback interface and with a
// control socket of its own.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/until.h"

namespace braidway::path {

/// One tgtd with its targets and disks in a folder of its own, gone with it.
class Tgtd {
  public:
    /// Whether there is one to be run; the reason to skip, or nothing.
    static std::string missing() {
        if (access(program, X_OK) != 0 || access(admin_program, X_OK) != 0)
            return "tgtd is not installed (package tgt)";
        return {};
    }

    explicit Tgtd(unsigned portals = 1, std::string preload = {}) : preload_(std::move(preload)) {
        char name[] = "/tmp/braidway-tgtd-XXXXXX";
        folder_ = mkdtemp(name);
        for (unsigned index = 0; index < portals; ++index) ports_.push_back(free_port());
        start();
    }
    ~Tgtd() {
        end();
        run({"/bin/rm", "-rf", folder_});
    }
    Tgtd(const Tgtd&) = delete;
    Tgtd& operator=(const Tgtd&) = delete;

    uint16_t port(size_t index = 0) const { return ports_.at(index); }
    const std::string& folder() const { return folder_; }

    /// A file of `bytes` for a unit.
    std::string disk(const std::string& name, uint64_t bytes) {
        const std::string file = folder_ + "/" + name;
        const int fd = open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        EXPECT_EQ(ftruncate(fd, static_cast<off_t>(bytes)), 0);
        close(fd);
        return file;
    }
    /// `arguments` of tgtadm, behind the control socket's. Remembered for restart().
    void admin(const std::vector<std::string>& arguments) {
        EXPECT_EQ(try_admin(arguments), 0) << arguments.at(1);
        configured_.push_back(arguments);
    }
    void add_target(int id, const std::string& name) {
        admin({"--op", "new", "--mode", "target", "--tid", number(id), "-T", name});
        admin({"--op", "bind", "--mode", "target", "--tid", number(id), "-I", "ALL"});
    }
    void add_unit(int target, int lun, const std::string& file, const std::string& more = {}) {
        admin({"--op", "new", "--mode", "logicalunit", "--tid", number(target), "--lun",
               number(lun), "-b", file});
        if (!more.empty())
            admin({"--op", "update", "--mode", "logicalunit", "--tid", number(target), "--lun",
                   number(lun), "--params", more});
    }
    void add_user(const std::string& user, const std::string& secret) {
        admin({"--op", "new", "--mode", "account", "--user", user, "--password", secret});
    }
    /// `outgoing`: as whom the target proves itself.
    void bind_user(int target, const std::string& user, bool outgoing = false) {
        std::vector<std::string> arguments = {"--op",  "bind",         "--mode", "account",
                                              "--tid", number(target), "--user", user};
        if (outgoing) arguments.push_back("--outgoing");
        admin(arguments);
    }

    /// Holds the writes of its disks, or lets them go; needs slow_disk as `preload`.
    void hold_disks(bool held) {
        const std::string name = folder_ + "/hold";
        if (held)
            close(open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        else
            unlink(name.c_str());
    }

    void pause() { kill(pid_, SIGSTOP); }
    void resume() { kill(pid_, SIGCONT); }
    /// Ends it at once, as a crash does.
    void end() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    /// Starts it again with what was configured.
    void restart() {
        end();
        start();
        for (const auto& arguments : configured_) EXPECT_EQ(try_admin(arguments), 0);
    }

    static uint16_t free_port() {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof name;
        auto* generic = reinterpret_cast<sockaddr*>(&name);
        EXPECT_EQ(bind(fd, generic, length), 0);
        EXPECT_EQ(getsockname(fd, generic, &length), 0);
        close(fd);
        return ntohs(name.sin_port);
    }

  private:
    static constexpr const char* program = "/usr/sbin/tgtd";
    static constexpr const char* admin_program = "/usr/sbin/tgtadm";

    static std::string number(int value) { return std::to_string(value); }

    void start() {
        std::string portals;
        for (const uint16_t port : ports_)
            portals += fmt::format("{}portal=127.0.0.1:{}", portals.empty() ? "" : ",", port);
        pid_ = spawn({program, "-f", "-C", "0", "--iscsi", portals}, preload_);
        ASSERT_GT(pid_, 0);
        const bool up = holds_soon([&] {
            usleep(5000);
            return try_admin({"--op", "show", "--mode", "target"}) == 0;
        });
        EXPECT_TRUE(up) << "tgtd does not answer; its output is in " << folder_ << "/log";
    }

    int try_admin(const std::vector<std::string>& arguments) {
        std::vector<std::string> all = {admin_program, "-C", "0", "--lld", "iscsi"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return run(all);
    }

    int run(const std::vector<std::string>& arguments) {
        int status = -1;
        waitpid(spawn(arguments, {}), &status, 0);
        return status;
    }

    pid_t spawn(const std::vector<std::string>& arguments, const std::string& preload) {
        std::vector<char*> argv;
        for (const std::string& one : arguments) argv.push_back(const_cast<char*>(one.c_str()));
        argv.push_back(nullptr);
        // The control socket is this path with ".0" behind it.
        std::vector<std::string> words = {"TGT_IPC_SOCKET=" + folder_ + "/control",
                                          "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
        if (!preload.empty()) words.push_back("LD_PRELOAD=" + preload);
        words.push_back("SLOW_DISK_FOLDER=" + folder_);
        std::vector<char*> environment;
        for (std::string& word : words) environment.push_back(word.data());
        environment.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        const std::string log = folder_ + "/log";
        posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_CREAT | O_APPEND | O_WRONLY,
                                         0600);
        posix_spawn_file_actions_adddup2(&actions, 1, 2);
        pid_t pid = -1;
        posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environment.data());
        posix_spawn_file_actions_destroy(&actions);
        return pid;
    }

    std::string folder_;
    std::string preload_;
    std::vector<uint16_t> ports_;
    std::vector<std::vector<std::string>> configured_;
    pid_t pid_ = -1;
};

}  // namespace braidway::path
