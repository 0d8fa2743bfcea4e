// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_fabric.h"

#include <fmt/format.h>

#include "daemon/config_path_tls.h"
#include "path/nbd_fingerprint.h"

namespace braidway::daemon {
namespace {

void read_nbd_device(TableReader& reader, PathConfig& path, const Draft& draft,
                     const std::string& text) {
    auto uri = wire::NbdUri::parse(text);
    if (!uri) return reader.problem("device", uri.error().message);
    if (!uri->socket.empty() && uri->socket[0] != '\0')
        uri->socket = resolve_file(uri->socket, draft);
    path.device.kind = DeviceConfig::Kind::nbd;
    path.device.nbd.uri = std::move(*uri);
}

/// A duration, or the word "off", which is `off`.
std::optional<Duration> read_duration_or_off(TableReader& reader, std::string_view key,
                                             std::optional<Duration> otherwise,
                                             std::optional<Duration> off) {
    const toml::node* node = reader.node(key);
    if (node == nullptr) return otherwise;
    if (node->is_string() && node->as_string()->get() == "off") return off;
    const auto length = reader.duration(key, limits::interval_min, limits::interval_max);
    return length ? length : otherwise;
}

void read_fingerprint(TableReader& reader, NbdPathConfig& nbd) {
    constexpr std::string_view expected = "ranges such as \"0+512\"";
    const toml::array* ranges = reader.array("fingerprint", expected);
    if (ranges == nullptr) return;
    if (ranges->empty() || ranges->size() > limits::fingerprint_ranges_max)
        return reader.problem("fingerprint",
                              fmt::format("has {} ranges; expected 1 to {}", ranges->size(),
                                          limits::fingerprint_ranges_max));
    for (const toml::node& node : *ranges) {
        const auto* text = node.as_string();
        const auto range = text == nullptr ? fail(fmt::format("expected {}", expected))
                                           : path::parse_fingerprint_range(text->get());
        if (!range)
            reader.problem("fingerprint", range.error().message);
        else
            nbd.fingerprint.push_back(*range);
    }
}

}  // namespace

bool names_fabric_device(std::string_view device) {
    return wire::looks_like_nbd_uri(device);
}

void read_fabric_device(TableReader& reader, PathConfig& path, const Draft& draft,
                        const std::string& device) {
    read_nbd_device(reader, path, draft, device);
}

void read_fabric_keys(TableReader& reader, PathConfig& path, const Draft& draft) {
    constexpr std::string_view keys[]{"connections",    "connect_timeout",       "keepalive",
                                      "resend_quiesce", "drops_closed_requests", "shared_cache",
                                      "fingerprint",    "tls_certificates",      "tls_psk",
                                      "tls_hostname",   "tls_verify_peer"};
    NbdPathConfig& nbd = path.device.nbd;
    nbd.connections = static_cast<uint32_t>(
        reader.whole_number("connections", 1, limits::nbd_path_connections_max)
            .value_or(nbd.connections));
    nbd.connect_timeout =
        reader.duration("connect_timeout", limits::interval_min, limits::interval_max)
            .value_or(nbd.connect_timeout);
    nbd.keepalive = read_duration_or_off(reader, "keepalive", nbd.keepalive, std::nullopt);
    nbd.resend_quiesce =
        *read_duration_or_off(reader, "resend_quiesce", nbd.resend_quiesce, Duration(0));
    nbd.drops_closed = reader.boolean("drops_closed_requests").value_or(nbd.drops_closed);
    nbd.shared_cache = reader.boolean("shared_cache").value_or(nbd.shared_cache);
    read_fingerprint(reader, nbd);
    const bool is_nbd = path.device.kind == DeviceConfig::Kind::nbd;
    read_path_tls(reader, is_nbd ? &nbd.uri : nullptr, draft);
    const toml::node* device = reader.node("device");
    // Also where the URI is wrong: one problem is enough.
    if (device != nullptr && device->is_string() &&
        wire::looks_like_nbd_uri(device->as_string()->get()))
        return;
    for (const std::string_view key : keys)
        if (reader.has(key)) reader.problem(key, "belongs to nbd: devices only");
}

}  // namespace braidway::daemon
