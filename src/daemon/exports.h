// SPDX-License-Identifier: Apache-2.0
// The NBD side of the daemon: which map is served where.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/event_ring.h"
#include "daemon/volume.h"
#include "export/nbd_server.h"

namespace braidway::daemon {

/// Certificates or keys, read.
using TlsContextPointer = std::shared_ptr<const tls::TlsContext>;

/// An export of a new configuration with its files and sockets, opened where one may sleep. An
/// address that is served already has no sockets: it is shared.
struct WantedExport {
    ExportConfig config;
    std::vector<exports::NbdListen> listens;
    TlsContextPointer tls_context;  ///< Null where `config.tls` is off.
};

/// Reads the certificates or keys of an export; null where its tls is off. May sleep. Errors: one
/// line with the export's name, the file and what to do.
Result<TlsContextPointer> open_tls(const ExportConfig& config);

/// Reads the files and opens the sockets that `config` needs but that `served` (texts of addresses)
/// does not have yet. May sleep, `patience` included (see open_nbd_sockets). Errors: one line with
/// the export's key and the address.
Result<WantedExport> open_export(const ExportConfig& config, const std::vector<std::string>& served,
                                 Duration patience);

/// Every export of a lane.
///
/// Threads: the lane's.
class Exports final : private exports::NbdObserver {
  public:
    Exports(loop::Loop& loop, memory::BufferPool& pool, EventSink& events);
    ~Exports();

    /// Whether `wanted` can be served from `volume`; add() relies on it.
    Result<void> check(const WantedExport& wanted, Volume& volume) const;
    Result<void> add(WantedExport wanted, Volume& volume);
    /// Certificates or keys of an export that stays: for connections that come from now on.
    void renew_tls(const std::string& name, const TlsContextPointer& context) {
        server_.renew_tls(name, context);
    }
    /// No new connections; those there are drained and closed; then `then` runs.
    void remove(const std::string& name, std::function<void()> then);
    /// Whether a client or an export still refers to `map`.
    bool uses(const map::MapDevice& map) const;
    void fill_snapshot(Snapshot& snapshot) const;

    void set_connections_max(uint32_t connections_max) {
        server_.set_connections_max(connections_max);
    }
    /// No new connections and requests; quiet() when the last reply is out.
    void stop();
    bool quiet() const { return stopped_; }
    /// Closes what is left, at the deadline of a shutdown.
    void abort(std::string_view reason) { server_.abort_connections(reason); }

  private:
    struct Served {
        ExportConfig config;
        const map::MapDevice* map = nullptr;
        bool leaving = false;
    };

    void client_entered(const exports::NbdClient& client) override;
    void client_left(const exports::NbdClient& client, std::string_view reason,
                     bool fault) override;
    void client_refused(const exports::NbdClient& client, std::string_view reason) override;
    void accept_failed(std::string_view address, int code) override;
    void tell(Severity severity, std::string kind, const exports::NbdClient& client,
              std::string_view reason);

    EventSink& events_;
    const memory::BufferPool& pool_;
    std::vector<std::unique_ptr<Served>> served_;
    bool stopped_ = false;
    exports::NbdServer server_;
};

}  // namespace braidway::daemon
