// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_tls.h"

namespace braidway::daemon {

tls::TlsClientConfig tls_files_of(const wire::NbdUri& uri) {
    return {.certificates = uri.tls_certificates,
            .psk_file = uri.tls_psk_file,
            .user = uri.user,
            .verify_peer = uri.tls_verify_peer.value_or(true),
            .host_name = uri.tls_hostname.empty() ? uri.host : uri.tls_hostname};
}

std::shared_ptr<PathTls> open_path_tls(const PathConfig& config) {
    if (config.device.kind != DeviceConfig::Kind::nbd || !config.device.nbd.uri.tls) return nullptr;
    auto made = std::make_shared<PathTls>();
    auto context = tls::TlsContext::client(tls_files_of(config.device.nbd.uri));
    if (context)
        made->context = std::move(*context);
    else
        made->problem = context.error().message;
    return made;
}

}  // namespace braidway::daemon
