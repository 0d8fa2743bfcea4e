// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_context.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "tls/secret_file.h"
#include "tls/tls_words.h"

namespace braidway::tls {
namespace {

// TLS 1.2: forward secrecy and authenticated encryption only.
constexpr const char* certificate_ciphers =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!PSK";
// Those of ECDHE with a key are few: GnuTLS has the CBC ones and ChaCha20.
constexpr const char* psk_ciphers =
    "DHE-PSK-AES128-GCM-SHA256:DHE-PSK-AES256-GCM-SHA384:ECDHE-PSK-CHACHA20-POLY1305:"
    "DHE-PSK-CHACHA20-POLY1305:ECDHE-PSK-AES128-CBC-SHA256:ECDHE-PSK-AES256-CBC-SHA384";
/// TLS 1.3: a key from a file is bound to SHA-256 (RFC 8446, 4.2.11), so the suite must be, too.
constexpr const char* psk_suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

template <typename T, void (*Free)(T*)>
struct Freer {
    void operator()(T* what) const { Free(what); }
};
using Bio = std::unique_ptr<BIO, Freer<BIO, BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using RevocationList = std::unique_ptr<X509_CRL, Freer<X509_CRL, X509_CRL_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;

Bio reader_of(const SecretText& text) {
    return Bio(::BIO_new_mem_buf(text.text().data(), static_cast<int>(text.text().size())));
}

/// Keys with a passphrase are refused: nobody is there to type it.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

const TlsContext& context_of(const SSL* ssl) {
    return *static_cast<const TlsContext*>(SSL_CTX_get_app_data(::SSL_get_SSL_CTX(ssl)));
}

unsigned find_user_key(SSL* ssl, const char* identity, unsigned char* to, unsigned room) {
    const auto key = context_of(ssl).psk()->find(identity);
    if (key.empty() || key.size() > room) {
        static_cast<TlsNotes*>(SSL_get_app_data(ssl))->user_unknown = true;
        return 0;
    }
    std::memcpy(to, key.data(), key.size());
    return static_cast<unsigned>(key.size());
}

unsigned show_own_key(SSL* ssl, const char*, char* identity, unsigned identity_room,
                      unsigned char* to, unsigned room) {
    const TlsContext& context = context_of(ssl);
    const std::string& user = context.user();
    const auto key = context.psk()->find(user);
    if (user.size() + 1 > identity_room || key.size() > room) return 0;
    std::memcpy(identity, user.c_str(), user.size() + 1);
    std::memcpy(to, key.data(), key.size());
    return static_cast<unsigned>(key.size());
}

bool is_address(const std::string& host) {
    unsigned char bytes[sizeof(in6_addr)];
    return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

std::unexpected<Error> unreadable(const std::string& file, std::string_view expected) {
    return fail(
        fmt::format("{}: expected {} in PEM form ({})", file, expected, last_library_error()),
        EINVAL);
}

}  // namespace

TlsContext::~TlsContext() {
    ::SSL_CTX_free(ssl_);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerConfig& config) {
    CHECK(config.certificates.empty() != config.psk_file.empty(), "one of the two is given");
    const auto made = std::make_shared<TlsContext>(Private{}, true);
    Result<void> good = made->set_up();
    if (good && !config.psk_file.empty()) good = made->use_psk(config.psk_file);
    if (good && !config.certificates.empty())
        good = made->use_certificates(config.certificates, "server", true);
    if (good && config.verify_peer) {
        good = made->trust(config.certificates);
        ::SSL_CTX_set_verify(made->ssl_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                             nullptr);
    }
    if (!good) return std::unexpected(good.error());
    return made;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientConfig& config) {
    const auto made = std::make_shared<TlsContext>(Private{}, false);
    Result<void> good = made->set_up();
    if (!good) return std::unexpected(good.error());
    // With keys from a file nothing is trusted: a server that answers with a certificate instead
    // of proving that it has the key is refused.
    ::SSL_CTX_set_verify(made->ssl_, SSL_VERIFY_PEER, nullptr);
    if (!config.psk_file.empty()) {
        good = made->use_psk(config.psk_file);
        if (!good) return std::unexpected(good.error());
        const auto& users = made->psk_->users();
        if (config.user.empty() && users.size() > 1)
            return fail(fmt::format("{} has {} users; say which: nbds://USER@HOST", config.psk_file,
                                    users.size()),
                        EINVAL);
        made->user_ = config.user.empty() ? users.front().name : config.user;
        if (made->psk_->find(made->user_).empty())
            return fail(fmt::format("{} has no user '{}'", config.psk_file, made->user_), ENOENT);
        return made;
    }
    if (!config.certificates.empty())
        good = made->use_certificates(config.certificates, "client", false);
    made->verifies_ = config.verify_peer;
    made->host_name_ = config.host_name;
    if (!config.verify_peer)
        ::SSL_CTX_set_verify(made->ssl_, SSL_VERIFY_NONE, nullptr);
    else if (config.host_name.empty())
        good = fail(
            "there is no host name to compare the server's certificate with; "
            "add tls-hostname=NAME",
            EINVAL);
    else if (good)
        good = made->trust(config.certificates);
    if (!good) return std::unexpected(good.error());
    return made;
}

Result<void> TlsContext::set_up() {
    ::ERR_clear_error();
    ssl_ = ::SSL_CTX_new(is_server_ ? ::TLS_server_method() : ::TLS_client_method());
    if (ssl_ == nullptr) return fail("cannot set up TLS: " + last_library_error(), ENOMEM);
    SSL_CTX_set_app_data(ssl_, this);
    ::SSL_CTX_set_options(ssl_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ssl_, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(ssl_, 0);
    SSL_CTX_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const bool good = SSL_CTX_set_min_proto_version(ssl_, TLS1_2_VERSION) == 1 &&
                      SSL_CTX_set_dh_auto(ssl_, 1) == 1 &&
                      ::SSL_CTX_set_cipher_list(ssl_, certificate_ciphers) == 1;
    if (!good) return fail("cannot set up TLS: " + last_library_error(), EINVAL);
    return {};
}

/// A certificate with what stands behind it in its file, and its key.
Result<void> TlsContext::use_certificates(const std::string& folder, const std::string& who,
                                          bool needed) {
    const std::string certificate_file = fmt::format("{}/{}-cert.pem", folder, who);
    const std::string key_file = fmt::format("{}/{}-key.pem", folder, who);
    const auto text = read_secret_file(certificate_file, FileSecrecy::open);
    if (!text && !needed && text.error().code == ENOENT) return {};
    if (!text) return std::unexpected(text.error());
    const auto key_text = read_secret_file(key_file, FileSecrecy::secret);
    if (!key_text) return std::unexpected(key_text.error());

    ::ERR_clear_error();
    const Bio reader = reader_of(*text);
    const Certificate certificate(
        ::PEM_read_bio_X509(reader.get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) return unreadable(certificate_file, "a certificate");
    if (::SSL_CTX_use_certificate(ssl_, certificate.get()) != 1)
        return fail(fmt::format("{}: {}", certificate_file, last_library_error()), EINVAL);
    while (X509* next = ::PEM_read_bio_X509(reader.get(), nullptr, no_passphrase, nullptr))
        SSL_CTX_add0_chain_cert(ssl_, next);
    ::ERR_clear_error();  // The end of the file.

    const Bio key_reader = reader_of(*key_text);
    const PrivateKey key(
        ::PEM_read_bio_PrivateKey(key_reader.get(), nullptr, no_passphrase, nullptr));
    if (key == nullptr) return unreadable(key_file, "a key without a passphrase");
    if (::X509_check_private_key(certificate.get(), key.get()) != 1)
        return fail(fmt::format("{} does not belong to {}", key_file, certificate_file), EINVAL);
    if (::SSL_CTX_use_PrivateKey(ssl_, key.get()) != 1)
        return fail(fmt::format("{}: {}", key_file, last_library_error()), EINVAL);
    if (::X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0)
        return fail(fmt::format("{} has expired; put a new certificate there", certificate_file),
                    EINVAL);
    return {};
}

/// The CAs whose certificates are taken, and the lists of what they have revoked.
Result<void> TlsContext::trust(const std::string& folder) {
    verifies_ = true;
    if (folder.empty()) {
        trusted_ = "the CAs that this system trusts";
        if (::SSL_CTX_set_default_verify_paths(ssl_) != 1)
            return fail("cannot read the CAs of the system: " + last_library_error(), EINVAL);
        return {};
    }
    trusted_ = folder + "/ca-cert.pem";
    const auto text = read_secret_file(trusted_, FileSecrecy::open);
    if (!text) return std::unexpected(text.error());
    X509_STORE* store = ::SSL_CTX_get_cert_store(ssl_);
    ::ERR_clear_error();
    const Bio reader = reader_of(*text);
    // Clients are not told which CAs: one with a wrong certificate would then show none, and hear
    // (and let us say) something that misleads.
    bool any = false;
    while (true) {
        const Certificate authority(
            ::PEM_read_bio_X509(reader.get(), nullptr, no_passphrase, nullptr));
        if (authority == nullptr) break;
        any = ::X509_STORE_add_cert(store, authority.get()) == 1 || any;
    }
    if (!any) return unreadable(trusted_, "certificates of CAs");
    const std::string crl_file = folder + "/ca-crl.pem";
    const auto crl_text = read_secret_file(crl_file, FileSecrecy::open);
    if (!crl_text && crl_text.error().code == ENOENT) {
        ::ERR_clear_error();
        return {};
    }
    if (!crl_text) return std::unexpected(crl_text.error());
    ::ERR_clear_error();
    const Bio crl_reader = reader_of(*crl_text);
    const RevocationList revoked(
        ::PEM_read_bio_X509_CRL(crl_reader.get(), nullptr, no_passphrase, nullptr));
    if (revoked == nullptr) return unreadable(crl_file, "a list of revoked certificates");
    ::X509_STORE_add_crl(store, revoked.get());
    ::X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return {};
}

Result<void> TlsContext::use_psk(const std::string& file) {
    Result<PskFile> keys = PskFile::read(file);
    if (!keys) return std::unexpected(keys.error());
    psk_.emplace(std::move(*keys));
    if (::SSL_CTX_set_cipher_list(ssl_, psk_ciphers) != 1 ||
        ::SSL_CTX_set_ciphersuites(ssl_, psk_suites) != 1)
        return fail("cannot set up TLS with pre-shared keys: " + last_library_error(), EINVAL);
    if (is_server_)
        ::SSL_CTX_set_psk_server_callback(ssl_, find_user_key);
    else
        ::SSL_CTX_set_psk_client_callback(ssl_, show_own_key);
    return {};
}

bool TlsContext::shows_certificate() const {
    return ::SSL_CTX_get0_certificate(ssl_) != nullptr;
}

ssl_st* TlsContext::make_connection(TlsNotes& notes) const {
    SSL* ssl = ::SSL_new(ssl_);
    if (ssl == nullptr) return nullptr;
    SSL_set_app_data(ssl, &notes);
    if (is_server_) {
        ::SSL_set_accept_state(ssl);
        return ssl;
    }
    ::SSL_set_connect_state(ssl);
    if (host_name_.empty()) return ssl;
    X509_VERIFY_PARAM* wanted = ::SSL_get0_param(ssl);
    ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool good =
        is_address(host_name_)
            ? ::X509_VERIFY_PARAM_set1_ip_asc(wanted, host_name_.c_str()) == 1
            : ::X509_VERIFY_PARAM_set1_host(wanted, host_name_.c_str(), 0) == 1 &&
                  ::SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                             const_cast<char*>(host_name_.c_str())) == 1;
    if (good) return ssl;
    ::SSL_free(ssl);
    return nullptr;
}

}  // namespace braidway::tls
