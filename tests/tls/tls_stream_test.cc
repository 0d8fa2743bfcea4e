// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_stream.h"

#include <cerrno>
#include <string>
#include <vector>

#include "tls_harness.h"

namespace braidway::tls {
namespace {

std::string pattern(size_t bytes) {
    std::string made(bytes, '\0');
    for (size_t at = 0; at < bytes; ++at) made[at] = static_cast<char>(at * 7 + at / 251);
    return made;
}

class Tls : public loop::LoopTest {
  protected:
    void SetUp() override {
        LoopTest::SetUp();
        authority_.write_all(folder_.path());
        psk_ = folder_.write("keys.psk", alices_key, 0600);
    }
    /// A connection with certificates, established.
    std::unique_ptr<Connection> connected() {
        auto made = std::make_unique<Connection>(
            *loop_, good(TlsContext::server(certificate_server(folder_))),
            good(TlsContext::client(certificate_client(folder_))));
        made->shake_hands();
        EXPECT_EQ(made->server_probe.result, 0) << made->server->problem();
        EXPECT_EQ(made->client_probe.result, 0) << made->client->problem();
        return made;
    }

    TemporaryFolder folder_;
    CertificateAuthority authority_;
    std::string psk_;
    char buffer_[64];
    iovec iov_{buffer_, sizeof buffer_};
};
ON_BOTH_BACKENDS(Tls);

TEST_P(Tls, CarriesBytesBothWaysWithCertificates) {
    const auto both = connected();
    EXPECT_TRUE(both->server->established());
    EXPECT_EQ(both->server->description(), "TLSv1.3, TLS_AES_256_GCM_SHA384");
    EXPECT_EQ(both->carry(*both->client, *both->server, "ping"), "ping");
    EXPECT_EQ(both->carry(*both->server, *both->client, "pong"), "pong");
}

TEST_P(Tls, CarriesBytesWithPreSharedKeys) {
    Connection both(*loop_, good(TlsContext::server({.psk_file = psk_})),
                    good(TlsContext::client({.psk_file = psk_})));
    both.shake_hands();
    ASSERT_EQ(both.server_probe.result, 0) << both.server->problem();
    ASSERT_EQ(both.client_probe.result, 0) << both.client->problem();
    EXPECT_EQ(both.client->description(), "TLSv1.3, TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(both.carry(*both.client, *both.server, "ping"), "ping");
}

TEST_P(Tls, CarriesMoreThanAnyBufferHolds) {
    const auto both = connected();
    const std::string large = pattern((3u << 20) + 17);
    EXPECT_TRUE(both->carry(*both->client, *both->server, large) == large);
    EXPECT_TRUE(both->carry(*both->server, *both->client, large) == large);
}

TEST_P(Tls, SmallPiecesAndLargeOnesKeepTheirOrder) {
    const auto both = connected();
    const std::string text = pattern(100000);
    std::vector<iovec> pieces;
    const size_t lengths[] = {16, 4096, 1, 16384, 20000, 3, 16383, 16385, 28};
    size_t total = 0;
    for (const size_t length : lengths) {
        pieces.push_back({const_cast<char*>(text.data()) + total, length});
        total += length;
    }
    both->client->send(both->client_probe, pieces.data(), static_cast<uint32_t>(pieces.size()));
    both->turn_until([&] { return both->client_probe.idle(); });
    EXPECT_EQ(both->client_probe.result, static_cast<int32_t>(total));
    std::string got(total, '\0');
    for (size_t at = 0; at < total;) {
        iovec to[2] = {{got.data() + at, 1}, {got.data() + at + 1, total - at - 1}};
        both->server->receive(both->server_probe, to, to[1].iov_len > 0 ? 2 : 1);
        both->turn_until([&] { return both->server_probe.idle(); });
        ASSERT_GT(both->server_probe.result, 0);
        at += static_cast<size_t>(both->server_probe.result);
    }
    EXPECT_TRUE(got == text.substr(0, total));
}

TEST_P(Tls, CompletesFromTheLoopOnly) {
    const auto both = connected();
    both->carry(*both->client, *both->server, "x");
    iovec out{const_cast<char*>("two"), 3};
    both->client->send(both->client_probe, &out, 1);
    both->turn_until([&] { return both->client_probe.idle(); });
    const int before = both->server_probe.ended;
    both->server->receive(both->server_probe, &iov_, 1);
    EXPECT_FALSE(both->server_probe.idle());
    EXPECT_EQ(both->server_probe.ended, before);
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, 3);
}

TEST_P(Tls, ACancelledReceiveLosesNothing) {
    const auto both = connected();
    both->server->receive(both->server_probe, &iov_, 1);
    loop_->turn(monotonic_now());
    both->server->cancel(both->server_probe);
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, -ECANCELED);
    EXPECT_EQ(both->carry(*both->client, *both->server, "after"), "after");
}

TEST_P(Tls, ACancelledHandshakeEnds) {
    Connection both(*loop_, good(TlsContext::server(certificate_server(folder_))),
                    good(TlsContext::client(certificate_client(folder_))));
    both.server->handshake(both.server_probe);
    loop_->turn(monotonic_now());
    EXPECT_FALSE(both.server_probe.idle()) << "nobody is at the other end";
    both.server->cancel(both.server_probe);
    both.turn_until([&] { return both.server_probe.idle(); });
    EXPECT_EQ(both.server_probe.result, -ECANCELED);
    EXPECT_FALSE(both.server->established());
}

TEST_P(Tls, ThePeersGoodbyeIsTheEndOfTheStream) {
    const auto both = connected();
    both->client->end_sending();
    both->server->receive(both->server_probe, &iov_, 1);
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, 0);
    EXPECT_EQ(both->server->problem(), "");
    EXPECT_EQ(both->carry(*both->server, *both->client, "still"), "still") << "the other way";
    iovec out{const_cast<char*>("late"), 4};
    both->client->send(both->client_probe, &out, 1);
    both->turn_until([&] { return both->client_probe.idle(); });
    EXPECT_EQ(both->client_probe.result, -EPIPE);
}

