// SPDX-License-Identifier: Apache-2.0
#include "path/tls_upgrade.h"

#include <utility>

namespace braidway::path {

void TlsUpgrade::begin(std::unique_ptr<loop::Stream> plain, Done done) {
    done_ = std::move(done);
    handshake_.begin(std::move(plain), [this](Result<std::unique_ptr<tls::TlsStream>> stream) {
        const Done told = std::exchange(done_, nullptr);
        if (!stream) return told(std::unexpected(stream.error()));
        description_ = (*stream)->description();
        told(std::move(*stream));
    });
}

}  // namespace braidway::path
