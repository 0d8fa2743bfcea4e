// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_fabric.h"

#include <fmt/format.h>

#include "daemon/config_path_tls.h"
#include "daemon/fabric_paths.h"
#include "path/iscsi_options.h"
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

/// Which kind of device a path's keys are meant for, also where the URI is wrong: one problem is
/// enough.
enum class Meant : uint8_t { other, nbd, iscsi };

Meant meant_device(TableReader& reader) {
    const toml::node* device = reader.node("device");
    if (device == nullptr || !device->is_string()) return Meant::other;
    const std::string& text = device->as_string()->get();
    if (wire::looks_like_nbd_uri(text)) return Meant::nbd;
    return path::looks_like_iscsi_uri(text) ? Meant::iscsi : Meant::other;
}

struct FabricKey {
    std::string_view name;
    bool nbd;
    bool iscsi;
};

constexpr FabricKey fabric_keys[]{
    {"connect_timeout", true, true},
    {"keepalive", true, true},
    {"resend_quiesce", true, true},
    {"connections", true, false},
    {"drops_closed_requests", true, false},
    {"shared_cache", true, false},
    {"fingerprint", true, false},
    {"tls_certificates", true, false},
    {"tls_psk", true, false},
    {"tls_hostname", true, false},
    {"tls_verify_peer", true, false},
    {"initiator", false, true},
    {"chap_secret_file", false, true},
    {"chap_mutual_secret_file", false, true},
    {"task_management_timeout", false, true},
    {"data_digest", false, true},
};

/// Writes down the keys that a device of another kind would have.
void refuse_keys_of_others(TableReader& reader, Meant meant) {
    for (const FabricKey& key : fabric_keys) {
        if (!reader.has(key.name)) continue;
        if ((meant == Meant::nbd && key.nbd) || (meant == Meant::iscsi && key.iscsi)) continue;
        reader.node(key.name);  // It is known: no second problem.
        std::string_view owners = key.nbd ? "nbd:" : "iscsi:";
        if (key.nbd && key.iscsi) owners = "nbd: and iscsi:";
        reader.problem(key.name, fmt::format("belongs to {} devices only", owners));
    }
}

/// The keys that both have.
template <typename Config>
void read_common_keys(TableReader& reader, Config& config) {
    config.connect_timeout =
        reader.duration("connect_timeout", limits::interval_min, limits::interval_max)
            .value_or(config.connect_timeout);
    config.keepalive = read_duration_or_off(reader, "keepalive", config.keepalive, std::nullopt);
    config.resend_quiesce =
        *read_duration_or_off(reader, "resend_quiesce", config.resend_quiesce, Duration(0));
}

void read_nbd_keys(TableReader& reader, NbdPathConfig& nbd) {
    read_common_keys(reader, nbd);
    nbd.connections = static_cast<uint32_t>(
        reader.whole_number("connections", 1, limits::nbd_path_connections_max)
            .value_or(nbd.connections));
    nbd.drops_closed = reader.boolean("drops_closed_requests").value_or(nbd.drops_closed);
    nbd.shared_cache = reader.boolean("shared_cache").value_or(nbd.shared_cache);
    read_fingerprint(reader, nbd);
}

std::string read_secret_file(TableReader& reader, std::string_view key, const Draft& draft) {
    const std::optional<std::string> name = reader.text(key);
    if (name && name->empty()) reader.problem(key, "expected the name of a file with a secret");
    return name && !name->empty() ? resolve_file(*name, draft) : std::string();
}

void read_iscsi_keys(TableReader& reader, PathConfig& path, const Draft& draft) {
    IscsiPathConfig& iscsi = path.device.iscsi;
    read_common_keys(reader, iscsi);
    iscsi.initiator = read_initiator(reader).value_or("");
    iscsi.chap_secret_file = read_secret_file(reader, "chap_secret_file", draft);
    iscsi.chap_mutual_secret_file = read_secret_file(reader, "chap_mutual_secret_file", draft);
    iscsi.task_management_timeout =
        reader.duration("task_management_timeout", limits::interval_min, limits::interval_max)
            .value_or(iscsi.task_management_timeout);
    iscsi.data_digest = reader.boolean("data_digest").value_or(false);
    // Where the URI is wrong nothing else can be said.
    if (path.device.kind != DeviceConfig::Kind::iscsi) return;
    if (const auto good = path::check_iscsi_options(iscsi_options_of(path)); !good)
        reader.problem(iscsi.data_digest ? "data_digest" : "device", good.error().message);
}

void read_iscsi_device(TableReader& reader, PathConfig& path, const std::string& text) {
    auto uri = path::IscsiUri::parse(text);
    if (!uri) return reader.problem("device", uri.error().message);
    path.device.kind = DeviceConfig::Kind::iscsi;
    path.device.iscsi.uri = std::move(*uri);
}

}  // namespace

bool names_fabric_device(std::string_view device) {
    return wire::looks_like_nbd_uri(device) || path::looks_like_iscsi_uri(device);
}

void read_fabric_device(TableReader& reader, PathConfig& path, const Draft& draft,
                        const std::string& device) {
    if (path::looks_like_iscsi_uri(device)) return read_iscsi_device(reader, path, device);
    read_nbd_device(reader, path, draft, device);
}

std::optional<std::string> read_initiator(TableReader& reader) {
    std::optional<std::string> name = reader.text("initiator");
    if (!name) return name;
    if (const auto good = path::check_initiator_name(*name); !good) {
        reader.problem("initiator", good.error().message);
        return std::nullopt;
    }
    return name;
}

void read_fabric_keys(TableReader& reader, PathConfig& path, const Draft& draft) {
    const Meant meant = meant_device(reader);
    refuse_keys_of_others(reader, meant);
    switch (meant) {
        case Meant::other:
            return;
        case Meant::nbd: {
            read_nbd_keys(reader, path.device.nbd);
            // Where the URI is wrong there is none to read into.
            const bool good = path.device.kind == DeviceConfig::Kind::nbd;
            return read_path_tls(reader, good ? &path.device.nbd.uri : nullptr, draft);
        }
        case Meant::iscsi:
            return read_iscsi_keys(reader, path, draft);
    }
}

}  // namespace braidway::daemon
