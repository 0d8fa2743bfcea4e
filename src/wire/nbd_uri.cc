// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "wire/uri.h"

namespace braidway::wire {
namespace {

constexpr size_t uri_bytes_max = 16384;
constexpr size_t socket_bytes_max = 107;  ///< Of sockaddr_un, less the NUL behind it.
constexpr std::string_view separator = "://";

bool may_stand_in_uri(char letter) {
    return is_unreserved(letter) || is_one_of(letter, "%!$&'()*+,;=:@/?[]");
}

/// Reads one URI; after the first problem `problem` says what it is and nothing else counts.
class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Result<NbdUri> parse() {
        read();
        if (problem_.empty()) check();
        if (problem_.empty()) return std::move(uri_);
        return fail(fmt::format("'{}': {}", printable_uri(text_), problem_), EINVAL);
    }

  private:
    void problem(std::string text) {
        if (problem_.empty()) problem_ = std::move(text);
    }

    void read() {
        if (text_.size() > uri_bytes_max) return problem("the URI is too long");
        const auto bad = std::ranges::find_if_not(text_, may_stand_in_uri);
        if (bad != text_.end() && *bad == '#') return problem("an NBD URI has no '#fragment'");
        const size_t colon = text_.find(separator);
        if (colon == std::string_view::npos)
            return problem("expected nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH");
        if (bad != text_.end())
            return problem(fmt::format("'{}' cannot stand in a URI as it is; write it as %{:02X}",
                                       printable_uri({&*bad, 1}),
                                       static_cast<unsigned char>(*bad)));
        read_scheme(text_.substr(0, colon));
        std::string_view rest = text_.substr(colon + separator.size());
        const size_t query = rest.find('?');
        if (query != std::string_view::npos) read_query(rest.substr(query + 1));
        rest = rest.substr(0, query);
        const size_t slash = rest.find('/');
        read_authority(rest.substr(0, slash));
        if (slash == std::string_view::npos) return;
        uri_.export_name = decoded(rest.substr(slash + 1), "the export name");
        if (uri_.export_name.size() > limits::nbd_string_bytes_max)
            problem(fmt::format("the export name has {} bytes, at most {} are allowed",
                                uri_.export_name.size(), limits::nbd_string_bytes_max));
    }

    void read_scheme(std::string_view written) {
        std::string scheme(written);
        for (char& letter : scheme)
            if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + ('a' - 'A'));
        if (scheme != "nbd" && scheme != "nbds" && scheme != "nbd+unix" && scheme != "nbds+unix")
            return problem(
                fmt::format("the scheme '{}' is not one of nbd, nbds, nbd+unix, nbds+unix",
                            printable_uri(scheme)));
        uri_.tls = scheme.starts_with("nbds");
        if (scheme.ends_with("+unix")) uri_.kind = NbdUri::Kind::unix_socket;
    }

