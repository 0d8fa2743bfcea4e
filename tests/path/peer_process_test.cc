// SPDX-License-Identifier: Apache-2.0
#include "path/peer_process.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "support/devices.h"

namespace braidway::path {
namespace {

/// A process that listens on a unix socket until it is killed.
class ListeningProcess {
  public:
    enum class Serves { itself, by_a_child };
    explicit ListeningProcess(Serves serves = Serves::itself) {
        int ready[2];
        EXPECT_EQ(::pipe(ready), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
            ::bind(listener, reinterpret_cast<const sockaddr*>(&name_), sizeof name_);
            ::listen(listener, 4);
            // As a daemon does that goes into the background behind listen().
            const pid_t child = serves == Serves::by_a_child ? ::fork() : -1;
            if (child > 0) ::_exit(0);
            const pid_t self = ::getpid();
            (void)!::write(ready[1], &self, sizeof self);
            for (;;) ::pause();
        }
        if (serves == Serves::by_a_child) ::waitpid(pid_, nullptr, 0);
        EXPECT_EQ(::read(ready[0], &pid_, sizeof pid_), static_cast<ssize_t>(sizeof pid_));
        ::close(ready[0]);
        ::close(ready[1]);
        socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&name_), sizeof name_), 0);
    }
    ~ListeningProcess() {
        if (pid_ > 0) kill();
        ::close(socket_);
        ::unlink(name_.sun_path);
    }
    void kill() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    int socket() const { return socket_; }
    pid_t pid() const { return pid_; }

  private:
    static sockaddr_un named() {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        const std::string path =
            testing::TempDir() + "peer_" + std::to_string(::getpid()) + ".sock";
        path.copy(name.sun_path, sizeof name.sun_path - 1);
        return name;
    }
    sockaddr_un name_ = named();
    pid_t pid_ = -1;
    int socket_ = -1;
};

class PeerProcessTest : public LaneTest {
  protected:
    ~PeerProcessTest() override {
        peer_->stop();
        turn_until([&] { return peer_->quiet(); });
        peer_.reset();
    }
    std::unique_ptr<PeerProcess> peer_ = std::make_unique<PeerProcess>(*loop_);
    int ended_ = 0;
};

TEST_F(PeerProcessTest, TellsOfTheEndOfAServerOnAUnixSocket) {
    ListeningProcess server;
    peer_->find(server.socket());
    ASSERT_TRUE(peer_->known());
    peer_->watch([this] { ++ended_; });
    turn_for(20ms);
    EXPECT_EQ(ended_, 0);
    server.kill();
    turn_until([&] { return ended_ == 1; });
}

TEST_F(PeerProcessTest, AStoppedServerHasNotEnded) {
    ListeningProcess server;
    peer_->find(server.socket());
    ASSERT_TRUE(peer_->known());
    peer_->watch([this] { ++ended_; });
    ::kill(server.pid(), SIGSTOP);
    turn_for(50ms);
    EXPECT_EQ(ended_, 0);
}

TEST_F(PeerProcessTest, AnEndThatWasBeforeTheWatchCounts) {
    ListeningProcess server;
    peer_->find(server.socket());
    ASSERT_TRUE(peer_->known());
    server.kill();
    peer_->watch([this] { ++ended_; });
    turn_until([&] { return ended_ == 1; });
}

TEST_F(PeerProcessTest, AListenerThatHasEndedSaysNothingAboutItsChildWhichServes) {
    ListeningProcess server(ListeningProcess::Serves::by_a_child);
    peer_->find(server.socket());
    EXPECT_FALSE(peer_->known());
}

TEST_F(PeerProcessTest, NobodyIsKnownBehindTcp) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer_->find(socket);
    EXPECT_FALSE(peer_->known());
    ::close(socket);
}

}  // namespace
}  // namespace braidway::path
