// SPDX-License-Identifier: Apache-2.0
// What a connection writes: replies, collected and sent together.
#include <algorithm>

#include "export/nbd_connection.h"
#include "export/nbd_server.h"

namespace braidway::exports {
namespace {

using namespace wire::nbd;

uint32_t state_of(const block::Extent& extent) {
    return (extent.hole ? state_hole : 0) | (extent.zero ? state_zero : 0);
}

/// The last extents, merged and cut to the range that was asked for, in the form of the wire.
class ExtentEncoder {
  public:
    ExtentEncoder(const wire::NbdReplyWriter& writer, std::byte* to, uint64_t length,
                  uint64_t extent_max)
        : writer_(writer), to_(to), left_(length), extent_max_(extent_max) {}

    /// False when there is nothing more to say.
    bool add(uint64_t length, uint32_t state) {
        length = std::min(length, left_);
        if (length == 0) return left_ > 0;
        if (count_ > 0 && state == last_.state && length <= extent_max_ - last_.length_bytes) {
            last_.length_bytes += length;
        } else {
            // Where an extent was cut, none can follow: the client would place it wrongly.
            if (length > extent_max_) left_ = length = extent_max_;
            last_ = {length, state};
            ++count_;
        }
        left_ -= length;
        writer_.extent(to_ + (count_ - 1) * writer_.extent_bytes(), last_);
        return left_ > 0;
    }
    uint32_t count() const { return count_; }