TEST_P(Tls, ShuttingDownEndsWhatIsUnderWay) {
    const auto both = connected();
    both->server->receive(both->server_probe, &iov_, 1);
    loop_->turn(monotonic_now());
    both->server->shut_down();
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_LE(both->server_probe.result, 0);
}

TEST_P(Tls, BytesThatAreNoTlsEndTheConnection) {
    const auto both = connected();
    ASSERT_EQ(::send(both->client->fd(), "plain text, no record", 21, 0), 21);
    both->server->receive(both->server_probe, &iov_, 1);
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, -EPROTO);
    EXPECT_NE(both->server->problem(), "");
    both->server->receive(both->server_probe, &iov_, 1);
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, -EPROTO) << "and it stays over";
}

TEST_P(Tls, AChangedByteOnTheWayIsFound) {
    const auto both = connected();
    // A record of the right shape whose content nobody with the key has made.
    const std::string forged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'f');
    ASSERT_EQ(::send(both->client->fd(), forged.data(), forged.size(), 0), 37);
    both->server->receive(both->server_probe, &iov_, 1);
    both->turn_until([&] { return both->server_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, -EPROTO);
    EXPECT_EQ(both->server->problem(), "what the client sent was changed on the way");
}

TEST_P(Tls, SendsAndReceivesAtTheSameTime) {
    const auto both = connected();
    both->server->receive(both->server_probe, &iov_, 1);
    const std::string large = pattern(200000);
    iovec out{const_cast<char*>(large.data()), large.size()};
    both->server->send(both->other_probe, &out, 1);
    iovec back{const_cast<char*>("up"), 2};
    both->client->send(both->client_probe, &back, 1);
    both->turn_until([&] { return both->server_probe.idle() && both->client_probe.idle(); });
    EXPECT_EQ(both->server_probe.result, 2);
    both->turn_until([&] { return both->other_probe.idle(); });
    EXPECT_GT(both->other_probe.result, 0);
}

}  // namespace
}  // namespace braidway::tls
