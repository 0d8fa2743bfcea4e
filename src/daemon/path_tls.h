// SPDX-License-Identifier: Apache-2.0
// What the connections of a path are encrypted with.
#pragma once

#include <memory>
#include <string>

#include "daemon/config.h"

namespace braidway::daemon {

/// Certificates or keys of one path, as they were read last. Connections that begin from now on use
/// them.
///
/// Threads: made where one may sleep, then the lane's.
struct PathTls {
    std::shared_ptr<const tls::TlsContext> context;  ///< Null where they could not be read.
    std::string problem{};                           ///< Why they could not, in one line.
};

/// What the files of an encrypted path are, and what its server must show.
tls::TlsClientConfig tls_files_of(const wire::NbdUri& uri);

/// Reads the certificates or keys of a path; null where it is not encrypted. May sleep.
std::shared_ptr<PathTls> open_path_tls(const PathConfig& config);

}  // namespace braidway::daemon
