// SPDX-License-Identifier: Apache-2.0
// One address: the sockets that listen there and the exports that are found there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "export/nbd_export.h"
#include "export/nbd_socket.h"
#include "loop/loop.h"
#include "wire/nbd_handshake.h"

namespace braidway::exports {

class NbdAddressBook;
class NbdServer;

/// Accepts connections on one socket, one after the other. Where there are no descriptors left, it
/// tries again after a while.
///
/// Threads: one lane.
class NbdListener {
  public:
    NbdListener(NbdServer& server, NbdAddressBook& book, NbdListeningSocket socket);
    ~NbdListener();
    NbdListener(const NbdListener&) = delete;
    NbdListener& operator=(const NbdListener&) = delete;

    /// Accepts no more. The socket is closed as soon as the loop has let go of it.
    void stop();
    bool gone() const { return gone_; }

    NbdAddressBook& book() { return book_; }
    const std::string& address() const { return socket_->text(); }

  private:
    void accept();
    void accepted(int32_t result);
    void close();

    NbdServer& server_;
    NbdAddressBook& book_;
    std::unique_ptr<NbdListeningSocket> socket_;
    loop::File file_;
    loop::Operation accept_;
    loop::Timer pause_;
    bool stopped_ = false;
    bool gone_ = false;
};

/// The exports at one address, as clients there see them.
class NbdAddressBook final : public wire::NbdExportDirectory {
  public:
    explicit NbdAddressBook(std::string text) : text_(std::move(text)) {}

    size_t count() const override { return exports.size(); }
    wire::NbdExportInfo describe(size_t index) const override { return exports[index]->info(); }
    /// Only where every export here has them: they are negotiated before an export is chosen.
    bool extended_headers() const override;
    /// The strictest word of any export here: it counts before an export is chosen.
    wire::NbdTls tls() const override;
    /// With the certificates that tls() is about; null where it is off.
    std::shared_ptr<const tls::TlsContext> tls_context() const;

    const std::string& text() const { return text_; }
    /// The address is closed: where no export is left, at the end of the turn.
    bool closing = false;
    /// No listener uses it any more.
    bool gone() const;

    std::vector<NbdExport*> exports;
    std::vector<std::unique_ptr<NbdListener>> listeners;

  private:
    const NbdExport* strictest() const;

    std::string text_;
};

}  // namespace braidway::exports
