// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_path_tls.h"

#include <fmt/format.h>

namespace braidway::daemon {
namespace {

/// The keys as they are written; nothing where a key is missing or wrong.
struct TlsKeys {
    std::optional<std::string> certificates;
    std::optional<std::string> psk;
    std::optional<std::string> host_name;
    std::optional<bool> verify_peer;
};

constexpr std::string_view key_names[]{"tls_certificates", "tls_psk", "tls_hostname",
                                       "tls_verify_peer"};

std::optional<std::string> read_name(TableReader& reader, std::string_view key) {
    std::optional<std::string> name = reader.text(key);
    if (!name || !name->empty()) return name;
    reader.problem(key, "is empty; leave it out");
    return std::nullopt;
}

TlsKeys read_keys(TableReader& reader, const Draft& draft) {
    TlsKeys keys;
    keys.certificates = read_name(reader, "tls_certificates");
    keys.psk = read_name(reader, "tls_psk");
    keys.host_name = read_name(reader, "tls_hostname");
    keys.verify_peer = reader.boolean("tls_verify_peer");
    if (keys.certificates) keys.certificates = resolve_file(*keys.certificates, draft);
    if (keys.psk) keys.psk = resolve_file(*keys.psk, draft);
    return keys;
}

/// A key says what a parameter of the URI may say, too: then the same.
void join(TableReader& reader, std::string_view key, const std::optional<std::string>& value,
          std::string_view parameter, std::string& to) {
    if (!value) return;
    if (!to.empty() && to != *value)
        return reader.problem(key, fmt::format("is '{}', but the URI of the device says {}={}; "
                                               "leave one of them out",
                                               *value, parameter, to));
    to = *value;
}

/// What certificates and keys ask for.
void check_files(TableReader& reader, const TlsKeys& keys, const wire::NbdUri& uri) {
    const bool psk = !uri.tls_psk_file.empty();
    const bool certificates = !uri.tls_certificates.empty();
    if (psk && certificates)
        return reader.problem(keys.psk ? "tls_psk" : "tls_certificates",
                              keys.psk ? "excludes tls_certificates; leave one of them out"
                                       : "excludes tls-psk-file; leave one of them out");
    if (psk && uri.tls_type == "x509")
        return reader.problem("tls_psk", "does not go with tls-type=x509");
    if (certificates && uri.tls_type == "psk")
        return reader.problem("tls_certificates", "does not go with tls-type=psk");
    if (!psk && uri.tls_type == "psk")
        return reader.problem("device",
                              "tls-type=psk needs a file of keys: add tls_psk = \"FILE\"");
    if (!psk && !certificates && uri.tls_type.empty() && !uri.user.empty())
        return reader.problem("device", "a user has a key: add tls_psk = \"FILE\", which holds it");
    if (psk) {
        constexpr std::string_view why =
            "is for certificates; with tls_psk both sides prove that they have the key";
        if (keys.host_name) reader.problem("tls_hostname", std::string(why));
        if (keys.verify_peer) reader.problem("tls_verify_peer", std::string(why));
        return;
    }
    if (uri.host.empty() && uri.tls_hostname.empty() && uri.tls_verify_peer.value_or(true))
        reader.problem("device",
                       "a server on a unix socket has no host name to compare its certificate "
                       "with; add tls_hostname = \"NAME\" with a name that is in it, or "
                       "tls_verify_peer = false");
}

}  // namespace

void read_path_tls(TableReader& reader, wire::NbdUri* uri, const Draft& draft) {
    const TlsKeys keys = read_keys(reader, draft);
    if (uri == nullptr) return;
    if (!uri->tls) {
        for (const std::string_view key : key_names)
            if (reader.has(key))
                reader.problem(key, "belongs to nbds:// and nbds+unix://, which are encrypted");
        return;
    }
    if (uri->tls_type == "anon")
        return reader.problem("device",
                              "tls-type=anon proves nothing of the server, so anybody on the way "
                              "could be it; use tls-certificates or tls-psk-file");
    if (!uri->tls_certificates.empty())
        uri->tls_certificates = resolve_file(uri->tls_certificates, draft);
    if (!uri->tls_psk_file.empty()) uri->tls_psk_file = resolve_file(uri->tls_psk_file, draft);
    join(reader, "tls_certificates", keys.certificates, "tls-certificates", uri->tls_certificates);
    join(reader, "tls_psk", keys.psk, "tls-psk-file", uri->tls_psk_file);
    join(reader, "tls_hostname", keys.host_name, "tls-hostname", uri->tls_hostname);
    if (keys.verify_peer && uri->tls_verify_peer.value_or(*keys.verify_peer) != *keys.verify_peer)
        reader.problem("tls_verify_peer",
                       "says something else than tls-verify-peer in the URI of the device; leave "
                       "one of them out");
    else if (keys.verify_peer)
        uri->tls_verify_peer = keys.verify_peer;
    check_files(reader, keys, *uri);
}

}  // namespace braidway::daemon
