// SPDX-License-Identifier: Apache-2.0
#include "path/socket_connector.h"

#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <optional>

#include "support/devices.h"

namespace braidway::path {
namespace {

class SocketConnectorTest : public LaneTest {
  protected:
    ~SocketConnectorTest() override {
        for (const int fd : fds_) ::close(fd);
        ::unlink(path_.c_str());
        connector_.cancel();
        turn_until([&] { return connector_.quiet(); });
    }

    /// A TCP port on which somebody listens, or whose listener has just gone.
    uint16_t port(bool listening) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof name;
        auto* generic = reinterpret_cast<sockaddr*>(&name);
        EXPECT_EQ(::bind(fd, generic, length), 0);
        EXPECT_EQ(::getsockname(fd, generic, &length), 0);
        if (listening) {
            EXPECT_EQ(::listen(fd, 4), 0);
            fds_.push_back(fd);
        } else {
            ::close(fd);
        }
        return ntohs(name.sin_port);
    }
    void listen_on(const std::string& path, int backlog) {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path.copy(name.sun_path, sizeof name.sun_path - 1);
        EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
        EXPECT_EQ(::listen(fd, backlog), 0);
        fds_.push_back(fd);
    }
    Result<int> connect(SocketTarget target) {
        std::optional<Result<int>> answer;
        connector_.connect(std::move(target),
                           [&](Result<int> result) { answer = std::move(result); });
        EXPECT_FALSE(answer.has_value()) << "the answer comes from the loop";
        turn_until([&] { return answer.has_value(); });
        if (answer->has_value()) fds_.push_back(**answer);
        return *answer;
    }

    std::string path_ = testing::TempDir() + "connector_" + std::to_string(::getpid()) + ".sock";
    SocketConnector connector_{*loop_};
    std::vector<int> fds_;
};

TEST_F(SocketConnectorTest, ReachesServersByNumberAndByName) {
    const uint16_t open = port(true);
    EXPECT_TRUE(connect({.socket = {}, .host = "127.0.0.1", .port = open}).has_value());
    // "localhost" may stand for ::1 first, where nobody listens: the next address is tried.
    EXPECT_TRUE(connect({.socket = {}, .host = "localhost", .port = open}).has_value());
}

TEST_F(SocketConnectorTest, ReachesAUnixSocket) {
    listen_on(path_, 4);
    EXPECT_TRUE(connect({.socket = path_, .host = {}}).has_value());
}

TEST_F(SocketConnectorTest, SaysWhyAServerIsNotReached) {
    const Result<int> refused = connect({.socket = {}, .host = "127.0.0.1", .port = port(false)});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ECONNREFUSED);
    EXPECT_TRUE(refused.error().message.ends_with("Connection refused; does the server run?"))
        << refused.error().message;
    const Result<int> missing = connect({.socket = path_, .host = {}});
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, ENOENT);
    EXPECT_NE(missing.error().message.find(path_), std::string::npos);
    const Result<int> unknown = connect({.socket = {}, .host = "no-such-host.invalid", .port = 1});
    ASSERT_FALSE(unknown.has_value());
    EXPECT_TRUE(unknown.error().message.starts_with("cannot find the host 'no-such-host.invalid'"))
        << unknown.error().message;
}

TEST_F(SocketConnectorTest, WaitsForAUnixServerWhoseQueueIsFull) {
    listen_on(path_, 0);
    EXPECT_TRUE(connect({.socket = path_, .host = {}}).has_value());  // Fills the queue.
    bool ended = false;
    connector_.connect({.socket = path_, .host = {}}, [&](Result<int> result) {
        ended = true;
        if (result) fds_.push_back(*result);
    });
    turn_for(50ms);
    EXPECT_FALSE(ended);
    const int accepted = ::accept(fds_[0], nullptr, nullptr);
    turn_until([&] { return ended; });
    ::close(accepted);
}

TEST_F(SocketConnectorTest, SaysNothingAfterItWasCancelled) {
    bool ended = false;
    connector_.connect({.socket = {}, .host = "127.0.0.1", .port = port(true)},
                       [&](Result<int>) { ended = true; });
    connector_.cancel();
    turn_for(20ms);
    EXPECT_FALSE(ended);
    EXPECT_TRUE(connector_.quiet());
}

TEST(SocketTarget, IsWrittenForPeople) {
    EXPECT_EQ((SocketTarget{.socket = "/run/a.sock", .host = {}}).text(), "/run/a.sock");
    EXPECT_EQ((SocketTarget{.socket = std::string("\0abc", 4), .host = {}}).text(), "@abc");
    EXPECT_EQ((SocketTarget{.socket = {}, .host = "h", .port = 7}).text(), "h:7");
    EXPECT_EQ((SocketTarget{.socket = {}, .host = "::1", .port = 7}).text(), "[::1]:7");
}

}  // namespace
}  // namespace braidway::path