    void read_authority(std::string_view authority) {
        if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
            if (authority.substr(0, at).find(':') != std::string_view::npos)
                problem("a password does not belong into a URI; TLS keys are in files");
            uri_.user = decoded(authority.substr(0, at), "the user");
            authority.remove_prefix(at + 1);
        }
        if (uri_.kind == NbdUri::Kind::unix_socket) {
            if (!authority.empty())
                problem("a unix socket has no host; write nbd+unix:///EXPORT?socket=PATH");
            return;
        }
        std::string_view port;
        if (authority.starts_with('[')) {
            const size_t close = authority.find(']');
            if (close == std::string_view::npos) return problem("']' is missing behind the host");
            read_host(authority.substr(1, close - 1), "0123456789abcdefABCDEF:.", true);
            port = authority.substr(close + 1);
            if (!port.empty() && port.front() != ':')
                return problem("expected ':PORT' or '/' behind ']'");
        } else {
            const size_t colon = authority.find(':');
            if (colon != authority.rfind(':'))
                return problem("write an IPv6 address in brackets, as in nbd://[::1]:10809/");
            read_host(authority.substr(0, colon), "", false);
            if (colon != std::string_view::npos) port = authority.substr(colon);
        }
        read_port(port.empty() ? port : port.substr(1));
    }

    void read_host(std::string_view written, std::string_view numeric_letters, bool numeric) {
        uri_.host = decoded(written, "the host");
        if (uri_.host.empty())
            return problem("no host is named; expected nbd://HOST[:PORT]/EXPORT");
        if (uri_.host.size() > 255) return problem("the host name is longer than 255 bytes");
        std::string_view checked = uri_.host;
        if (numeric) {
            // Behind '%' is the network interface of a link-local address.
            const std::string_view zone =
                checked.substr(std::min(checked.find('%'), checked.size()));
            checked.remove_suffix(zone.size());
            const bool digits = std::ranges::all_of(
                checked, [&](char letter) { return is_one_of(letter, numeric_letters); });
            const bool named = std::ranges::all_of(
                zone, [](char letter) { return is_unreserved(letter) || letter == '%'; });
            if (!digits || !named || checked.find(':') == std::string_view::npos || zone == "%" ||
                std::ranges::count(zone, '%') > 1)
                problem("what is in brackets is no IPv6 address");
        } else if (!std::ranges::all_of(checked, is_unreserved)) {
            problem(fmt::format("'{}' is no host name", printable_uri(checked)));
        }
    }

    void read_port(std::string_view digits) {
        uri_.port = NbdUri::port_default;
        if (digits.empty()) return;
        const char* end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, uri_.port);
        if (read.ec != std::errc{} || read.ptr != end || uri_.port == 0)
            problem(fmt::format("'{}' is not a port; expected 1 to 65535", printable_uri(digits)));
    }

    void read_query(std::string_view query) {
        while (!query.empty() && problem_.empty()) {
            const size_t end = query.find('&');
            const std::string_view parameter = query.substr(0, end);
            query = end == std::string_view::npos ? "" : query.substr(end + 1);
            if (parameter.empty()) continue;
            const size_t equals = parameter.find('=');
            const std::string_view key = parameter.substr(0, equals);
            const std::string_view written =
                equals == std::string_view::npos ? "" : parameter.substr(equals + 1);
            const bool is_socket = key == "socket";
            read_parameter(key,
                           decoded(written, fmt::format("'{}'", printable_uri(key)), is_socket));
        }
    }

    void read_parameter(std::string_view key, std::string value) {
        if (value.empty()) return problem(fmt::format("'{}=' has no value", printable_uri(key)));
        if (key == "tls-verify-peer") {
            const bool yes = value == "1" || value == "true";
            if (!yes && value != "0" && value != "false")
                return problem("tls-verify-peer is 0 or 1");
            if (uri_.tls_verify_peer) problem("tls-verify-peer is given twice");
            uri_.tls_verify_peer = yes;
            return;
        }
        std::string* to = nullptr;
        if (key == "socket") to = &uri_.socket;
        if (key == "tls-type") to = &uri_.tls_type;
        if (key == "tls-certificates") to = &uri_.tls_certificates;
        if (key == "tls-psk-file") to = &uri_.tls_psk_file;
        if (key == "tls-hostname") to = &uri_.tls_hostname;
        if (to == nullptr)
            return problem(
                fmt::format("the parameter '{}' is unknown; known are socket, tls-type, "
                            "tls-certificates, tls-psk-file, tls-hostname, "
                            "tls-verify-peer",
                            printable_uri(key)));
        if (!to->empty()) return problem(fmt::format("{} is given twice", key));
        *to = std::move(value);
    }

    /// What must agree between the parts.
    void check() {
        const bool is_unix = uri_.kind == NbdUri::Kind::unix_socket;
        if (is_unix && uri_.socket.empty())
            return problem("no socket is named; write nbd+unix:///EXPORT?socket=PATH");
        if (!is_unix && !uri_.socket.empty())
            return problem("socket= belongs to nbd+unix:// and nbds+unix://");
        if (uri_.socket.size() > socket_bytes_max)
            return problem(
                fmt::format("the path of the socket has {} bytes, at most {} are allowed",
                            uri_.socket.size(), socket_bytes_max));
        if (uri_.socket.size() == 1 && uri_.socket[0] == '\0')
            return problem("an abstract socket needs a name behind %00");
        const bool about_tls = !uri_.user.empty() || !uri_.tls_type.empty() ||
                               !uri_.tls_certificates.empty() || !uri_.tls_psk_file.empty() ||
                               !uri_.tls_hostname.empty() || uri_.tls_verify_peer;
        // The standard also allows TLS "if the server happens to have it", which an attacker on the
        // way can switch off: here it is all or nothing.
        if (!uri_.tls && about_tls)
            return problem(fmt::format("a user and tls-... belong to {}://, which is encrypted",
                                       is_unix ? "nbds+unix" : "nbds"));
        const std::string& type = uri_.tls_type;
        if (!type.empty() && type != "x509" && type != "psk" && type != "anon")
            return problem(
                fmt::format("tls-type is x509, psk or anon, not '{}'", printable_uri(type)));
        if (!uri_.tls_psk_file.empty() && !uri_.tls_certificates.empty())
            return problem("tls-psk-file and tls-certificates exclude each other");
        if (!uri_.tls_psk_file.empty() && !type.empty() && type != "psk")
            return problem(fmt::format("tls-psk-file does not go with tls-type={}", type));
        if (!uri_.tls_certificates.empty() && type == "psk")
            return problem("tls-certificates does not go with tls-type=psk");
    }

    /// NUL is refused, but for the first letter of an abstract socket.
    std::string decoded(std::string_view written, std::string_view what,
                        bool may_begin_nul = false) {
        auto text = uri_decoded(written, may_begin_nul);
        if (text) return std::move(*text);
        problem(fmt::format("{} {}", what, text.error().message));
        return {};
    }

    std::string_view text_;
    NbdUri uri_;
    std::string problem_;
};

}  // namespace

