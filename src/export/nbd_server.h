// SPDX-License-Identifier: Apache-2.0
// The NBD server of one lane: its addresses, exports and connections.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/nbd_connection.h"
#include "export/nbd_export.h"
#include "export/nbd_listener.h"
#include "export/nbd_observer.h"
#include "export/nbd_socket.h"
#include "memory/buffer_pool.h"

namespace braidway::exports {

/// What the owner of a server may choose, with the defaults of base/limits.h.
struct NbdServerOptions {
    uint32_t connections_max = limits::nbd_connections_default;
    Duration handshake_timeout = limits::nbd_handshake_timeout;
    Duration request_timeout = limits::nbd_request_timeout;
    Duration send_timeout = limits::nbd_send_timeout;
    Duration stall_timeout = limits::nbd_stall_timeout;
};

/// An address to serve an export at. `sockets` may have been opened before, on a thread that may
/// sleep; empty means: share the address if it is served already, else open it now.
struct NbdListen {
    NbdAddress address;
    std::vector<NbdListeningSocket> sockets;
};

/// Serves volumes to NBD clients.
///
/// Threads: one lane. Allocates for addresses, exports and connections, never for requests. Takes
///          the pool's notification.
class NbdServer {
  public:
    NbdServer(loop::Loop& loop, memory::BufferPool& pool, NbdObserver& observer,
              NbdServerOptions options = {});
    /// Everything must be gone: see shut_down().
    ~NbdServer();
    NbdServer(const NbdServer&) = delete;
    NbdServer& operator=(const NbdServer&) = delete;

    /// Serves an export at the addresses from now on. Errors: values that cannot be; a name that
    /// exists; sockets that cannot be opened. Then nothing has changed.
    Result<void> add_export(NbdExportOptions options, std::vector<NbdListen> listens);

    /// Stops listening where no other export is by the end of the turn, lets its clients' requests
    /// in flight finish, sends their replies, closes. `done` runs when nothing refers to the
    /// export's device any more. False when there is no such export.
    bool remove_export(std::string_view name, std::function<void()> done);

    /// Removes everything. `done` runs when the last connection is gone; the owner may destroy the
    /// server in it. The owner's deadline calls abort_connections().
    void shut_down(std::function<void()> done);

    /// Closes every connection at once, with a static text for the log. Their requests in flight
    /// still run to their end.
    void abort_connections(std::string_view reason);

    /// Certificates or keys of an export that were read anew, for connections that come from now
    /// on. Nothing when there is no such export.
    void renew_tls(std::string_view name, const std::shared_ptr<const tls::TlsContext>& context);
    /// For connections that come from now on.
    void set_connections_max(uint32_t connections_max) {
        options_.connections_max = connections_max;
    }
    /// Whether add_export() can share this address.
    bool serves(const std::string& address_text) const;
    /// Where an export can be reached, as clients write it.
    std::vector<std::string> addresses_of(std::string_view name) const;
    /// Null also for one that is being removed.
    const NbdExport* find_export(std::string_view name) const;
    size_t connections() const { return connections_.size(); }
    uint64_t connections_ever() const { return connections_ever_; }

    // --- for the server's own connections and listeners ---
    loop::Loop& loop() { return loop_; }
    memory::BufferPool& pool() { return pool_; }
    NbdObserver& observer() { return observer_; }
    const NbdServerOptions& options() const { return options_; }
    NbdExport* find_export(uint32_t id);
    /// Memory full of zeroes, limits::payload_bytes_max long.
    std::byte* zeroes() const { return zeroes_; }
    IntrusiveList<NbdConnection, NbdWaitTag>& pool_waiters() { return pool_waiters_; }
    /// Payloads that have to be awaited may reserve half of the pool and of their volume's bytes;
    /// who finds that used up stands here, and holds up nobody whose request is whole.
    IntrusiveList<NbdConnection, NbdWaitTag>& arrival_waiters() { return arrival_waiters_; }
    bool may_arrive(const NbdExport& served, uint64_t bytes) const;
    uint64_t bytes_arriving = 0;
    /// Somebody waits for what others hold.
    void under_pressure();
    /// Something came back that others wait for.
    void wake_waiters();
    void flush_at_turn_end(NbdConnection& connection);
    void accepted(NbdListener& listener, OwnedFd fd);
    void retire(NbdConnection& connection);
    /// Something is over: destroys it, and what it held up, in a moment.
    void reap_soon();

  private:
    void serve_waiters();
    void end_stalled(Instant now);
    void reap();
    void listen_at(NbdExport& served, NbdListen listen);
    void close_empty_books();
    void finish_removals();

    loop::Loop& loop_;
    memory::BufferPool& pool_;
    NbdObserver& observer_;
    NbdServerOptions options_;
    std::byte* zeroes_ = nullptr;
    std::vector<std::unique_ptr<NbdExport>> exports_;
    std::vector<std::unique_ptr<NbdAddressBook>> books_;
    std::unordered_map<uint64_t, std::unique_ptr<NbdConnection>> connections_;
    std::vector<uint64_t> retired_;
    IntrusiveList<NbdConnection, NbdWaitTag> pool_waiters_;
    IntrusiveList<NbdConnection, NbdWaitTag> arrival_waiters_;
    loop::Timer pressure_;
    IntrusiveList<NbdConnection, NbdFlushTag> to_flush_;
    loop::TurnEnd turn_end_;
    loop::Operation wake_;
    loop::Operation reap_;
    uint32_t next_export_id_ = 1;
    uint64_t connections_ever_ = 0;
    std::function<void()> when_shut_down_;
};

}  // namespace braidway::exports
