// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>

namespace braidway::exports {
namespace {

NbdAddress at(const std::string& path) {
    NbdAddress address;
    address.kind = NbdAddress::Kind::unix_socket;
    address.path = path;
    return address;
}

class NbdUnixSocket : public testing::Test {
  protected:
    void TearDown() override { ::unlink(path_.c_str()); }
    std::string path_ = testing::TempDir() + "nbd_address_" + std::to_string(::getpid());
};

TEST_F(NbdUnixSocket, HasTheModeAskedForAndGoesWithItsOwner) {
    {
        NbdAddress address = at(path_);
        address.mode = 0660;
        const auto sockets = open_nbd_sockets(address);
        ASSERT_TRUE(sockets.has_value());
        struct stat made{};
        ASSERT_EQ(::stat(path_.c_str(), &made), 0);
        EXPECT_EQ(made.st_mode & 07777, 0660u);
    }
    EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(NbdUnixSocket, AStaleOneIsReplacedALiveOneRefused) {
    const OwnedFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path_.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    const auto first = open_nbd_sockets(at(path_));
    ASSERT_TRUE(first.has_value());
    const auto second = open_nbd_sockets(at(path_));
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().message.find("another server"), std::string::npos);
    EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

TEST_F(NbdUnixSocket, OneWhoseServerHasEndedIsReplacedThoughItStillAnswers) {
    // As after kill -9: the kernel keeps the socket alive a little longer than the process.
    const OwnedFd left_over(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path_.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(left_over.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    const pid_t server = ::fork();
    if (server == 0) ::_exit(::listen(left_over.get(), 1) == 0 ? 0 : 1);
    siginfo_t ended{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(server), &ended, WEXITED | WNOWAIT), 0);
    ASSERT_EQ(ended.si_status, 0);
    EXPECT_TRUE(open_nbd_sockets(at(path_)).has_value()) << "of a zombie";
    ASSERT_EQ(::waitpid(server, nullptr, 0), server);
}

TEST_F(NbdUnixSocket, AFileThatIsNoSocketIsLeftAlone) {
    std::ofstream(path_) << "precious";
    const auto sockets = open_nbd_sockets(at(path_));
    ASSERT_FALSE(sockets.has_value());
    EXPECT_NE(sockets.error().message.find("no socket"), std::string::npos);
    EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

TEST_F(NbdUnixSocket, AFileThatSomebodyPutInItsPlaceIsLeftAlone) {
    {
        const auto sockets = open_nbd_sockets(at(path_));
        ASSERT_TRUE(sockets.has_value());
        ::unlink(path_.c_str());
        std::ofstream(path_) << "precious";
    }
    EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

bool has_ipv6() {
    const OwnedFd fd(::socket(AF_INET6, SOCK_STREAM, 0));
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_addr = in6addr_loopback;
    return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
}

TEST(NbdTcpSocket, TakesAFreePortAndSaysWhich) {
    for (const std::string text : {"tcp:127.0.0.1:0", "tcp:[::1]:0", "tcp:*:0"}) {
        if (text == "tcp:[::1]:0" && !has_ipv6()) continue;
        const auto sockets = open_nbd_sockets(*NbdAddress::parse(text));
        ASSERT_TRUE(sockets.has_value()) << sockets.error().message;
        ASSERT_EQ(sockets->size(), 1u);
        const auto address = NbdAddress::parse((*sockets)[0].text());
        ASSERT_TRUE(address.has_value());
        EXPECT_NE(address->port, 0);
    }
}

TEST(NbdTcpSocket, ABusyPortIsRefused) {
    const auto first = open_nbd_sockets(*NbdAddress::parse("tcp:127.0.0.1:0"));
    ASSERT_TRUE(first.has_value());
    const auto second = open_nbd_sockets(*NbdAddress::parse((*first)[0].text()));
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_NE(second.error().message.find((*first)[0].text()), std::string::npos);
}

}  // namespace
}  // namespace braidway::exports