  private:
    const wire::NbdReplyWriter& writer_;
    std::byte* to_;
    uint64_t left_;
    uint64_t extent_max_;
    wire::NbdExtent last_;
    uint32_t count_ = 0;
};

}  // namespace

/// A request has come back from the device.
void NbdConnection::completed(block::Request& request) {
    auto& slot = static_cast<NbdSlot&>(request);
    slot.pop();
    if (slot.op == IoOp::block_status && slot.status() == IoStatus::not_supported) {
        // Nothing is known: all of it may be data.
        slot.extents[0] = {slot.length_bytes, false, false};
        slot.extents_count = 1;
    } else if (slot.op == IoOp::cache && slot.status() == IoStatus::not_supported) {
        // A hint that nobody takes.
    } else if (slot.status() != IoStatus::ok) {
        ++export_->counters.errors;
        return reply_failed(slot);
    }
    if (slot.op == IoOp::read) {
        export_->counters.bytes_read += slot.length_bytes;
        return reply_read(slot);
    }
    if (slot.op == IoOp::block_status) return reply_block_status(slot);
    if (slot.op == IoOp::write) export_->counters.bytes_written += slot.length_bytes;
    reply_done(slot);
}

/// Refused by us, before any device saw it.
void NbdConnection::reply_error(NbdSlot& slot) {
    ++export_->counters.refused;
    const wire::NbdRequest& wire = slot.wire;
    slot.head_bytes = static_cast<uint32_t>(
        writer_.error(slot.head.data(), wire.cookie, wire.offset, wire.error, wire.error_text));
    push_reply(slot);
}

/// Failed by the device.
void NbdConnection::reply_failed(NbdSlot& slot) {
    const wire::NbdRequest& wire = slot.wire;
    const std::string_view text =
        slot.error_text.empty() ? io_status_name(slot.status()) : slot.error_text;
    slot.head_bytes = static_cast<uint32_t>(writer_.error(
        slot.head.data(), wire.cookie, wire.offset,
        wire::nbd_error_from(slot.status(), slot.fast_zero), text, slot.op == IoOp::read));
    push_reply(slot);
}

void NbdConnection::reply_done(NbdSlot& slot) {
    slot.head_bytes =
        static_cast<uint32_t>(writer_.done(slot.head.data(), slot.wire.cookie, slot.wire.offset));
    push_reply(slot);
}

void NbdConnection::reply_read(NbdSlot& slot) {
    const wire::NbdRequest& wire = slot.wire;
    const auto length = static_cast<uint32_t>(slot.length_bytes);
    std::byte* head = slot.head.data();
    if (slot.hole && reader_->session().structured) {
        slot.head_bytes =
            static_cast<uint32_t>(writer_.hole(head, wire.cookie, wire.offset, length));
    } else {
        slot.head_bytes =
            static_cast<uint32_t>(writer_.data(head, wire.cookie, wire.offset, length));
        // The device may have moved the request to another buffer: what counts is `data` now.
        slot.body = {slot.hole ? server_.zeroes() : slot.data[0].iov_base, length};
    }
    push_reply(slot);
}

void NbdConnection::reply_block_status(NbdSlot& slot) {
    const wire::NbdRequest& wire = slot.wire;
    const bool one = wire.has(cmd_flag_req_one);
    std::byte* head = slot.head.data();
    const size_t fixed = writer_.block_status(head, wire.cookie, wire.offset, 1);
    std::byte* to = head + fixed;
    if (slot.buffer != nullptr)
        to = slot.buffer->data + limits::extents_per_reply_max * sizeof(block::Extent);
    const uint32_t block = reader_->session().minimum_block;
    const uint64_t extent_max =
        reader_->session().extended ? UINT64_MAX : UINT32_MAX - UINT32_MAX % block - block;
    ExtentEncoder encoder(writer_, to, slot.length_bytes, extent_max);
    for (uint32_t at = 0; at < slot.extents_count; ++at)
        if (!encoder.add(slot.extents[at].length_bytes, state_of(slot.extents[at]))) break;
    if (encoder.count() == 0) encoder.add(slot.length_bytes, 0);
    const uint32_t count = one ? 1 : encoder.count();
    slot.head_bytes =
        static_cast<uint32_t>(writer_.block_status(head, wire.cookie, wire.offset, count));
    slot.body = {to, count * writer_.extent_bytes()};
    push_reply(slot);
}

/// Queues the reply; it goes out at the end of the turn.
void NbdConnection::push_reply(NbdSlot& slot) {
    if (state_ == State::closed) {
        release(slot);
        return settle();
    }
    replies_.push_back(slot);
    server_.flush_at_turn_end(*this);
}

/// Gives back all that the request had reserved.
void NbdConnection::release(NbdSlot& slot) {
    has_arrived(slot);
    if (slot.buffer != nullptr) slot.buffer->release();
    slot.buffer = nullptr;
    slot.body = {};
    --in_flight_;
    bytes_in_flight_ -= slot.reserved_bytes;
    export_->bytes_in_use -= slot.reserved_bytes;
    export_->slots.give_back(&slot);
    if (!export_->waiters.empty()) server_.wake_waiters();
}

void NbdConnection::flush() {
    if (state_ == State::closed) return;
    if (send_.idle()) {
        const unsigned pieces = gather();
        if (pieces == 0) {
            check_drained();
        } else {
            moved_at_ = loop_.now();
            set_deadline(send_deadline_, moved_at_ + server_.options().send_timeout);
            stream_->send(send_, send_iov_, pieces);
        }
    }
    if (state_ == State::transmission) receive_more();
    // An idle client costs no wake-up.
    if (timer_.armed() && next_deadline() == never) loop_.disarm(timer_);
}

/// Names the bytes of the next send, beginning where the last one ended.
unsigned NbdConnection::gather() {
    unsigned count = 0;
    size_t bytes = 0;
    const auto add = [&](const void* from, size_t length, size_t& skip) {
        const size_t skipped = std::min(skip, length);
        skip -= skipped;
        length = std::min(length - skipped, limits::nbd_send_bytes - bytes);
        if (length == 0) return;
        auto* begin = static_cast<std::byte*>(const_cast<void*>(from)) + skipped;
        send_iov_[count++] = {begin, length};
        bytes += length;
    };
    size_t skip = preamble_sent_;
    if (!preamble_.empty()) add(preamble_.data(), preamble_.size(), skip);
    skip = front_sent_;
    for (NbdSlot* slot = replies_.front(); slot != nullptr; slot = replies_.after(*slot)) {
        if (count + 2 > send_iovecs_max || bytes == limits::nbd_send_bytes) break;
        add(slot->head.data(), slot->head_bytes, skip);
        if (slot->body.iov_len > 0) add(slot->body.iov_base, slot->body.iov_len, skip);
    }
    return count;
}

void NbdConnection::sent(int32_t result) {
    if (state_ == State::closed) return settle();
    if (result <= 0) return lose(-result);
    send_deadline_ = never;
    account_sent(static_cast<size_t>(result));
    server_.flush_at_turn_end(*this);  // With what else completes in this turn.
    if (state_ == State::handshake) {
        if (preamble_.empty()) advance_handshake();
    } else if (wait_ == Wait::own) {
        retry();
    }
}

void NbdConnection::account_sent(size_t bytes) {
    if (!preamble_.empty()) {
        const size_t part = std::min(bytes, preamble_.size() - preamble_sent_);
        preamble_sent_ += part;
        bytes -= part;
        if (preamble_sent_ < preamble_.size()) return;
        preamble_sent_ = 0;
        preamble_.clear();
        if (!handshake_) preamble_.shrink_to_fit();
    }
    front_sent_ += bytes;
    while (NbdSlot* slot = replies_.front()) {
        const size_t whole = slot->head_bytes + slot->body.iov_len;
        if (front_sent_ < whole) break;
        front_sent_ -= whole;
        replies_.remove(*slot);
        release(*slot);
    }
}

}  // namespace braidway::exports
