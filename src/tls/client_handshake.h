// SPDX-License-Identifier: Apache-2.0
// A client's step from a plain stream to an encrypted one.
#pragma once

#include <functional>
#include <memory>

#include "tls/tls_stream.h"

namespace braidway::tls {

/// Makes an encrypted stream of a connected one, once the server has agreed to TLS.
///
/// Errors:  one line in words about the server, as TlsStream::problem(); the connection is closed.
///          A client whose certificate or key the server refuses may hear of it only with its first
///          receive: then the stream's problem() says so.
/// Threads: one lane.
class ClientHandshake {
  public:
    using Done = std::function<void(Result<std::unique_ptr<TlsStream>>)>;

    ClientHandshake(loop::Loop& loop, std::shared_ptr<const TlsContext> context);
    /// Nothing may be under way.
    ~ClientHandshake();
    ClientHandshake(const ClientHandshake&) = delete;
    ClientHandshake& operator=(const ClientHandshake&) = delete;

    /// Takes `plain`, on which no operation is under way and from which nothing was read behind the
    /// agreement. `done` is called exactly once, from the loop; this object may be destroyed in it.
    void begin(std::unique_ptr<loop::Stream> plain, Done done);
    /// `done` comes soon, with an error of code ECANCELED. Nothing when nothing is under way.
    void cancel();

  private:
    void ended(int32_t result);

    loop::Loop& loop_;
    std::shared_ptr<const TlsContext> context_;
    std::unique_ptr<TlsStream> stream_;
    loop::Operation operation_;
    Done done_;
};

}  // namespace braidway::tls
