// SPDX-License-Identifier: Apache-2.0
// TLS for the connections of a path.
#pragma once

#include <memory>
#include <string>

#include "path/nbd_connection.h"
#include "tls/client_handshake.h"

namespace braidway::path {

/// Encrypts one connection with the certificates or keys of a context.
///
/// Errors:  "TLS: ", then one line about the server or about our own certificate or key.
/// Threads: one lane.
class TlsUpgrade final : public StreamUpgrade {
  public:
    TlsUpgrade(loop::Loop& loop, std::shared_ptr<const tls::TlsContext> context)
        : handshake_(loop, std::move(context)) {}

    void begin(std::unique_ptr<loop::Stream> plain, Done done) override;
    void cancel() override { handshake_.cancel(); }
    std::string description() const override { return description_; }

  private:
    tls::ClientHandshake handshake_;
    Done done_;
    std::string description_;
};

}  // namespace braidway::path