Result<NbdUri> NbdUri::parse(std::string_view text) {
    return Parser(text).parse();
}

std::string NbdUri::text() const {
    const bool is_unix = kind == Kind::unix_socket;
    std::string to = fmt::format("{}{}://", tls ? "nbds" : "nbd", is_unix ? "+unix" : "");
    if (!user.empty()) to += uri_encoded(user) + "@";
    if (!is_unix) {
        const bool numeric = host.find(':') != std::string::npos;
        to += numeric ? "[" + uri_encoded(host, ":") + "]" : uri_encoded(host);
        if (port != port_default) to += fmt::format(":{}", port);
    }
    to += "/" + uri_encoded(export_name, "/:@");
    char next = '?';
    const auto add = [&](std::string_view key, std::string_view value) {
        if (value.empty()) return;
        to += fmt::format("{}{}={}", next, key, uri_encoded(value, "/:@"));
        next = '&';
    };
    add("socket", socket);
    add("tls-type", tls_type);
    add("tls-certificates", tls_certificates);
    add("tls-psk-file", tls_psk_file);
    add("tls-hostname", tls_hostname);
    if (tls_verify_peer) add("tls-verify-peer", *tls_verify_peer ? "1" : "0");
    return to;
}

std::string NbdUri::server() const {
    if (kind == Kind::unix_socket) {
        if (socket.starts_with('\0')) return "@" + printable_uri(socket.substr(1));
        return printable_uri(socket);
    }
    if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
    return fmt::format("{}:{}", host, port);
}

bool looks_like_nbd_uri(std::string_view text) {
    const std::string_view scheme = text.substr(0, text.find(':'));
    return scheme.size() < text.size() &&
           (scheme == "nbd" || scheme == "nbds" || scheme == "nbd+unix" || scheme == "nbds+unix");
}

}  // namespace braidway::wire
