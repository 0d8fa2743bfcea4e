// SPDX-License-Identifier: Apache-2.0
// A connection's commands and answers.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "path/nbd_connection.h"

namespace braidway::path {
namespace {

/// Reads from this size on are received in place; what is received behind them is kept small.
constexpr uint32_t large_read_bytes = 32u << 10;
constexpr size_t small_window_bytes = 4096;
constexpr unsigned slot_bits = 8;

bool is_large_read(const NbdCommand& command) {
    return command.command == wire::nbd::cmd_read && command.length >= large_read_bytes;
}

}  // namespace

uint32_t name_pieces(std::span<const iovec> memory, uint64_t at, uint64_t length, iovec* to,
                     uint32_t pieces_max, uint64_t& named) {
    uint32_t pieces = 0;
    named = 0;
    for (const iovec& piece : memory) {
        if (at >= piece.iov_len) {
            at -= piece.iov_len;
            continue;
        }
        if (named == length || pieces == pieces_max) break;
        const size_t bytes = std::min<uint64_t>(piece.iov_len - at, length - named);
        to[pieces++] = {static_cast<std::byte*>(piece.iov_base) + at, bytes};
        named += bytes;
        at = 0;
    }
    return pieces;
}

// --- sending ------------------------------------------------------------------------------------

void NbdConnection::submit(NbdCommand& command) {
    CHECK(open(), "commands are for connections that are open");
    command.stage = NbdCommand::Stage::queued;
    command.answered = command.maybe_executed = false;
    by_age_.push_back(command);
    queued_.push_back(command);
    if (options_.io_timeout) arm(command.started + *options_.io_timeout);
    ask_to_send();
}

void NbdConnection::ask_to_send() {
    if (queued_.empty() || free_slot_count_ == 0) return;
    if (send_.idle())
        loop_.at_turn_end(send_soon_);
    else
        send_.patient = false;
}

void NbdConnection::send_commands() {
    if (state_ == State::cutting) return finish_if_idle();
    if (state_ != State::open) return;
    if (!send_.idle()) {
        // The rest of a batch is on its way; somebody waits for its end now.
        if (!queued_.empty()) send_.patient = false;
        return;
    }
    pieces_begin_ = pieces_end_ = 0;
    batch_bytes_ = batch_sent_ = 0;
    while (NbdCommand* command = queued_.front()) {
        if (free_slot_count_ == 0 || batch_bytes_ >= limits::nbd_send_bytes) break;
        if (!add_to_batch(*command)) break;
    }
    if (pieces_end_ == 0) return;
    // What comes next is an answer, or a command that does not find it idle.
    send_.patient = queued_.empty() || free_slot_count_ == 0;
    stream_->send(send_, pieces_.data(), pieces_end_);
    expect_answer();
}

/// With more than one command under way it is better to let their answers gather.
void NbdConnection::expect_answer() {
    if (by_age_.size() == 1) loop_.look_first();
}

/// False when there is no room for its pieces in this batch.
bool NbdConnection::add_to_batch(NbdCommand& command) {
    const bool has_payload = command.command == wire::nbd::cmd_write;
    const size_t needed = 1 + (has_payload ? command.data.size() : 0);
    if (pieces_end_ + needed > pieces_.size()) {
        if (pieces_end_ > 0) return false;
        pieces_.resize(needed);
    }
    queued_.remove(command);
    sending_.push_back(command);
    command.stage = NbdCommand::Stage::sending;
    const uint8_t slot = free_slots_[--free_slot_count_];
    slots_[slot] = &command;
    command.cookie = next_serial_++ << slot_bits | slot;
    command.write(command.head.data(), command.flags);
    if (is_large_read(command)) ++large_reads_;
    pieces_[pieces_end_++] = {command.head.data(), command.head.size()};
    batch_bytes_ += command.head.size();
    if (has_payload) {
        uint64_t named = 0;
        pieces_end_ +=
            name_pieces(command.data, command.data_at, command.length, pieces_.data() + pieces_end_,
                        static_cast<uint32_t>(pieces_.size()) - pieces_end_, named);
        CHECK(named == command.length, "the memory of a write is as long as the write");
        batch_bytes_ += command.length;
    }
    command.send_end = batch_bytes_;
    return true;
}

void NbdConnection::sent(int32_t result) {
    if (state_ == State::cutting) return finish_if_idle();
    if (result <= 0) {
        closed_by_peer_ = result == -EPIPE || result == -ECONNRESET;
        return lost(result);
    }
    batch_sent_ += static_cast<uint64_t>(result);
    auto left = static_cast<uint64_t>(result);
    while (pieces_begin_ < pieces_end_ && left >= pieces_[pieces_begin_].iov_len)
        left -= pieces_[pieces_begin_++].iov_len;
    if (pieces_begin_ < pieces_end_) {
        iovec& piece = pieces_[pieces_begin_];
        piece = {static_cast<std::byte*>(piece.iov_base) + left, piece.iov_len - left};
    }
    if (state_ == State::handshake || state_ == State::upgrading) {
        if (pieces_begin_ < pieces_end_) return send_rest();
        return state_ == State::handshake ? send_handshake() : begin_upgrade();
    }
    while (NbdCommand* command = sending_.front()) {
        if (command->send_end > batch_sent_) break;
        sending_.remove(*command);
        command->stage = NbdCommand::Stage::awaited;
        if (command->answered) end(*command);
        // Its end may have been the connection's, too, or the good-bye is being said.
        if (state_ >= State::cutting || !send_.idle()) return;
    }
    if (pieces_begin_ < pieces_end_) return send_rest();
    if (state_ == State::leaving)
        return said_goodbye_ ? cut("not needed any more", IoStatus::transport) : leave();
    ask_to_send();
}

void NbdConnection::send_rest() {
    stream_->send(send_, pieces_.data() + pieces_begin_, pieces_end_ - pieces_begin_);
}

/// The stream has failed, or the server has closed it. What the stream itself knows says most.
void NbdConnection::lost(int32_t result) {
    std::string why;
    if (!stream_->problem().empty())
        why = fmt::format("TLS: {}", stream_->problem());
    else if (handshake_.phase() == wire::NbdClientHandshake::Phase::failed)
        why = handshake_.problem();
    else if (result == 0)
        why = "the server closed the connection";
    else
        why = fmt::format("the connection was lost: {}", errno_text(-result));
    cut(std::move(why), IoStatus::transport);
}

// --- receiving ----------------------------------------------------------------------------------

void NbdConnection::receive_more() {
    if (begin_ == end_) {
        begin_ = end_ = 0;
    } else if (begin_ > 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    uint32_t count = 0;
    direct_bytes_ = 0;
    size_t room = limits::nbd_receive_bytes - end_;
    if (reader_ && reader_->data_left() > 0) {
        const auto& command = static_cast<const NbdCommand&>(*reader_->data_request());
        count =
            name_pieces(command.data, command.data_at + reader_->data_at(), reader_->data_left(),
                        receive_iov_.data(), receive_pieces, direct_bytes_);
    }
    if (large_reads_ > 0) room = std::min(room, small_window_bytes);
    receive_iov_[count++] = {buffer_.get() + end_, room};
    stream_->receive(receive_, receive_iov_.data(), count);
    expect_answer();
}

void NbdConnection::received(int32_t result) {
    if (state_ == State::cutting) return finish_if_idle();
    if (result <= 0) {
        closed_by_peer_ = result == 0 || result == -ECONNRESET;
        if (state_ == State::handshake) handshake_.closed();
        return lost(result);
    }
    auto bytes = static_cast<uint64_t>(result);
    heard_ = loop_.now();
    if (direct_bytes_ > 0) {
        const uint64_t direct = std::min(bytes, direct_bytes_);
        reader_->data_arrived(static_cast<uint32_t>(direct));
        bytes -= direct;
    }
    end_ += bytes;
    take_received();
    if (state_ < State::cutting && state_ != State::upgrading) receive_more();
}

void NbdConnection::take_received() {
    if (state_ == State::handshake) take_handshake();
    if (state_ == State::open || state_ == State::draining) take_replies();
    if (state_ == State::leaving) begin_ = end_;
}

void NbdConnection::take_replies() {
    wire::NbdReplyEvent event;
    while (state_ == State::open || state_ == State::draining) {
        size_t taken = 0;
        const auto step = reader_->next({buffer_.get() + begin_, end_ - begin_}, event, taken);
        begin_ += taken;
        switch (step) {
            case wire::NbdReplyReader::Step::more:
                return;
            case wire::NbdReplyReader::Step::data:
                copy_in(event);
                break;
            case wire::NbdReplyReader::Step::hole:
                fill_zeroes(event);
                break;
            case wire::NbdReplyReader::Step::extent:
                owner_.extent_told(static_cast<NbdCommand&>(*event.request), event.extent);
                break;
            case wire::NbdReplyReader::Step::done:
                answered(static_cast<NbdCommand&>(*event.request),
                         wire::io_status_from_nbd(event.request->error));
                break;
            case wire::NbdReplyReader::Step::broken:
                return cut(reader_->problem(), IoStatus::transport);
        }
    }
}

void NbdConnection::copy_in(const wire::NbdReplyEvent& event) {
    const auto& command = static_cast<const NbdCommand&>(*event.request);
    std::span<const std::byte> data = event.data;
    uint64_t at = command.data_at + event.at;
    while (!data.empty()) {
        iovec piece{};
        uint64_t named = 0;
        CHECK(name_pieces(command.data, at, data.size(), &piece, 1, named) == 1,
              "the memory of a read is as long as the read");
        std::memcpy(piece.iov_base, data.data(), named);
        data = data.subspan(named);
        at += named;
    }
}

void NbdConnection::fill_zeroes(const wire::NbdReplyEvent& event) {
    auto& command = static_cast<NbdCommand&>(*event.request);
    if (&command != &probe_ && owner_.hole_told(command, event.at, event.length)) return;
    uint64_t at = command.data_at + event.at;
    for (uint64_t left = event.length; left > 0;) {
        iovec piece{};
        uint64_t named = 0;
        CHECK(name_pieces(command.data, at, left, &piece, 1, named) == 1,
              "the memory of a read is as long as the read");
        std::memset(piece.iov_base, 0, named);
        left -= named;
        at += named;
    }
}

wire::NbdAwaited* NbdConnection::find(uint64_t cookie) {
    const auto slot = static_cast<size_t>(cookie & ((1u << slot_bits) - 1));
    if (slot >= slots_.size()) return nullptr;
    NbdCommand* command = slots_[slot];
    return command != nullptr && command->cookie == cookie && !command->answered ? command
                                                                                 : nullptr;
}

void NbdConnection::answered(NbdCommand& command, IoStatus status) {
    command.status = status;
    command.maybe_executed = false;
    command.error_text = {};
    command.answered = true;
    // An answer may overtake the news that the command was sent; its memory is still lent then.
    if (command.stage != NbdCommand::Stage::sending) end(command);
}

void NbdConnection::forget_slot(const NbdCommand& command) {
    const auto slot = static_cast<uint8_t>(command.cookie & ((1u << slot_bits) - 1));
    slots_[slot] = nullptr;
    free_slots_[free_slot_count_++] = slot;
    if (is_large_read(command)) --large_reads_;
}

/// Gives a command back. It is in no list but that of all.
void NbdConnection::end(NbdCommand& command) {
    if (command.stage != NbdCommand::Stage::queued) forget_slot(command);
    command.stage = NbdCommand::Stage::idle;
    by_age_.remove(command);
    if (&command != &probe_) owner_.command_ended(*this, command);
    if (state_ == State::draining && by_age_.empty()) leave();
    if (state_ != State::open) return;
    ask_to_send();
    if (by_age_.empty() && options_.keepalive && !timer_.armed()) arm(heard_ + *options_.keepalive);
}

}  // namespace braidway::path
