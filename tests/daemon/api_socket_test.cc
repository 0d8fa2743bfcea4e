// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

namespace braidway::daemon {
namespace {

class ApiSocketTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string folder = "/tmp/braidway-socket-XXXXXX";
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
        config_.socket = folder + "/api.sock";
    }
    void TearDown() override {
        socket_.reset();
        std::filesystem::remove_all(folder_);
    }

    void start() {
        auto opened = ApiSocket::open(config_);
        ASSERT_TRUE(opened) << opened.error().message;
        socket_.emplace(std::move(*opened));
    }

    bool answers() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        config_.socket.copy(address.sun_path, sizeof address.sun_path - 1);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const bool connected =
            ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(fd);
        return connected;
    }

    std::filesystem::path folder_;
    ApiConfig config_;
    std::optional<ApiSocket> socket_;
};

mode_t mode_of(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
}

TEST_F(ApiSocketTest, TheSocketIsPrivateWhateverTheUmaskIs) {
    const mode_t old_mask = ::umask(0);
    start();
    EXPECT_EQ(mode_of(config_.socket), 0600u);
    socket_.reset();
    ::umask(0177);
    config_.mode = 0660;
    start();
    EXPECT_EQ(mode_of(config_.socket), 0660u);
    ::umask(old_mask);
}

TEST_F(ApiSocketTest, TheNameGoesWithTheSocket) {
    start();
    EXPECT_TRUE(std::filesystem::exists(config_.socket));
    socket_.reset();
    EXPECT_FALSE(std::filesystem::exists(config_.socket));
}

TEST_F(ApiSocketTest, AStaleSocketIsReplaced) {
    const int left = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    config_.socket.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(left);
    start();
    EXPECT_TRUE(answers());
}

TEST_F(ApiSocketTest, ALiveSocketIsRefusedEvenBeforeItServes) {
    auto first = ApiSocket::open(config_);
    ASSERT_TRUE(first);
    const auto second = ApiSocket::open(config_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_EQ(second.error().message,
              "control socket " + config_.socket +
                  ": another daemon is running there (--api SOCKET chooses another one)");
    EXPECT_TRUE(std::filesystem::exists(config_.socket));
}

TEST_F(ApiSocketTest, SomethingElseWithTheNameIsNotTouched) {
    std::filesystem::create_directory(config_.socket);
    const auto opened = ApiSocket::open(config_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().message,
              "control socket " + config_.socket +
                  ": this name is taken by something that is no socket (--api SOCKET chooses "
                  "another one)");
}

TEST_F(ApiSocketTest, AMissingFolderIsOneClearLine) {
    config_.socket = folder_ / "no/such/api.sock";
    const auto opened = ApiSocket::open(config_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().message,
              "control socket " + config_.socket +
                  ": its folder cannot be opened: No such file or directory (--api SOCKET chooses "
                  "another one)");
}

}  // namespace
}  // namespace braidway::daemon
