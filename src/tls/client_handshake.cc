// SPDX-License-Identifier: Apache-2.0
#include "tls/client_handshake.h"

#include <utility>

namespace braidway::tls {

ClientHandshake::ClientHandshake(loop::Loop& loop, std::shared_ptr<const TlsContext> context)
    : loop_(loop), context_(std::move(context)) {
    operation_.owner = this;
    operation_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<ClientHandshake*>(operation.owner)->ended(result);
    };
}

ClientHandshake::~ClientHandshake() {
    CHECK(operation_.idle(), "a handshake goes after it has ended");
}

void ClientHandshake::begin(std::unique_ptr<loop::Stream> plain, Done done) {
    done_ = std::move(done);
    stream_ = std::make_unique<TlsStream>(loop_, std::move(plain), context_);
    stream_->handshake(operation_);
}

void ClientHandshake::cancel() {
    if (stream_ != nullptr) stream_->cancel(operation_);
}

void ClientHandshake::ended(int32_t result) {
    const Done done = std::exchange(done_, nullptr);
    std::unique_ptr<TlsStream> stream = std::move(stream_);
    if (result == 0) return done(std::move(stream));
    std::string problem(stream->problem());
    if (problem.empty()) problem = errno_text(-result);
    stream.reset();
    done(fail("TLS: " + problem, -result));
}

}  // namespace braidway::tls
