// SPDX-License-Identifier: Apache-2.0
#include "path/tls_upgrade.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "support/certificates.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

/// A server that shakes hands at the other end of a socket pair.
class TlsUpgradeTest : public LaneTest {
  protected:
    void SetUp() override {
        authority_.write_all(folder_.path());
        int fds[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        auto context = tls::TlsContext::server({.certificates = folder_.path()});
        ASSERT_TRUE(context.has_value()) << context.error().message;
        peer_ = std::make_unique<tls::TlsStream>(
            *loop_, std::make_unique<loop::SocketStream>(*loop_, fds[0]), *context);
        plain_ = std::make_unique<loop::SocketStream>(*loop_, fds[1]);
        shaking_.done = [](loop::Operation&, int32_t) {};
        peer_->handshake(shaking_);
    }
    void TearDown() override {
        stream_.reset();
        peer_->shut_down();
        turn_until([&] { return shaking_.idle(); });
    }
    /// Begins with the server's CA, which must be made for `host`.
    void begin(const std::string& host) {
        auto context = tls::TlsContext::client({.certificates = folder_.path(), .host_name = host});
        ASSERT_TRUE(context.has_value()) << context.error().message;
        upgrade_ = std::make_unique<TlsUpgrade>(*loop_, *context);
        upgrade_->begin(std::move(plain_), [this](Result<std::unique_ptr<loop::Stream>> made) {
            ++ended_;
            if (made)
                stream_ = std::move(*made);
            else
                problem_ = made.error().message;
        });
        EXPECT_EQ(ended_, 0) << "done runs from the loop, not inside the call";
    }

    TemporaryFolder folder_;
    CertificateAuthority authority_;
    std::unique_ptr<tls::TlsStream> peer_;
    std::unique_ptr<loop::Stream> plain_;
    loop::Operation shaking_;
    std::unique_ptr<TlsUpgrade> upgrade_;
    std::unique_ptr<loop::Stream> stream_;
    std::string problem_;
    int ended_ = 0;
};

TEST_F(TlsUpgradeTest, GivesAStreamAndSaysHowItIsEncrypted) {
    begin("localhost");
    EXPECT_EQ(upgrade_->description(), "");
    turn_until([&] { return ended_ == 1; });
    ASSERT_NE(stream_, nullptr) << problem_;
    EXPECT_EQ(upgrade_->description().find("TLSv1.3, "), 0u) << upgrade_->description();
}

TEST_F(TlsUpgradeTest, SaysWhyThereIsNone) {
    begin("elsewhere");
    turn_until([&] { return ended_ == 1; });
    EXPECT_EQ(stream_, nullptr);
    EXPECT_EQ(problem_.find("TLS: the server's certificate is not made for 'elsewhere'"), 0u)
        << problem_;
    EXPECT_EQ(upgrade_->description(), "");
}

TEST_F(TlsUpgradeTest, EndsWhenItIsCancelled) {
    begin("localhost");
    upgrade_->cancel();
    turn_until([&] { return ended_ == 1; });
    EXPECT_EQ(stream_, nullptr);
}

}  // namespace
}  // namespace braidway::path
