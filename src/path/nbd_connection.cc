// SPDX-License-Identifier: Apache-2.0
// The life of a connection: handshake, time, endings. Commands and answers are in
// nbd_connection_io.cc.
#include "path/nbd_connection.h"

#include <fmt/format.h>

#include <utility>

#include "base/units.h"

namespace braidway::path {

NbdConnection::NbdConnection(loop::Loop& loop, const NbdConnectionOptions& options, Owner& owner)
    : loop_(loop),
      options_(options),
      owner_(owner),
      connector_(loop),
      peer_(loop),
      handshake_(options.wishes),
      pieces_(pieces_start),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(limits::nbd_receive_bytes)) {
    for (uint32_t slot = 0; slot < slots_.size(); ++slot)
        free_slots_[free_slot_count_++] = static_cast<uint8_t>(slots_.size() - 1 - slot);
    receive_.owner = send_.owner = send_soon_.owner = timer_.owner = this;
    receive_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<NbdConnection*>(operation.owner)->received(result);
    };
    send_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<NbdConnection*>(operation.owner)->sent(result);
    };
    send_soon_.run = [](loop::TurnEnd& hook) {
        static_cast<NbdConnection*>(hook.owner)->send_commands();
    };
    timer_.fire = [](loop::Timer& timer, Instant now) {
        static_cast<NbdConnection*>(timer.owner)->check_time(now);
    };
}

NbdConnection::~NbdConnection() {
    CHECK(quiet(), "a connection goes after its last operation");
}

bool NbdConnection::quiet() const {
    return state_ == State::closed && connector_.quiet() && peer_.quiet();
}

void NbdConnection::start() {
    connector_.connect(options_.target, [this](Result<int> socket) { connected(socket); });
}

void NbdConnection::connected(Result<int> socket) {
    if (!socket) return cut(socket.error().message, IoStatus::transport);
    stream_ = std::make_unique<loop::SocketStream>(loop_, *socket);
    if (!options_.target.socket.empty()) peer_.find(*socket);
    state_ = State::handshake;
    receive_more();
}

// --- handshake ----------------------------------------------------------------------------------

void NbdConnection::take_handshake() {
    const std::span<const std::byte> bytes(buffer_.get() + begin_, end_ - begin_);
    begin_ += handshake_.feed(bytes, words_);
    handshake_said();
}

/// Goes on as the handshake says after it was fed.
void NbdConnection::handshake_said() {
    switch (handshake_.phase()) {
        case wire::NbdClientHandshake::Phase::greeting:
        case wire::NbdClientHandshake::Phase::options:
            return send_handshake();
        case wire::NbdClientHandshake::Phase::start_tls:
            state_ = State::upgrading;
            return begin_upgrade();
        case wire::NbdClientHandshake::Phase::failed:
            return cut(handshake_.problem(), IoStatus::transport);
        case wire::NbdClientHandshake::Phase::transmission:
            break;
    }
    state_ = State::open;
    wire::NbdAwaitedRequests& awaited = *this;
    reader_.emplace(offer().session, offer().allocation_id, awaited);
    heard_ = loop_.now();
    if (options_.keepalive) {
        probe_memory_.resize(offer().session.minimum_block);
        probe_iov_ = {probe_memory_.data(), probe_memory_.size()};
        arm(heard_ + *options_.keepalive);
    }
    owner_.entered(*this);
}

void NbdConnection::send_handshake() {
    if (words_.empty() || !send_.idle()) return;
    words_sending_ = std::exchange(words_, {});
    pieces_[0] = {words_sending_.data(), words_sending_.size()};
    pieces_begin_ = 0;
    pieces_end_ = 1;
    stream_->send(send_, pieces_.data(), 1);
}

/// What was said in plain must be out before the stream changes hands.
void NbdConnection::begin_upgrade() {
    if (!send_.idle()) return;
    if (!options_.upgrade) return cut("TLS is not built in yet", IoStatus::transport);
    upgrade_ = options_.upgrade(loop_);
    upgrade_busy_ = true;
    upgrade_->begin(std::move(stream_), [this](Result<std::unique_ptr<loop::Stream>> stream) {
        upgraded(std::move(stream));
    });
}

void NbdConnection::upgraded(Result<std::unique_ptr<loop::Stream>> stream) {
    upgrade_busy_ = false;
    if (stream) stream_ = std::move(*stream);
    if (state_ != State::upgrading) return finish_if_idle();
    if (!stream) return cut(stream.error().message, IoStatus::transport);
    state_ = State::handshake;
    handshake_.tls_started(words_);
    send_handshake();
    receive_more();
}

