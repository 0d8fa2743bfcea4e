// SPDX-License-Identifier: Apache-2.0
// The life of a connection: handshake, timeouts, endings. Reading is in nbd_requests.cc, writing in
// nbd_replies.cc.
#include "export/nbd_connection.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>

#include "export/nbd_server.h"

namespace braidway::exports {
NbdConnection::NbdConnection(NbdServer& server, const NbdAddressBook& book, OwnedFd fd,
                             NbdClient client)
    : server_(server), book_(book), loop_(server.loop()), client_(std::move(client)) {
    auto socket = std::make_unique<loop::SocketStream>(loop_, fd.release());
    socket_ = socket.get();
    stream_ = std::move(socket);
    receive_.owner = send_.owner = watch_.owner = timer_.owner = gate_waiter_.owner = this;
    receive_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<NbdConnection*>(operation.owner)->received(result);
    };
    send_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<NbdConnection*>(operation.owner)->sent(result);
    };
    watch_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<NbdConnection*>(operation.owner)->watched(result);
    };
    timer_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<NbdConnection*>(timer.owner)->time_out(now);
    };
    gate_waiter_.opened = [](block::GateWaiter& waiter) {
        static_cast<NbdConnection*>(waiter.owner)->retry();
    };
}

NbdConnection::~NbdConnection() {
    CHECK(state_ == State::closed && in_flight_ == 0 && stream_ == nullptr,
          "a connection goes after its last operation");
}

void NbdConnection::start() {
    void* memory = ::mmap(nullptr, limits::nbd_receive_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return abort("no memory for the connection");
    staging_ = static_cast<std::byte*>(memory);
    handshake_.emplace(book_);
    handshake_->greet(preamble_);
    set_deadline(handshake_deadline_, loop_.now() + server_.options().handshake_timeout);
    flush();
    receive_more();
}

/// Feeds the handshake with what is staged, until it needs more bytes or its answers have to go
/// out first.
void NbdConnection::advance_handshake() {
    using Phase = wire::NbdHandshake::Phase;
    if (!preamble_.empty()) return;
    if (handshake_->phase() == Phase::start_tls) return start_tls();
    staged_begin_ += handshake_->feed(staged(), preamble_);
    if (handshake_->options_answered() != options_seen_) {
        options_seen_ = handshake_->options_answered();
        set_deadline(handshake_deadline_, loop_.now() + server_.options().handshake_timeout);
    }
    if (handshake_->phase() == Phase::closed) {
        const std::string_view reason = handshake_->close_reason();
        linger_wanted_ = true;
        leave(reason.empty() ? "the client aborted the handshake" : reason, !reason.empty());
    } else if (handshake_->phase() == Phase::transmission) {
        enter_transmission();
    } else {
        flush();
        if (preamble_.empty()) receive_more();
    }
}

/// The client has our agreement: what it sends from now on is TLS.
void NbdConnection::start_tls() {
    // Whoever can put bytes into the connection would otherwise speak in the client's name.
    if (staged_bytes() > 0) return fault("unencrypted bytes behind STARTTLS");
    std::shared_ptr<const tls::TlsContext> context = book_.tls_context();
    if (context == nullptr) return abort("TLS is no longer offered here");
    auto secure = std::make_unique<tls::TlsStream>(loop_, std::move(stream_), std::move(context));
    tls_ = secure.get();
    stream_ = std::move(secure);
    tls_->handshake(receive_);
}

/// The TLS handshake has ended well; the one of NBD goes on.
void NbdConnection::secured() {
    client_.security = tls_->description();
    handshake_->tls_started();
    set_deadline(handshake_deadline_, loop_.now() + server_.options().handshake_timeout);
    receive_more();
}

void NbdConnection::enter_transmission() {
    const wire::NbdSession session = handshake_->session();
    handshake_.reset();
    handshake_deadline_ = never;
    export_ = server_.find_export(session.export_id);
    CHECK(export_ != nullptr, "the directory lists exports of the server");
    ++export_->connections;
    client_.export_name = export_->options().name;
    reader_.emplace(session);
    writer_ = wire::NbdReplyWriter(session);
    state_ = State::transmission;
    server_.observer().client_entered(client_);
    server_.flush_at_turn_end(*this);
    take_requests();
}

/// Reads no more and says why; closes once the last reply is out.
void NbdConnection::leave(std::string_view reason, bool fault) {
    if (state_ >= State::draining) return;
    state_ = State::draining;
    reason_ = reason;
    is_fault_ = fault;
    handshake_deadline_ = request_deadline_ = never;
    stop_reading();
    server_.flush_at_turn_end(*this);  // Also where nothing is in flight: check_drained() is there.
}

void NbdConnection::drain(std::string_view reason) {
    if (state_ == State::handshake) return abort(reason);
    leave(reason, false);
}

void NbdConnection::abort(std::string_view reason) {
    if (state_ == State::closed) return;
    if (state_ < State::draining) reason_ = reason;
    close();
}

void NbdConnection::fault(std::string_view reason) {
    if (state_ < State::draining) {
        reason_ = reason;
        is_fault_ = true;
    }
    close();
}

/// The socket is no longer usable.
void NbdConnection::lose(int code) {
    if (state_ == State::closed) return;
    if (tls_ != nullptr && !tls_->problem().empty()) return fault(tls_->problem());
    if (state_ < State::draining)
        reason_ = code == ECONNRESET || code == EPIPE ? "the client is gone" : "the socket failed";
    close();
}

void NbdConnection::stop_reading() {
    stop_waiting();
    wait_ = Wait::none;
    if (receive_.idle()) {
        if (current_ != nullptr) release(*std::exchange(current_, nullptr));
    } else {
        stream_->cancel(receive_);  // The half-read payload is dropped when it has ended.
    }
}

/// Whether the last reply is out; called at the end of turns and when an operation ends.
void NbdConnection::check_drained() {
    if (state_ != State::draining || !send_.idle() || !receive_.idle()) return;
    if (current_ != nullptr) release(*std::exchange(current_, nullptr));
    if (in_flight_ > 0) return watch();
    if (preamble_.empty()) linger();
}

/// Closes so that the client reads our last words: a socket closed over unread bytes would cut them
/// off.
void NbdConnection::linger() {
    int unread = 0;
    stream_->end_sending();
    const bool silent = ::ioctl(stream_->fd(), FIONREAD, &unread) == 0 && unread == 0;
    if (end_seen_ || (silent && !linger_wanted_)) return close();
    state_ = State::lingering;
    staged_begin_ = staged_end_ = 0;
    if (!watch_.idle()) loop_.cancel(watch_);
    set_deadline(linger_deadline_, loop_.now() + limits::nbd_linger_timeout);
    receive_more();
}

void NbdConnection::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    stop_waiting();
    wait_ = Wait::none;
    loop_.disarm(timer_);
    stream_->shut_down();
    stream_->cancel(receive_);
    stream_->cancel(send_);
    if (!watch_.idle()) loop_.cancel(watch_);
    server_.observer().client_left(client_, reason_, is_fault_);
    settle();
}

