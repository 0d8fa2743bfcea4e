// SPDX-License-Identifier: Apache-2.0
#include "tls/client_handshake.h"

#include <cerrno>

#include "tls_harness.h"

namespace braidway::tls {
namespace {

class TlsClientHandshake : public loop::LoopTest {
  protected:
    void SetUp() override {
        LoopTest::SetUp();
        authority_.write_all(folder_.path());
        server_ = good(TlsContext::server(certificate_server(folder_)));
    }
    void TearDown() override {
        stream_.reset();
        if (peer_ == nullptr) return;
        peer_->shut_down();
        turn_until([&] { return probe_.idle(); });
    }
    /// Shakes hands with a server that answers, or with one that is silent.
    void shake(const TlsClientConfig& config, bool answers) {
        const loop::SocketPair pair(AF_INET);
        peer_ = std::make_unique<TlsStream>(
            *loop_, std::make_unique<loop::SocketStream>(*loop_, pair.fds[0]), server_);
        if (answers) peer_->handshake(probe_);
        handshake_ = std::make_unique<ClientHandshake>(*loop_, good(TlsContext::client(config)));
        handshake_->begin(std::make_unique<loop::SocketStream>(*loop_, pair.fds[1]),
                          [this](Result<std::unique_ptr<TlsStream>> made) {
                              handshake_.reset();
                              ++ended_;
                              if (made)
                                  stream_ = std::move(*made);
                              else
                                  error_ = made.error();
                          });
        EXPECT_EQ(ended_, 0) << "done runs from the loop, not inside the call";
    }

    TemporaryFolder folder_;
    CertificateAuthority authority_;
    std::shared_ptr<const TlsContext> server_;
    std::unique_ptr<TlsStream> peer_;
    loop::Probe probe_;
    std::unique_ptr<ClientHandshake> handshake_;
    std::unique_ptr<TlsStream> stream_;
    int ended_ = 0;
    Error error_{"", 0};
};
ON_BOTH_BACKENDS(TlsClientHandshake);

TEST_P(TlsClientHandshake, GivesAnEncryptedStream) {
    shake(certificate_client(folder_), true);
    turn_until([&] { return ended_ > 0; });
    ASSERT_NE(stream_, nullptr) << error_.message;
    EXPECT_TRUE(stream_->established());
}

TEST_P(TlsClientHandshake, SaysWhyThereIsNone) {
    shake(certificate_client(folder_, "elsewhere"), true);
    turn_until([&] { return ended_ > 0; });
    EXPECT_EQ(stream_, nullptr);
    EXPECT_EQ(error_.code, EPROTO);
    EXPECT_EQ(error_.message.find("TLS: the server's certificate is not made for 'elsewhere'"), 0u)
        << error_.message;
}

TEST_P(TlsClientHandshake, EndsWhenItIsCancelled) {
    shake(certificate_client(folder_), false);
    loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    ASSERT_EQ(ended_, 0);
    handshake_->cancel();
    turn_until([&] { return ended_ > 0; });
    EXPECT_EQ(stream_, nullptr);
    EXPECT_EQ(error_.code, ECANCELED);
}

}  // namespace
}  // namespace braidway::tls