// --- time ---------------------------------------------------------------------------------------

void NbdConnection::arm(Instant deadline) {
    if (!timer_.armed() || deadline < timer_.deadline) loop_.arm(timer_, deadline);
}

void NbdConnection::check_time(Instant now) {
    if (state_ == State::leaving) return cut("not needed any more", IoStatus::transport);
    if (NbdCommand* oldest = by_age_.front()) {
        const auto patience =
            oldest == &probe_ && !options_.io_timeout ? options_.keepalive : options_.io_timeout;
        if (!patience) return;
        if (oldest->started + *patience > now) return arm(oldest->started + *patience);
        return cut(fmt::format("no answer from the server in {}{}", format_duration(*patience),
                               oldest == &probe_ ? " to a read that keeps an idle connection" : ""),
                   IoStatus::timeout);
    }
    if (state_ != State::open || !options_.keepalive) return;
    if (heard_ + *options_.keepalive > now) return arm(heard_ + *options_.keepalive);
    probe();
}

/// Reads something small, only to see whether there is an answer.
void NbdConnection::probe() {
    probe_.command = wire::nbd::cmd_read;
    probe_.offset = 0;
    probe_.length = static_cast<uint32_t>(probe_memory_.size());
    probe_.data = {&probe_iov_, 1};
    probe_.started = loop_.now();
    submit(probe_);
    if (!options_.io_timeout) arm(probe_.started + *options_.keepalive);
}

// --- the end ------------------------------------------------------------------------------------

void NbdConnection::drain() {
    if (state_ != State::open) return cut("not needed any more", IoStatus::transport);
    state_ = State::draining;
    while (NbdCommand* command = queued_.pop_front()) {
        command->status = IoStatus::transport;
        command->maybe_executed = false;
        command->error_text = "the connection is being closed";
        end(*command);
    }
    bool changes = false;
    for (NbdCommand* each = by_age_.front(); each != nullptr; each = by_age_.after(*each))
        changes = changes || each->command == wire::nbd::cmd_write ||
                  each->command == wire::nbd::cmd_trim ||
                  each->command == wire::nbd::cmd_write_zeroes;
    if (state_ != State::draining) return;
    if (by_age_.empty())
        leave();
    else if (!changes)
        cut("not needed any more", IoStatus::transport);
}

/// Says good-bye; what the server still sends is of no interest.
void NbdConnection::leave() {
    state_ = State::leaving;
    // A server that does not take it does not matter.
    loop_.arm_after(timer_, limits::nbd_linger_timeout);
    // That the last words of the handshake are out may not be known yet.
    send_.patient = false;
    if (!send_.idle()) return;
    said_goodbye_ = true;
    probe_.command = wire::nbd::cmd_disc;
    probe_.offset = probe_.length = 0;
    probe_.cookie = 0;
    probe_.write(probe_.head.data(), 0);
    pieces_[0] = {probe_.head.data(), probe_.head.size()};
    pieces_begin_ = 0;
    pieces_end_ = 1;
    stream_->send(send_, pieces_.data(), 1);
}

void NbdConnection::cut(std::string reason, IoStatus status) {
    if (state_ >= State::cutting) return;
    state_ = State::cutting;
    reason_ = std::move(reason);
    cut_status_ = status;
    loop_.disarm(timer_);
    connector_.cancel();
    if (upgrade_busy_) upgrade_->cancel();
    if (stream_ != nullptr) {
        stream_->shut_down();
        if (!receive_.idle()) stream_->cancel(receive_);
        if (!send_.idle()) stream_->cancel(send_);
    }
    finish_if_idle();
}

/// The last step: nothing of the loop's names memory of the commands any more.
void NbdConnection::finish_if_idle() {
    if (state_ != State::cutting || !receive_.idle() || !send_.idle() || upgrade_busy_ ||
        send_soon_.linked())
        return;
    stream_.reset();
    while (NbdCommand* command = by_age_.front()) {
        if (command->stage == NbdCommand::Stage::queued) queued_.remove(*command);
        if (command->stage == NbdCommand::Stage::sending) sending_.remove(*command);
        command->maybe_executed = command->stage != NbdCommand::Stage::queued;
        command->status = cut_status_;
        command->error_text =
            cut_status_ == IoStatus::timeout ? "no answer in time" : "the connection was lost";
        if (command->answered) {
            // Its answer was here before the end.
            command->status = wire::io_status_from_nbd(command->error);
            command->maybe_executed = false;
            command->error_text = {};
        }
        end(*command);
    }
    state_ = State::closed;
    owner_.closed(*this);
}

}  // namespace braidway::path
