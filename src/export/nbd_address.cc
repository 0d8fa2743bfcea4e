// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_address.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <charconv>

namespace braidway::exports {
namespace {

std::unexpected<Error> expected_address(std::string_view text) {
    return fail(
        fmt::format("'{}' is not an address; expected unix:/PATH, tcp:HOST:PORT or "
                    "tcp:[IPV6]:PORT",
                    text));
}

Result<uint16_t> parse_port(std::string_view digits, std::string_view text) {
    uint16_t port = 0;
    const char* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, port);
    if (digits.empty() || read.ec != std::errc{} || read.ptr != end)
        return fail(fmt::format("'{}': '{}' is not a port; expected 0 to 65535", text, digits));
    return port;
}

Result<NbdAddress> parse_tcp(std::string_view rest, std::string_view text) {
    NbdAddress address{
        .kind = NbdAddress::Kind::tcp, .path = {}, .host = {}, .port = NbdAddress::port_default};
    std::string_view port;
    bool has_port = false;
    if (rest.starts_with('[')) {
        const size_t close = rest.find(']');
        if (close == std::string_view::npos || close == 1) return expected_address(text);
        address.host = rest.substr(1, close - 1);
        rest.remove_prefix(close + 1);
        if (!rest.empty() && rest.front() != ':') return expected_address(text);
        has_port = !rest.empty();
        if (has_port) port = rest.substr(1);
    } else {
        const size_t colon = rest.find(':');
        if (colon != rest.rfind(':'))
            return fail(fmt::format(
                "'{}': write an IPv6 address in brackets, as in tcp:[::1]:10809", text));
        address.host = rest.substr(0, colon);
        has_port = colon != std::string_view::npos;
        if (has_port) port = rest.substr(colon + 1);
        if (address.host.empty() && !has_port) return expected_address(text);
    }
    if (address.host == "*") address.host.clear();
    if (address.host.find_first_of(" /\t") != std::string::npos) return expected_address(text);
    if (has_port) {
        const Result<uint16_t> number = parse_port(port, text);
        if (!number) return std::unexpected(number.error());
        address.port = *number;
    }
    return address;
}

bool every_address(const NbdAddress& address) {
    return address.host.empty() || address.host == "0.0.0.0" || address.host == "::";
}

}  // namespace

Result<NbdAddress> NbdAddress::parse(std::string_view text) {
    std::string_view rest = text;
    if (rest.starts_with("tcp:")) return parse_tcp(rest.substr(4), text);
    const bool named_unix = rest.starts_with("unix:");
    if (named_unix) rest.remove_prefix(5);
    if (named_unix || rest.starts_with('/')) {
        if (rest.empty()) return expected_address(text);
        if (const Result<void> fits = check_socket_path(rest); !fits)
            return std::unexpected(fits.error());
        return NbdAddress{.kind = NbdAddress::Kind::unix_socket,
                          .path = std::string(rest),
                          .host = {},
                          .port = 0};
    }
    // Without a scheme the port must be there, so that a typo is not taken for a host name.
    if (rest.find(':') == std::string_view::npos || rest.find('/') != std::string_view::npos)
        return expected_address(text);
    return parse_tcp(rest, text);
}

std::string NbdAddress::text() const {
    if (kind == Kind::unix_socket) return "unix:" + path;
    if (host.find(':') != std::string::npos) return fmt::format("tcp:[{}]:{}", host, port);
    return fmt::format("tcp:{}:{}", host, port);
}

bool addresses_collide(const NbdAddress& one, const NbdAddress& other) {
    if (one.kind != other.kind) return false;
    if (one.kind == NbdAddress::Kind::unix_socket) return one.path == other.path;
    if (one.port != other.port || one.port == 0) return false;
    return one.host == other.host || every_address(one) || every_address(other);
}

Result<void> check_socket_path(std::string_view path) {
    constexpr size_t path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;
    if (path.size() <= path_bytes_max) return {};
    return fail(fmt::format("'{}' is too long for a unix socket: {} bytes, at most {}", path,
                            path.size(), path_bytes_max));
}

}  // namespace braidway::exports
