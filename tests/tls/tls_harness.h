// SPDX-License-Identifier: Apache-2.0
// Both ends of an encrypted connection on one loop.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "loop/fixture.h"
#include "support/certificates.h"
#include "tls/tls_stream.h"

namespace braidway::tls {

inline constexpr const char* alices_key = "alice:00112233445566778899aabbccddeeff\n";

/// A context that must be good.
inline std::shared_ptr<const TlsContext> good(Result<std::shared_ptr<const TlsContext>> made) {
    if (!made) ADD_FAILURE() << made.error().message;
    return made ? *made : nullptr;
}

/// A server that shows the certificate of `folder`.
inline TlsServerConfig certificate_server(const TemporaryFolder& folder, bool verify = false) {
    return {.certificates = folder.path(), .verify_peer = verify};
}

/// A client that trusts the CA of `folder`.
inline TlsClientConfig certificate_client(const TemporaryFolder& folder,
                                          const std::string& host = "localhost") {
    return {.certificates = folder.path(), .host_name = host};
}

/// A connection: a socket pair with TLS on both ends. Everything is over at the end of the block.
class Connection {
  public:
    Connection(loop::Loop& loop, std::shared_ptr<const TlsContext> server_context,
               std::shared_ptr<const TlsContext> client_context)
        : loop_(loop) {
        const loop::SocketPair pair(AF_INET);
        server = make(pair.fds[0], std::move(server_context));
        client = make(pair.fds[1], std::move(client_context));
    }
    ~Connection() {
        server->shut_down();
        client->shut_down();
        for (loop::Probe* probe : {&server_probe, &client_probe, &other_probe})
            turn_until([&] { return probe->idle(); });
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    template <typename Condition>
    void turn_until(Condition condition) {
        const Instant give_up = monotonic_now() + std::chrono::seconds(20);
        while (!condition() && monotonic_now() < give_up)
            loop_.turn(monotonic_now() + std::chrono::milliseconds(20));
        EXPECT_TRUE(condition()) << "this has not come about";
    }
    void shake_hands() {
        server->handshake(server_probe);
        client->handshake(client_probe);
        turn_until([&] { return server_probe.idle() && client_probe.idle(); });
    }
    /// Sends all of `bytes` from one end and returns what the other end received.
    std::string carry(TlsStream& from, TlsStream& to, const std::string& bytes) {
        std::string got(bytes.size(), '\0');
        size_t sent = 0;
        size_t received = 0;
        iovec out{};
        iovec in{};
        while (received < bytes.size()) {
            if (client_probe.idle() && client_probe.ended > 0 && sending_) {
                if (client_probe.result <= 0) break;
                sent += static_cast<size_t>(client_probe.result);
                sending_ = false;
            }
            if (!sending_ && sent < bytes.size()) {
                out = {const_cast<char*>(bytes.data()) + sent, bytes.size() - sent};
                from.send(client_probe, &out, 1);
                sending_ = true;
            }
            in = {got.data() + received, got.size() - received};
            to.receive(server_probe, &in, 1);
            turn_until([&] {
                return server_probe.idle() || (client_probe.idle() && sent < bytes.size());
            });
            if (!server_probe.idle()) {
                to.cancel(server_probe);
                turn_until([&] { return server_probe.idle(); });
                if (server_probe.result == -ECANCELED) continue;
            }
            if (server_probe.result <= 0) break;
            received += static_cast<size_t>(server_probe.result);
        }
        turn_until([&] { return client_probe.idle(); });
        sending_ = false;
        got.resize(received);
        return got;
    }

    std::unique_ptr<TlsStream> server;
    std::unique_ptr<TlsStream> client;
    loop::Probe server_probe;
    loop::Probe client_probe;
    loop::Probe other_probe;

  private:
    std::unique_ptr<TlsStream> make(int fd, std::shared_ptr<const TlsContext> context) {
        return std::make_unique<TlsStream>(loop_, std::make_unique<loop::SocketStream>(loop_, fd),
                                           std::move(context));
    }

    loop::Loop& loop_;
    bool sending_ = false;
};

}  // namespace braidway::tls
