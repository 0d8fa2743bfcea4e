// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_words.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace braidway::tls {
namespace {

/// What is wrong with the peer's certificate.
std::string certificate_problem(long result, const TlsContext& context, const std::string& host) {
    const std::string_view peer = context.is_server() ? "client" : "server";
    switch (result) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return fmt::format("the {}'s certificate, or its CA's, has expired; renew it", peer);
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return fmt::format("the {}'s certificate is not valid yet; compare both clocks", peer);
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return fmt::format(
                "the server's certificate is not made for '{}'; add "
                "tls-hostname=NAME with a name that is in it",
                host);
        case X509_V_ERR_CERT_REVOKED:
            return fmt::format("the {}'s certificate has been revoked", peer);
        case X509_V_ERR_CRL_HAS_EXPIRED:
            return "the list of revoked certificates, ca-crl.pem, has expired; renew it";
        case X509_V_ERR_INVALID_PURPOSE:
            return fmt::format("the {}'s certificate is not made for a {}", peer, peer);
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            if (context.uses_psk())
                return "the server shows a certificate where a pre-shared key was expected; "
                       "configure the key there, or use tls-certificates here";
            return fmt::format("the {}'s certificate is not signed by a CA of {}", peer,
                               context.trusted());
        default:
            return fmt::format("the {}'s certificate is refused: {}", peer,
                               ::X509_verify_cert_error_string(result));
    }
}

/// What a server's alert means to its client.
std::string alert_to_client(int reason, const TlsContext& context) {
    switch (reason) {
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
            return "the server refuses our certificate, client-cert.pem";
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            return "the server says that our certificate, client-cert.pem, has expired";
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
            return "the server says that our certificate, client-cert.pem, has been revoked";
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return "the server wants a certificate of its clients; put client-cert.pem and "
                   "client-key.pem into the folder of tls-certificates";
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return "the server does not speak TLS 1.2 or newer";
        default:
            break;
    }
    if (context.uses_psk())
        return fmt::format(
            "the server does not accept user '{}' with the key in {}; compare both "
            "files of keys",
            context.user(), context.psk()->file());
    return "the server refused the TLS handshake; it may want a pre-shared key or a certificate "
           "of this client";
}

/// What a client's alert means to its server.
std::string alert_to_server(int reason, const TlsContext& context) {
    switch (reason) {
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            return "the client refuses our certificate; it may trust another CA, know this server "
                   "by another name, or the certificate has expired";
        default:
            break;
    }
    if (context.uses_psk()) return "the client gave up the TLS handshake; it may have another key";
    return "the client gave up the TLS handshake";
}

bool is_alert(int reason) {
    return reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256;
}

std::string handshake_problem(int reason, const TlsContext& context) {
    const std::string_view peer = context.is_server() ? "client" : "server";
    switch (reason) {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return "the client shows no certificate, and tls_verify_peer asks for one";
        case SSL_R_BINDER_DOES_NOT_VERIFY:
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        case SSL_R_DIGEST_CHECK_FAILED:
            if (context.uses_psk())
                return fmt::format("the {}'s key is not the one in {}", peer,
                                   context.psk()->file());
            return fmt::format("what the {} sent was changed on the way", peer);
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
            if (context.uses_psk())
                return fmt::format(
                    "the {} offers no pre-shared key, and this server takes only "
                    "those",
                    peer);
            return fmt::format("the {} and this side have no cipher in common", peer);
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
            return fmt::format("the {} does not speak TLS 1.2 or newer", peer);
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_UNEXPECTED_MESSAGE:
        case SSL_R_BAD_RECORD_TYPE:
            return fmt::format("the {} does not speak TLS here", peer);
        default:
            return {};
    }
}

}  // namespace

std::string problem_of(const ssl_st* ssl, const TlsContext& context, bool user_unknown) {
    const unsigned long error = ::ERR_peek_error();
    const int reason = ERR_GET_REASON(error);
    const bool ours = ERR_GET_LIB(error) == ERR_LIB_SSL;
    std::string text;
    if (user_unknown)
        text = fmt::format("the client's user is not in {}", context.psk()->file());
    else if (ours && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        text = certificate_problem(::SSL_get_verify_result(ssl), context, context.host_name());
    else if (ours && is_alert(reason))
        text = context.is_server() ? alert_to_server(reason, context)
                                   : alert_to_client(reason, context);
    else if (ours)
        text = handshake_problem(reason, context);
    const std::string library = last_library_error();
    return text.empty() ? "TLS has failed: " + library : text;
}

std::string closed_problem(const TlsContext& context, bool during) {
    if (context.is_server()) return "the client closed the connection during the TLS handshake";
    const std::string_view when = during ? "during" : "right after";
    if (context.uses_psk())
        return fmt::format(
            "the server closed the connection {} the TLS handshake; it may not know "
            "user '{}' with the key in {}",
            when, context.user(), context.psk()->file());
    if (context.shows_certificate() && !during)
        return "the server closed the connection right after the TLS handshake; it may refuse our "
               "certificate, client-cert.pem";
    return fmt::format(
        "the server closed the connection {} the TLS handshake; it may want a {} "
        "of this client",
        when, during ? "pre-shared key or a certificate" : "certificate");
}

std::string last_library_error() {
    // The texts are loaded with the first connection; an error may come before that.
    ::OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);
    const unsigned long error = ::ERR_peek_error();
    ::ERR_clear_error();
    const char* text = ::ERR_reason_error_string(error);
    return text == nullptr ? "no further details" : text;
}

}  // namespace braidway::tls
