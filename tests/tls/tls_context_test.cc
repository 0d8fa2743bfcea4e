// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cerrno>

#include "support/certificates.h"

namespace braidway::tls {
namespace {

using std::chrono::hours;

class TlsContexts : public testing::Test {
  protected:
    TlsContexts() { authority_.write_all(folder_.path()); }
    std::string server_problem(bool verify = false) const {
        return said(TlsContext::server({.certificates = folder_.path(), .verify_peer = verify}));
    }
    std::string client_problem(const TlsClientConfig& config) const {
        return said(TlsContext::client(config));
    }
    static std::string said(const Result<std::shared_ptr<const TlsContext>>& made) {
        return made ? "good" : made.error().message;
    }

    TemporaryFolder folder_;
    CertificateAuthority authority_;
};

TEST_F(TlsContexts, TakesTheFoldersThatOtherNbdProgramsUse) {
    EXPECT_EQ(server_problem(), "good");
    EXPECT_EQ(server_problem(true), "good");
    EXPECT_EQ(client_problem({.certificates = folder_.path(), .host_name = "localhost"}), "good");
}

TEST_F(TlsContexts, AClientTrustsTheSystemWithoutAFolder) {
    const auto made = TlsContext::client({.host_name = "localhost"});
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)->trusted(), "the CAs that this system trusts");
}

TEST_F(TlsContexts, RefusesAKeyThatEveryUserMayRead) {
    ASSERT_EQ(::chmod(folder_.file("server-key.pem").c_str(), 0644), 0);
    EXPECT_EQ(server_problem(), folder_.file("server-key.pem") +
                                    " holds a key and is open to every user (mode 0644); run: "
                                    "chmod o= " +
                                    folder_.file("server-key.pem"));
    ASSERT_EQ(::chmod(folder_.file("client-key.pem").c_str(), 0604), 0);
    EXPECT_NE(
        client_problem({.certificates = folder_.path(), .host_name = "localhost"}).find("chmod o="),
        std::string::npos);
}

TEST_F(TlsContexts, SaysWhichFileIsMissing) {
    ::unlink(folder_.file("server-cert.pem").c_str());
    EXPECT_EQ(server_problem(),
              "cannot read " + folder_.file("server-cert.pem") + ": " + errno_text(ENOENT));
    ::unlink(folder_.file("ca-cert.pem").c_str());
    authority_.write_certificate(folder_.path(), "server");
    EXPECT_EQ(server_problem(), "good") << "without verify_peer nobody needs it";
    EXPECT_EQ(server_problem(true),
              "cannot read " + folder_.file("ca-cert.pem") + ": " + errno_text(ENOENT));
}

TEST_F(TlsContexts, RefusesWhatIsNoCertificate) {
    folder_.write("server-cert.pem", "hello", 0644);
    EXPECT_NE(server_problem().find("server-cert.pem: expected a certificate in PEM form"),
              std::string::npos)
        << server_problem();
}

TEST_F(TlsContexts, RefusesAKeyOfAnotherCertificate) {
    TemporaryFolder other;
    authority_.write_certificate(other.path(), "server");
    ASSERT_EQ(
        ::rename(other.file("server-key.pem").c_str(), folder_.file("server-key.pem").c_str()), 0);
    EXPECT_EQ(server_problem(), folder_.file("server-key.pem") + " does not belong to " +
                                    folder_.file("server-cert.pem"));
}

TEST_F(TlsContexts, RefusesACertificateThatHasExpired) {
    authority_.write_certificate(folder_.path(), "server",
                                 {.valid_from = hours(-3), .valid_until = hours(-1)});
    EXPECT_EQ(server_problem(),
              folder_.file("server-cert.pem") + " has expired; put a new certificate there");
}

TEST_F(TlsContexts, AClientNeedsAHostNameToCompareWith) {
    EXPECT_EQ(client_problem({.certificates = folder_.path()}),
              "there is no host name to compare the server's certificate with; add "
              "tls-hostname=NAME");
    EXPECT_EQ(client_problem({.certificates = folder_.path(), .verify_peer = false}), "good");
}

TEST_F(TlsContexts, AClientsUserIsInItsFileOfKeys) {
    const std::string one = folder_.write("one", "alice:00112233445566778899aabbccddeeff\n", 0600);
    const std::string two = folder_.write(
        "two", "alice:00112233445566778899aabbccddeeff\nbob:00112233445566778899aabbccddeeff\n",
        0600);
    EXPECT_EQ(client_problem({.psk_file = one}), "good") << "its only one";
    EXPECT_EQ(client_problem({.psk_file = two}), two + " has 2 users; say which: nbds://USER@HOST");
    EXPECT_EQ(client_problem({.psk_file = two, .user = "bob"}), "good");
    EXPECT_EQ(client_problem({.psk_file = two, .user = "carol"}), two + " has no user 'carol'");
}

TEST_F(TlsContexts, SpeaksNothingOlderThanTls12AndNeverRenegotiates) {
    const auto made = TlsContext::server({.certificates = folder_.path()});
    ASSERT_TRUE(made.has_value());
    TlsNotes notes;
    SSL* ssl = (*made)->make_connection(notes);
    ASSERT_NE(ssl, nullptr);
    EXPECT_EQ(SSL_get_min_proto_version(ssl), TLS1_2_VERSION);
    EXPECT_NE(SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION, 0u);
    SSL_free(ssl);
}

}  // namespace
}  // namespace braidway::tls
