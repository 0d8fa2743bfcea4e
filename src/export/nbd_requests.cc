// SPDX-License-Identifier: Apache-2.0
// What a connection reads: requests, their reservations, their payloads.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "export/nbd_connection.h"
#include "export/nbd_server.h"

namespace braidway::exports {
namespace {

using namespace wire::nbd;

/// Payloads from this size on are received in place; what is staged before them is kept small.
constexpr size_t large_payload_bytes = 16384;
/// Staged behind a large payload: room for the next headers, little to copy of the next payload.
constexpr size_t small_window_bytes = 4096;
/// A client that sends this much in time is not stuck.
constexpr uint64_t progress_bytes_min = 65536;

/// One block-status answer: extents, and behind them their encoded form.
constexpr size_t extents_bytes = limits::extents_per_reply_max * sizeof(block::Extent);
constexpr size_t encoded_bytes = limits::extents_per_reply_max * 16;

IoOp op_of(uint16_t command) {
    switch (command) {
        case cmd_read:
            return IoOp::read;
        case cmd_write:
            return IoOp::write;
        case cmd_flush:
            return IoOp::flush;
        case cmd_trim:
            return IoOp::discard;
        case cmd_cache:
            return IoOp::cache;
        case cmd_write_zeroes:
            return IoOp::write_zeroes;
        default:
            return IoOp::block_status;
    }
}

}  // namespace

/// Posts the next receive; while the client cannot be read, watches it instead.
void NbdConnection::receive_more() {
    if (state_ == State::draining || state_ == State::closed || !receive_.idle()) return;
    if (wait_ != Wait::none) {
        request_deadline_ = never;  // It is we who are late.
        return watch();
    }
    if (staged_begin_ == staged_end_) {
        staged_begin_ = staged_end_ = 0;
    } else if (staged_begin_ > 0) {
        std::memmove(staging_, staging_ + staged_begin_, staged_bytes());
        staged_end_ = staged_bytes();
        staged_begin_ = 0;
    }
    size_t room = limits::nbd_receive_bytes - staged_end_;
    if (large_writes_) room = std::min(room, small_window_bytes);
    uint32_t pieces = 0;
    direct_bytes_ = 0;
    if (std::byte* target = payload_target(); target != nullptr) {
        direct_bytes_ = static_cast<size_t>(reader_->payload_left());
        const size_t filled = static_cast<size_t>(incoming_.payload_bytes) - direct_bytes_;
        receive_iov_[pieces++] = {target + filled, direct_bytes_};
    }
    receive_iov_[pieces++] = {staging_ + staged_end_, room};
    stream_->receive(receive_, receive_iov_, pieces);
}

void NbdConnection::received(int32_t result) {
    if (state_ == State::closed) return settle();
    if (state_ == State::draining) return check_drained();
    if (result < 0) return lose(-result);
    if (state_ == State::handshake && handshake_->phase() == wire::NbdHandshake::Phase::start_tls)
        return secured();
    if (state_ == State::lingering) {
        discarded_ += static_cast<size_t>(result);
        staged_begin_ = staged_end_ = 0;
        if (result == 0 || discarded_ > limits::nbd_discard_bytes_max) return close();
        return receive_more();
    }
    if (result == 0) return end_of_stream();
    account_received(static_cast<size_t>(result));
    if (state_ == State::handshake) return advance_handshake();
    take_requests();
}

void NbdConnection::account_received(size_t bytes) {
    const size_t direct = std::min(bytes, direct_bytes_);
    if (direct > 0) reader_->payload_arrived(direct);
    staged_end_ += bytes - direct;
    moved_at_ = loop_.now();
    progress_bytes_ += bytes;
    if (direct > 0 && reader_->payload_left() == 0) payload_complete();
}

/// The client has closed its side: what was read whole is done and answered, a piece is dropped.
void NbdConnection::end_of_stream() {
    end_seen_ = true;
    if (state_ == State::handshake) return lose(ECONNRESET);
    const bool half = current_ != nullptr || staged_bytes() > 0;
    leave(half ? "the client closed inside a request" : "the client closed", false);
}

/// Takes every request that is staged, as far as there is room for them.
void NbdConnection::take_requests() {
    while (state_ == State::transmission && wait_ == Wait::none && staged_bytes() > 0) {
        size_t taken = 0;
        const auto bytes = staged();
        const auto step = reader_->next(bytes, incoming_, taken);
        staged_begin_ += taken;
        if (step == wire::NbdRequestReader::Step::more) break;
        switch (step) {
            case wire::NbdRequestReader::Step::request:
                begin_request();
                break;
            case wire::NbdRequestReader::Step::payload:
                take_payload(bytes.first(taken));
                break;
            case wire::NbdRequestReader::Step::broken:
                return fault("no request begins where one should");
            case wire::NbdRequestReader::Step::more:
                break;
        }
    }
    if (state_ != State::transmission) return;
    watch_progress();
    server_.flush_at_turn_end(*this);  // Replies first: the client waits for them.
}

/// Sets the clock on a request that has begun to arrive; it must go on, not be quick.
void NbdConnection::watch_progress() {
    const bool half = staged_bytes() > 0 || current_ != nullptr;
    if (!half || wait_ != Wait::none) {
        request_deadline_ = never;
    } else if (request_deadline_ == never || progress_bytes_ >= progress_bytes_min) {
        progress_bytes_ = 0;
        set_deadline(request_deadline_, loop_.now() + server_.options().request_timeout);
    }
}

/// Where the payload that is arriving belongs; null when it is thrown away or there is none.
std::byte* NbdConnection::payload_target() {
    if (current_ == nullptr || incoming_.payload_bytes == 0 || incoming_.error != error_none)
        return nullptr;
    if (incoming_.command == cmd_write) return current_->buffer->data;
    return current_->head.data();  // Block status: a few bytes.
}

/// A piece of the payload of the request that was read last.
void NbdConnection::take_payload(std::span<const std::byte> payload) {
    const uint64_t end = incoming_.payload_bytes - reader_->payload_left();
    const uint64_t begin = end - payload.size();
    if (std::byte* target = payload_target(); target != nullptr)
        std::memcpy(target + begin, payload.data(), payload.size());
    if (reader_->payload_left() == 0) payload_complete();
}

void NbdConnection::begin_request() {
    if (incoming_.command == cmd_disc) {
        return leave("the client disconnected", false);
    }
    if (incoming_.error != error_none && incoming_.payload_bytes > limits::nbd_discard_bytes_max)
        return fault("a payload is far too large");
    if (!reserve(false)) return;
    if (reader_->payload_left() == 0) payload_complete();
}

uint32_t NbdConnection::bytes_needed() const {
    if (incoming_.error != error_none) return 0;
    switch (incoming_.command) {
        case cmd_read:
        case cmd_write:
            return static_cast<uint32_t>(incoming_.length);
        case cmd_block_status:
            return incoming_.has(cmd_flag_req_one) ? 0 : extents_bytes + encoded_bytes;
        default:
            return 0;
    }
}

/// Takes all that the incoming request needs, or nothing; then `wait_` says what it waits for.
bool NbdConnection::reserve(bool first_in_line) {
    const uint32_t bytes = bytes_needed();
    wait_ = Wait::none;
    if (in_flight_ >= limits::nbd_requests_per_connection ||
        (in_flight_ > 0 && bytes_in_flight_ + bytes > limits::nbd_bytes_per_connection)) {
        wait_ = Wait::own;
        return false;
    }
    block::Gate* gate = export_->options().gate;
    if (gate != nullptr && !gate->open()) {
        wait_ = Wait::gate;
        gate->wait(gate_waiter_);
        return false;
    }
    return reserve_volume(bytes, first_in_line);
}

bool NbdConnection::reserve_volume(uint32_t bytes, bool first_in_line) {
    const auto stand = [&](IntrusiveList<NbdConnection, NbdWaitTag>& line, Wait wait) {
        wait_ = wait;
        server_.under_pressure();
        if (first_in_line)
            line.push_front(*this);
        else
            line.push_back(*this);
        return false;
    };
    auto& volume_line = export_->waiters;
    auto& pool_line = server_.pool_waiters();
    if (!first_in_line && !volume_line.empty()) return stand(volume_line, Wait::volume);
    if (!first_in_line && bytes > 0 && !pool_line.empty()) return stand(pool_line, Wait::pool);
    if (export_->slots.in_use() == export_->slots.capacity() ||
        (bytes > 0 && export_->bytes_in_use > 0 &&
         export_->bytes_in_use + bytes > export_->options().bytes_max))
        return stand(volume_line, Wait::volume);
    auto& arrival_line = server_.arrival_waiters();
    const bool arriving = bytes > 0 && reader_->payload_left() > staged_bytes();
    if (arriving && !first_in_line && !arrival_line.empty())
        return stand(arrival_line, Wait::arrival);
    if (arriving && !server_.may_arrive(*export_, bytes)) return stand(arrival_line, Wait::arrival);
    memory::Buffer* buffer = nullptr;
    if (bytes > 0) {
        buffer = server_.pool().allocate(bytes);
        if (buffer == nullptr) return stand(pool_line, Wait::pool);
    }
    NbdSlot* slot = export_->slots.take();
    slot->reset();
    slot->wire = incoming_;
    slot->buffer = buffer;
    slot->reserved_bytes = buffer == nullptr ? 0 : buffer->bytes;
    ++in_flight_;
    bytes_in_flight_ += slot->reserved_bytes;
    slot->arriving = arriving;
    if (arriving) {
        export_->bytes_arriving += slot->reserved_bytes;
        server_.bytes_arriving += slot->reserved_bytes;
    }
    export_->bytes_in_use += slot->reserved_bytes;
    current_ = slot;
    return true;
}

/// Leaves whatever line it stands in.
void NbdConnection::stop_waiting() {
    switch (wait_) {
        case Wait::none:
        case Wait::own:
            return;
        case Wait::gate:
            export_->options().gate->leave(gate_waiter_);
            return;
        case Wait::volume:
            if (ListNode<NbdWaitTag>::linked()) export_->waiters.remove(*this);
            break;
        case Wait::pool:
            if (ListNode<NbdWaitTag>::linked()) server_.pool_waiters().remove(*this);
            break;
        case Wait::arrival:
            if (ListNode<NbdWaitTag>::linked()) server_.arrival_waiters().remove(*this);
            break;
    }
    server_.wake_waiters();  // The next in line has not asked yet.
}

void NbdConnection::retry() {
    const bool in_line = wait_ == Wait::volume || wait_ == Wait::pool || wait_ == Wait::arrival;
    if (!reserve(in_line)) return;
    if (!watch_.idle()) loop_.cancel(watch_);
    if (reader_->payload_left() == 0) payload_complete();
    take_requests();
}

/// The payload is here, or will never be.
void NbdConnection::has_arrived(NbdSlot& slot) {
    if (!slot.arriving) return;
    slot.arriving = false;
    export_->bytes_arriving -= slot.reserved_bytes;
    server_.bytes_arriving -= slot.reserved_bytes;
    if (!server_.arrival_waiters().empty()) server_.wake_waiters();
}

/// The request is here as a whole: it is run, or refused.
void NbdConnection::payload_complete() {
    NbdSlot& slot = *std::exchange(current_, nullptr);
    has_arrived(slot);
    request_deadline_ = never;
    large_writes_ = slot.wire.payload_bytes >= large_payload_bytes;
    if (slot.wire.error == error_none && slot.wire.command == cmd_block_status &&
        slot.wire.payload_bytes > 0) {
        const std::span<const std::byte> payload(slot.head);
        const auto read = wire::read_block_status_payload(
            payload.first(static_cast<size_t>(slot.wire.payload_bytes)), slot.wire,
            reader_->session());
        if (slot.wire.error == error_none && !read.base_allocation) return reply_done(slot);
    }
    if (slot.wire.error != error_none) return reply_error(slot);
    run(slot);
}

/// Fills in the block request.
void NbdConnection::run(NbdSlot& slot) {
    const wire::NbdRequest& wire = slot.wire;
    slot.op = op_of(wire.command);
    slot.offset_bytes = wire.offset;
    slot.length_bytes = wire.length;
    if (slot.op == IoOp::flush) {
        slot.offset_bytes = slot.length_bytes = 0;
    } else if (wire.length == 0) {
        return reply_done(slot);
    }
    slot.fua = wire.has(cmd_flag_fua) && changes_data(slot.op);
    slot.may_unmap = slot.op == IoOp::write_zeroes && !wire.has(cmd_flag_no_hole);
    slot.fast_zero = wire.has(cmd_flag_fast_zero);
    if (slot.has_data()) {
        slot.memory = {slot.buffer->data, static_cast<size_t>(wire.length)};
        slot.data = {&slot.memory, 1};
    } else if (slot.op == IoOp::block_status) {
        if (slot.buffer == nullptr)
            slot.extents = {&slot.one_extent, 1};
        else
            slot.extents = {reinterpret_cast<block::Extent*>(slot.buffer->data),
                            limits::extents_per_reply_max};
    }
    submit(slot);
}

void NbdConnection::submit(NbdSlot& slot) {
    block::BlockDevice& device = *export_->options().device;
    ++export_->counters.requests[static_cast<size_t>(slot.op)];
    const bool unknowable = slot.op == IoOp::block_status && !device.geometry().can_block_status;
    const IoStatus status =
        unknowable ? IoStatus::not_supported : block::check_request(slot, device.geometry());
    slot.push(*this);
    if (status == IoStatus::ok)
        device.submit(slot);
    else
        block::finish_soon(loop_, slot, status);
}

}  // namespace braidway::exports
