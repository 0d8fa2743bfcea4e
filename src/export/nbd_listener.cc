// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_listener.h"

#include <algorithm>
#include <cerrno>

#include "export/nbd_server.h"

namespace braidway::exports {

NbdListener::NbdListener(NbdServer& server, NbdAddressBook& book, NbdListeningSocket socket)
    : server_(server),
      book_(book),
      socket_(std::make_unique<NbdListeningSocket>(std::move(socket))),
      file_(server.loop().add_file(socket_->fd())) {
    accept_.owner = pause_.owner = this;
    accept_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<NbdListener*>(operation.owner)->accepted(result);
    };
    pause_.fire = [](loop::Timer& timer, Instant) {
        static_cast<NbdListener*>(timer.owner)->accept();
    };
    accept();
}

NbdListener::~NbdListener() {
    CHECK(gone_, "a listener goes after its last accept");
}

void NbdListener::accept() {
    server_.loop().accept(accept_, file_);
}

void NbdListener::accepted(int32_t result) {
    if (result >= 0) {
        OwnedFd fd(result);
        if (!stopped_) server_.accepted(*this, std::move(fd));
    }
    if (stopped_) return close();
    const bool passing = result >= 0 || result == -ECONNABORTED || result == -EINTR ||
                         result == -EPROTO || result == -EAGAIN;
    if (passing) return accept();
    server_.observer().accept_failed(address(), -result);
    server_.loop().arm_after(pause_, limits::nbd_accept_pause);
}

void NbdListener::stop() {
    if (stopped_) return;
    stopped_ = true;
    server_.loop().disarm(pause_);
    if (accept_.idle()) return close();
    server_.loop().cancel(accept_);
}

void NbdListener::close() {
    server_.loop().remove_file(file_);
    socket_.reset();
    gone_ = true;
    server_.reap_soon();
}

bool NbdAddressBook::extended_headers() const {
    return std::all_of(exports.begin(), exports.end(),
                       [](const NbdExport* served) { return served->options().extended_headers; });
}

const NbdExport* NbdAddressBook::strictest() const {
    const auto found = std::ranges::max_element(
        exports, {}, [](const NbdExport* served) { return served->options().tls; });
    return found == exports.end() ? nullptr : *found;
}

wire::NbdTls NbdAddressBook::tls() const {
    const NbdExport* served = strictest();
    return served == nullptr ? wire::NbdTls::off : served->options().tls;
}

std::shared_ptr<const tls::TlsContext> NbdAddressBook::tls_context() const {
    const NbdExport* served = strictest();
    return served == nullptr ? nullptr : served->options().tls_context;
}

bool NbdAddressBook::gone() const {
    return closing && std::all_of(listeners.begin(), listeners.end(),
                                  [](const auto& each) { return each->gone(); });
}

}  // namespace braidway::exports
