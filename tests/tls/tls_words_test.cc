// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_words.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <filesystem>

#include "tls_harness.h"

namespace braidway::tls {
namespace {

using std::chrono::hours;

/// What both ends say of a handshake that cannot succeed.
class TlsRefusal : public loop::LoopTest {
  protected:
    struct Said {
        std::string server;
        std::string client;
    };
    Said refuse(const TlsServerConfig& server, const TlsClientConfig& client) {
        Connection both(*loop_, good(TlsContext::server(server)), good(TlsContext::client(client)));
        both.shake_hands();
        EXPECT_LT(both.server_probe.result, 0);
        // In TLS 1.3 a client hears only afterwards that it is refused.
        if (both.client_probe.result == 0) {
            char byte = 0;
            iovec iov{&byte, 1};
            both.client->receive(both.client_probe, &iov, 1);
            both.turn_until([&] { return both.client_probe.idle(); });
        }
        EXPECT_LT(both.client_probe.result, 0);
        return {std::string(both.server->problem()), std::string(both.client->problem())};
    }
    std::string keys(const std::string& name, const std::string& text) const {
        return folder_.write(name, text, 0600);
    }

    TemporaryFolder folder_;
    TemporaryFolder other_folder_;
    CertificateAuthority authority_;
    CertificateAuthority other_authority_{"another CA"};
};
ON_BOTH_BACKENDS(TlsRefusal);

TEST_P(TlsRefusal, AHostNameThatIsNotInTheCertificate) {
    authority_.write_all(folder_.path());
    const Said said =
        refuse(certificate_server(folder_), certificate_client(folder_, "db.example"));
    EXPECT_EQ(said.client,
              "the server's certificate is not made for 'db.example'; add tls-hostname=NAME with a "
              "name that is in it");
    EXPECT_EQ(said.server,
              "the client refuses our certificate; it may trust another CA, know this server by "
              "another name, or the certificate has expired");
    const Said address =
        refuse(certificate_server(folder_), certificate_client(folder_, "127.0.0.1"));
    EXPECT_EQ(address.client.find("the server's certificate is not made for '127.0.0.1'"), 0u)
        << address.client;
}

TEST_P(TlsRefusal, ACertificateOfAnUnknownCa) {
    authority_.write_all(folder_.path());
    other_authority_.write_all(other_folder_.path());
    const Said said = refuse(certificate_server(folder_), certificate_client(other_folder_));
    EXPECT_EQ(said.client, "the server's certificate is not signed by a CA of " +
                               other_folder_.file("ca-cert.pem"));
}

TEST_P(TlsRefusal, ACertificateThatIsNotValidYet) {
    authority_.write_all(folder_.path(), {.valid_from = hours(2), .valid_until = hours(3)});
    const Said said = refuse(certificate_server(folder_), certificate_client(folder_));
    EXPECT_EQ(said.client, "the server's certificate is not valid yet; compare both clocks");
}

TEST_P(TlsRefusal, AClientWithoutACertificateWhereOneIsAskedFor) {
    authority_.write_all(folder_.path());
    authority_.write_ca(other_folder_.path());
    const Said said = refuse(certificate_server(folder_, true), certificate_client(other_folder_));
    EXPECT_EQ(said.server, "the client shows no certificate, and tls_verify_peer asks for one");
    EXPECT_EQ(said.client,
              "the server wants a certificate of its clients; put client-cert.pem and "
              "client-key.pem into the folder of tls-certificates");
}

TEST_P(TlsRefusal, AClientWithACertificateOfAnotherCa) {
    authority_.write_all(folder_.path());
    other_authority_.write_certificate(other_folder_.path(), "client");
    authority_.write_ca(other_folder_.path());
    const Said said = refuse(certificate_server(folder_, true), certificate_client(other_folder_));
    EXPECT_EQ(said.server,
              "the client's certificate is not signed by a CA of " + folder_.file("ca-cert.pem"));
    EXPECT_EQ(said.client, "the server refuses our certificate, client-cert.pem");
}

TEST_P(TlsRefusal, AServersCertificateShownByAClient) {
    authority_.write_all(folder_.path());
    authority_.write_all(other_folder_.path());
    std::filesystem::copy_file(folder_.file("server-cert.pem"),
                               other_folder_.file("client-cert.pem"),
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(folder_.file("server-key.pem"), other_folder_.file("client-key.pem"),
                               std::filesystem::copy_options::overwrite_existing);
    const Said said = refuse(certificate_server(folder_, true), certificate_client(other_folder_));
    EXPECT_EQ(said.server, "the client's certificate is not made for a client");
}

TEST_P(TlsRefusal, AUserThatTheServerDoesNotKnow) {
    const std::string theirs = keys("server.psk", alices_key);
    const std::string ours = keys("client.psk", "mallory:00112233445566778899aabbccddeeff\n");
    const Said said = refuse({.psk_file = theirs}, {.psk_file = ours});
    EXPECT_EQ(said.server, "the client's user is not in " + theirs);
    EXPECT_EQ(said.client, "the server does not accept user 'mallory' with the key in " + ours +
                               "; compare both files of keys");
}

TEST_P(TlsRefusal, AUserWithAnotherKey) {
    const std::string theirs = keys("server.psk", alices_key);
    const std::string ours = keys("client.psk", "alice:ffffffffffffffffffffffffffffffff\n");
    const Said said = refuse({.psk_file = theirs}, {.psk_file = ours});
    EXPECT_EQ(said.server, "the client's key is not the one in " + theirs);
    EXPECT_EQ(said.client, "the server does not accept user 'alice' with the key in " + ours +
                               "; compare both files of keys");
}

TEST_P(TlsRefusal, ACertificateWhereAKeyIsExpected) {
    authority_.write_all(folder_.path());
    const Said said = refuse(certificate_server(folder_), {.psk_file = keys("keys", alices_key)});
    EXPECT_EQ(said.client,
              "the server shows a certificate where a pre-shared key was expected; configure the "
              "key there, or use tls-certificates here");
}

TEST_P(TlsRefusal, AClientWithoutAKeyWhereOneIsExpected) {
    authority_.write_all(folder_.path());
    const Said said = refuse({.psk_file = keys("keys", alices_key)}, certificate_client(folder_));
    EXPECT_EQ(said.server, "the client offers no pre-shared key, and this server takes only those");
}

TEST_P(TlsRefusal, APeerThatDoesNotSpeakTls) {
    authority_.write_all(folder_.path());
    Connection both(*loop_, good(TlsContext::server(certificate_server(folder_))),
                    good(TlsContext::client(certificate_client(folder_))));
    both.server->handshake(both.server_probe);
    ASSERT_EQ(::send(both.client->fd(), "NBDMAGIC, in plain", 18, 0), 18);
    both.turn_until([&] { return both.server_probe.idle(); });
    EXPECT_EQ(both.server_probe.result, -EPROTO);
    EXPECT_EQ(both.server->problem(), "the client does not speak TLS here");
}

TEST_P(TlsRefusal, APeerThatClosesDuringTheHandshake) {
    authority_.write_all(folder_.path());
    Connection both(*loop_, good(TlsContext::server(certificate_server(folder_))),
                    good(TlsContext::client(certificate_client(folder_))));
    both.client->handshake(both.client_probe);
    both.server->shut_down();
    both.turn_until([&] { return both.client_probe.idle(); });
    EXPECT_LT(both.client_probe.result, 0);
    EXPECT_EQ(both.client->problem(),
              "the server closed the connection during the TLS handshake; it may want a "
              "pre-shared key or a certificate of this client");
}

TEST_P(TlsRefusal, AServerThatClosesWithoutAWord) {
    const auto context = good(TlsContext::server({.psk_file = keys("keys", alices_key)}));
    const auto client = good(TlsContext::client({.psk_file = folder_.file("keys")}));
    Connection both(*loop_, context, client);
    both.shake_hands();
    ASSERT_EQ(both.client_probe.result, 0);
    char byte = 0;
    iovec iov{&byte, 1};
    both.client->receive(both.client_probe, &iov, 1);
    both.server->shut_down();
    both.turn_until([&] { return both.client_probe.idle(); });
    EXPECT_LE(both.client_probe.result, 0);
    EXPECT_EQ(both.client->problem(),
              "the server closed the connection right after the TLS handshake; it may not know "
              "user 'alice' with the key in " +
                  folder_.file("keys"));
    EXPECT_EQ(closed_problem(*context, true),
              "the client closed the connection during the TLS handshake");
}

TEST_P(TlsRefusal, AServerThatClosesOnAClientThatHasShownItsCertificate) {
    authority_.write_all(folder_.path());
    const auto shows = good(TlsContext::client(certificate_client(folder_)));
    ASSERT_TRUE(shows->shows_certificate());
    EXPECT_EQ(closed_problem(*shows, false),
              "the server closed the connection right after the TLS handshake; it may refuse our "
              "certificate, client-cert.pem");
    ASSERT_EQ(::unlink(folder_.file("client-cert.pem").c_str()), 0);
    const auto bare = good(TlsContext::client(certificate_client(folder_)));
    EXPECT_EQ(closed_problem(*bare, false),
              "the server closed the connection right after the TLS handshake; it may want a "
              "certificate of this client");
}

TEST(TlsWords, TheLibrarysLastErrorIsTakenFromItsQueue) {
    ERR_clear_error();
    EXPECT_EQ(last_library_error(), "no further details");
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    EXPECT_EQ(last_library_error(), "bad length");
    EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace braidway::tls
