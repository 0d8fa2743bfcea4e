// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>

namespace braidway::exports {
namespace {

void tune_socket(int fd) {
    int domain = 0;
    socklen_t length = sizeof domain;
    ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    const int on = 1;
    if (domain == AF_UNIX) {
        // The kernel sizes TCP's buffers itself, unix sockets' not. FORCE needs a privilege.
        const int bytes = limits::nbd_unix_buffer_bytes;
        if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
            ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    } else {
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
}

}  // namespace

NbdServer::NbdServer(loop::Loop& loop, memory::BufferPool& pool, NbdObserver& observer,
                     NbdServerOptions options)
    : loop_(loop), pool_(pool), observer_(observer), options_(options) {
    void* memory = ::mmap(nullptr, limits::payload_bytes_max, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED, "there is address space for untouched zeroes");
    zeroes_ = static_cast<std::byte*>(memory);
    turn_end_.owner = wake_.owner = reap_.owner = pressure_.owner = this;
    pressure_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<NbdServer*>(timer.owner)->end_stalled(now);
    };
    turn_end_.run = [](loop::TurnEnd& hook) {
        auto& server = *static_cast<NbdServer*>(hook.owner);
        while (NbdConnection* connection = server.to_flush_.pop_front()) connection->flush();
    };
    wake_.done = [](loop::Operation& operation, int32_t) {
        static_cast<NbdServer*>(operation.owner)->serve_waiters();
    };
    reap_.done = [](loop::Operation& operation, int32_t) {
        static_cast<NbdServer*>(operation.owner)->reap();
    };
    pool_.set_notify([](void* context) { static_cast<NbdServer*>(context)->wake_waiters(); }, this);
}

NbdServer::~NbdServer() {
    CHECK(connections_.empty() && books_.empty() && exports_.empty(),
          "a server is shut down before it goes");
    CHECK(wake_.idle() && reap_.idle() && !turn_end_.linked(), "nor does the loop know it");
    loop_.disarm(pressure_);
    pool_.set_notify(nullptr, nullptr);
    ::munmap(zeroes_, limits::payload_bytes_max);
}

Result<void> NbdServer::add_export(NbdExportOptions options, std::vector<NbdListen> listens) {
    if (Result<void> good = NbdExport::complete(options, pool_.bytes()); !good) return good;
    if (find_export(options.name) != nullptr) return fail("an export of this name exists already");
    std::vector<std::string> fresh;
    for (NbdListen& listen : listens) {
        const std::string text = listen.address.text();
        if (serves(text) || !listen.sockets.empty()) continue;
        if (std::find(fresh.begin(), fresh.end(), text) != fresh.end()) continue;
        Result<std::vector<NbdListeningSocket>> opened = open_nbd_sockets(listen.address);
        if (!opened) return std::unexpected(opened.error());
        listen.sockets = std::move(*opened);
        fresh.push_back(text);
    }
    NbdExport& served =
        *exports_.emplace_back(std::make_unique<NbdExport>(next_export_id_++, std::move(options)));
    for (NbdListen& listen : listens) listen_at(served, std::move(listen));
    return {};
}

void NbdServer::listen_at(NbdExport& served, NbdListen listen) {
    const std::string text = listen.address.text();
    auto found = std::find_if(books_.begin(), books_.end(), [&](const auto& book) {
        return book->text() == text && !book->closing;
    });
    if (found == books_.end())
        found = books_.insert(books_.end(), std::make_unique<NbdAddressBook>(text));
    NbdAddressBook& book = **found;
    if (std::find(book.exports.begin(), book.exports.end(), &served) == book.exports.end())
        book.exports.push_back(&served);
    if (!book.listeners.empty()) return;
    for (NbdListeningSocket& socket : listen.sockets)
        book.listeners.push_back(std::make_unique<NbdListener>(*this, book, std::move(socket)));
}

bool NbdServer::remove_export(std::string_view name, std::function<void()> done) {
    NbdExport* served = nullptr;
    for (const auto& each : exports_)
        if (!each->removed && each->options().name == name) served = each.get();
    if (served == nullptr) return false;
    served->removed = true;
    served->when_gone = std::move(done);
    for (const auto& book : books_) std::erase(book->exports, served);
    for (const auto& [id, connection] : connections_)
        if (connection->served_export() == served) connection->drain("the export is removed");
    reap_soon();
    return true;
}

/// Closes the addresses where no export is left. Not at once, so that an export that is replaced by
/// another one keeps its address.
void NbdServer::close_empty_books() {
    for (const auto& book : books_) {
        if (!book->exports.empty() || book->closing) continue;
        book->closing = true;
        for (const auto& listener : book->listeners) listener->stop();
        for (const auto& [id, connection] : connections_)
            if (&connection->book() == book.get() && connection->served_export() == nullptr)
                connection->abort("the address is closed");
    }
}

void NbdServer::shut_down(std::function<void()> done) {
    when_shut_down_ = std::move(done);
    for (size_t at = 0; at < exports_.size(); ++at)
        if (!exports_[at]->removed) remove_export(exports_[at]->options().name, nullptr);
    reap_soon();
}

void NbdServer::abort_connections(std::string_view reason) {
    for (const auto& [id, connection] : connections_) connection->abort(reason);
}

bool NbdServer::serves(const std::string& address_text) const {
    return std::any_of(books_.begin(), books_.end(), [&](const auto& book) {
        return book->text() == address_text && !book->closing;
    });
}

std::vector<std::string> NbdServer::addresses_of(std::string_view name) const {
    std::vector<std::string> addresses;
    for (const auto& book : books_)
        for (const NbdExport* each : book->exports)
            if (each->options().name == name)
                for (const auto& listener : book->listeners)
                    addresses.push_back(listener->address());
    return addresses;
}

void NbdServer::renew_tls(std::string_view name,
                          const std::shared_ptr<const tls::TlsContext>& context) {
    for (const auto& each : exports_)
        if (each->options().name == name && !each->removed) each->renew_tls(context);
}

const NbdExport* NbdServer::find_export(std::string_view name) const {
    for (const auto& each : exports_)
        if (each->options().name == name && !each->removed) return each.get();
    return nullptr;
}

NbdExport* NbdServer::find_export(uint32_t id) {
    for (const auto& each : exports_)
        if (each->id() == id) return each.get();
    return nullptr;
}

void NbdServer::accepted(NbdListener& listener, OwnedFd fd) {
    NbdClient client;
    client.id = ++connections_ever_;
    client.peer = nbd_peer_text(fd.get());
    client.address = listener.address();
    if (connections_.size() >= options_.connections_max) {
        observer_.client_refused(client, "too many connections");
        return;
    }
    tune_socket(fd.get());
    const uint64_t id = client.id;
    auto connection =
        std::make_unique<NbdConnection>(*this, listener.book(), std::move(fd), std::move(client));
    NbdConnection& started = *connections_.emplace(id, std::move(connection)).first->second;
    started.start();
}

void NbdServer::wake_waiters() {
    if (wake_.idle()) loop_.complete_soon(wake_, 0);
}

/// Lets those who wait try again, each line in its order, until the first must go on waiting.
void NbdServer::serve_waiters() {
    const auto serve = [this](IntrusiveList<NbdConnection, NbdWaitTag>& line) {
        // Who is served may wait again at the end: only those who stand here now.
        for (size_t left = line.size(); left > 0 && !line.empty(); --left) {
            NbdConnection* first = line.pop_front();
            first->retry();
            if (line.front() == first) return;  // It hears when something comes back.
        }
        // Those who came meanwhile have only seen that there was a line.
        if (!line.empty()) wake_waiters();
    };
    serve(pool_waiters_);
    serve(arrival_waiters_);
    for (const auto& each : exports_) serve(each->waiters);
}

bool NbdServer::may_arrive(const NbdExport& served, uint64_t bytes) const {
    const bool in_pool = bytes_arriving == 0 || bytes_arriving + bytes <= pool_.bytes() / 2;
    const bool in_volume = served.bytes_arriving == 0 ||
                           served.bytes_arriving + bytes <= served.options().bytes_max / 2;
    return in_pool && in_volume;
}

void NbdServer::under_pressure() {
    if (!pressure_.armed()) loop_.arm_after(pressure_, options_.stall_timeout);
}

/// Somebody has waited for a while: closes the clients that stand still and hold what he needs.
void NbdServer::end_stalled(Instant now) {
    const bool waiting = !pool_waiters_.empty() || !arrival_waiters_.empty() ||
                         std::any_of(exports_.begin(), exports_.end(),
                                     [](const auto& each) { return !each->waiters.empty(); });
    if (!waiting) return;
    for (const auto& [id, connection] : connections_) connection->end_if_stalled(now);
    loop_.arm(pressure_, now + options_.stall_timeout / 2);
}

void NbdServer::flush_at_turn_end(NbdConnection& connection) {
    if (!static_cast<ListNode<NbdFlushTag>&>(connection).linked()) to_flush_.push_back(connection);
    loop_.at_turn_end(turn_end_);
}

void NbdServer::retire(NbdConnection& connection) {
    if (static_cast<ListNode<NbdFlushTag>&>(connection).linked()) to_flush_.remove(connection);
    retired_.push_back(connection.client().id);
    reap_soon();
}

void NbdServer::reap_soon() {
    if (reap_.idle()) loop_.complete_soon(reap_, 0);
}

/// Destroys what is over, and says so to those who wait for it.
void NbdServer::reap() {
    close_empty_books();
    for (const uint64_t id : retired_) connections_.erase(id);
    retired_.clear();
    std::erase_if(books_, [](const auto& book) { return book->gone(); });
    finish_removals();
}

void NbdServer::finish_removals() {
    std::vector<std::function<void()>> done;
    std::erase_if(exports_, [&](const auto& each) {
        const bool gone = each->removed && each->connections == 0;
        if (gone && each->when_gone) done.push_back(std::move(each->when_gone));
        return gone;
    });
    for (const auto& each : done) each();
    if (!when_shut_down_ || !connections_.empty() || !books_.empty() || !exports_.empty()) return;
    // The owner may destroy the server in its answer: the loop must not know it any more.
    if (turn_end_.linked() || !wake_.idle()) return reap_soon();
    const std::function<void()> last = std::move(when_shut_down_);
    when_shut_down_ = nullptr;
    last();
}

}  // namespace braidway::exports