/// Gives back what the closed connection has, as far as the kernel has let go of it.
void NbdConnection::settle() {
    if (retired_ || !receive_.idle() || !send_.idle() || !watch_.idle()) return;
    if (current_ != nullptr) release(*std::exchange(current_, nullptr));
    drop_replies();
    tls_ = nullptr;
    socket_ = nullptr;
    stream_.reset();
    if (staging_ != nullptr) ::munmap(staging_, limits::nbd_receive_bytes);
    staging_ = nullptr;
    if (in_flight_ > 0) return;
    if (export_ != nullptr) --export_->connections;
    retired_ = true;
    server_.retire(*this);
}

void NbdConnection::drop_replies() {
    while (NbdSlot* slot = replies_.pop_front()) release(*slot);
}

/// Notices a client that hangs up while it is not read.
void NbdConnection::watch() {
    if (!watch_.idle() || state_ == State::closed) return;
    const int events = end_seen_ || state_ != State::transmission ? 0 : POLLRDHUP;
    loop_.poll(watch_, socket_->file(), events);
}

void NbdConnection::watched(int32_t events) {
    if (state_ == State::closed) return settle();
    if (events < 0) {  // Cancelled; it may be wanted again by now.
        if (wait_ != Wait::none) watch();
        return check_drained();
    }
    if ((events & (POLLHUP | POLLERR)) != 0) return lose(ECONNRESET);
    // Half closed: the rest of its requests is still to be read. From now on only HUP is news.
    end_seen_ = true;
    if (wait_ != Wait::none) watch();
}

void NbdConnection::end_if_stalled(Instant now) {
    if (state_ == State::closed || now - moved_at_ < server_.options().stall_timeout) return;
    const bool half_read = current_ != nullptr && !receive_.idle();
    if (half_read) return fault("a request stopped half-way while others waited");
    if (!send_.idle()) fault("the client does not take its replies while others wait");
}

void NbdConnection::set_deadline(Instant& deadline, Instant value) {
    deadline = value;
    // A timer that is armed too early costs one wake-up under load; moving it would cost more.
    if (!timer_.armed() || value < timer_.deadline) loop_.arm(timer_, value);
}

void NbdConnection::time_out(Instant now) {
    if (state_ == State::closed) return;
    if (linger_deadline_ <= now) return close();
    if (handshake_deadline_ <= now) return fault("the handshake took too long");
    if (request_deadline_ <= now) return fault("a request stopped half-way");
    if (send_deadline_ <= now) return fault("the client does not take its replies");
    if (const Instant next = next_deadline(); next != never) loop_.arm(timer_, next);
}

Instant NbdConnection::next_deadline() const {
    return std::min({linger_deadline_, handshake_deadline_, request_deadline_, send_deadline_});
}

}  // namespace braidway::exports
