// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_client_replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/limits.h"
#include "wire/nbd_request.h"

namespace braidway::wire {

using namespace nbd;

namespace {

constexpr uint32_t offset_bytes = 8;
constexpr uint32_t hole_bytes = 12;
constexpr uint32_t status_head_bytes = 4;
constexpr uint32_t extent_bytes = 8;
constexpr uint32_t error_head_bytes = 6;
/// More extents than any server sends; what the caller cannot keep it drops.
constexpr uint32_t status_bytes_max = status_head_bytes + (1u << 20);
constexpr uint32_t error_bytes_max = error_head_bytes + limits::nbd_string_bytes_max + offset_bytes;

}  // namespace

void NbdAwaited::write(std::byte* to, uint16_t flags) {
    store_big<uint32_t>(to, request_magic);
    store_big<uint16_t>(to + 4, flags);
    store_big<uint16_t>(to + 6, command);
    store_big<uint64_t>(to + 8, cookie);
    store_big<uint64_t>(to + 16, offset);
    store_big<uint32_t>(to + 24, length);
    error = error_none;
    stretches_ = 0;
    status_told = false;
}

bool NbdAwaited::cover(uint32_t begin, uint32_t end) {
    // Where the new stretch goes; nearly always behind the only one there is.
    uint32_t next = stretches_;
    while (next > 0 && covered_[next - 1].begin >= end) --next;
    const bool has_before = next > 0;
    if (has_before && covered_[next - 1].end > begin) return false;
    const bool joins_before = has_before && covered_[next - 1].end == begin;
    const bool joins_behind = next < stretches_ && covered_[next].begin == end;
    if (joins_before && joins_behind) {
        covered_[next - 1].end = covered_[next].end;
        std::copy(covered_.begin() + next + 1, covered_.begin() + stretches_,
                  covered_.begin() + next);
        --stretches_;
    } else if (joins_before) {
        covered_[next - 1].end = end;
    } else if (joins_behind) {
        covered_[next].begin = begin;
    } else {
        if (stretches_ == stretches_max) return false;
        std::copy_backward(covered_.begin() + next, covered_.begin() + stretches_,
                           covered_.begin() + stretches_ + 1);
        covered_[next] = {begin, end};
        ++stretches_;
    }
    return true;
}

NbdReplyReader::Step NbdReplyReader::next(std::span<const std::byte> bytes, NbdReplyEvent& event,
                                          size_t& taken) {
    taken = 0;
    // Each round takes one piece of control data, or ends with something for the caller.
    const auto piece = [&](size_t length) -> const std::byte* {
        if (!has(bytes, taken, length)) return nullptr;
        taken += length;
        return bytes.data() + taken - length;
    };
    for (;;) {
        const std::byte* head = nullptr;
        switch (state_) {
            case State::header:
                if (!take_header(bytes, taken)) return Step::more;
                break;
            case State::data_head:
                if (!(head = piece(offset_bytes))) return Step::more;
                take_data_head(head);
                break;
            case State::data:
                return take_data(bytes, event, taken);
            case State::hole:
                if (!(head = piece(hole_bytes))) return Step::more;
                return take_hole(head, event);
            case State::status_head:
                if (!(head = piece(status_head_bytes))) return Step::more;
                take_status_head(head);
                break;
            case State::extents:
                if (!(head = piece(extent_bytes))) return Step::more;
                return take_extent(head, event);
            case State::error_head:
                if (!(head = piece(error_head_bytes))) return Step::more;
                take_error_head(head);
                break;
            case State::error_text:
                take_error_text(bytes, taken);
                if (text_left_ > 0) return Step::more;
                break;
            case State::skip: {
                const auto count =
                    static_cast<uint32_t>(std::min<size_t>(left_, bytes.size() - taken));
                taken += count;
                left_ -= count;
                if (left_ > 0) return Step::more;
                state_ = State::finish;
                break;
            }
            case State::finish:
                state_ = State::header;
                if (last_) return finish(event);
                break;
            case State::broken:
                return Step::broken;
        }
    }
}

bool NbdReplyReader::take_header(std::span<const std::byte> bytes, size_t& taken) {
    if (!has(bytes, taken, sizeof(uint32_t))) return false;
    const std::byte* head = bytes.data() + taken;
    const uint32_t magic = load_big<uint32_t>(head);
    if (magic == simple_reply_magic) {
        if (!has(bytes, taken, simple_reply_bytes)) return false;
        taken += simple_reply_bytes;
        take_simple(head);
    } else if (magic == structured_reply_magic && structured_) {
        if (!has(bytes, taken, structured_chunk_bytes)) return false;
        taken += structured_chunk_bytes;
        take_chunk(head);
    } else {
        current_ = nullptr;
        break_off(fmt::format("no reply begins with {:08x}", magic));
    }
    return true;
}

void NbdReplyReader::take_simple(const std::byte* head) {
    const uint32_t error = load_big<uint32_t>(head + 4);
    const uint64_t cookie = load_big<uint64_t>(head + 8);
    current_ = requests_.find(cookie);
    text_bytes_ = 0;
    last_ = true;
    state_ = State::finish;
    if (current_ == nullptr) {
        break_off(fmt::format("a reply to cookie {:x}, which nothing waits for", cookie));
    } else if (error != error_none) {
        current_->error = error;
    } else if (current_->command == cmd_block_status) {
        break_off("a simple reply, which cannot carry it");
    } else if (current_->command == cmd_read) {
        if (structured_) {
            break_off("a simple reply although structured ones were agreed on");
        } else if (place(current_->offset, current_->length)) {
            state_ = State::data;
        }
    }
}

void NbdReplyReader::take_chunk(const std::byte* head) {
    const uint16_t flags = load_big<uint16_t>(head + 4);
    const uint16_t type = load_big<uint16_t>(head + 6);
    const uint64_t cookie = load_big<uint64_t>(head + 8);
    left_ = load_big<uint32_t>(head + 16);
    current_ = requests_.find(cookie);
    last_ = (flags & reply_flag_done) != 0;
    text_bytes_ = 0;
    if (current_ == nullptr)
        break_off(fmt::format("a reply to cookie {:x}, which nothing waits for", cookie));
    else
        begin_chunk(type);
}

void NbdReplyReader::begin_chunk(uint16_t type) {
    const auto wrong_length = [&] {
        break_off(fmt::format("a chunk of type {} with {} bytes", type, left_));
    };
    switch (type) {
        case reply_none:
            if (left_ != 0 || !last_) return wrong_length();
            state_ = State::finish;
            return;
        case reply_offset_data:
        case reply_offset_hole:
            if (current_->command != cmd_read) {
                break_off("read data that was not asked for");
            } else if (type == reply_offset_hole) {
                if (left_ != hole_bytes) return wrong_length();
                state_ = State::hole;
            } else {
                if (left_ <= offset_bytes) return wrong_length();
                left_ -= offset_bytes;
                state_ = State::data_head;
            }
            return;
        case reply_block_status:
            if (current_->command != cmd_block_status || !statuses_) {
                break_off("a block status that was not asked for");
            } else if (current_->status_told) {
                break_off("a block status twice");
            } else if (left_ < status_head_bytes + extent_bytes || left_ > status_bytes_max ||
                       (left_ - status_head_bytes) % extent_bytes != 0) {
                wrong_length();
            } else {
                left_ -= status_head_bytes;
                state_ = State::status_head;
            }
            return;
        default:
            break;
    }
    // Errors of later protocols are errors, too; whatever they carry begins in the same way.
    if ((type & (1 << 15)) == 0) {
        break_off(fmt::format("a chunk of type {}, which is unknown", type));
        return;
    }
    const uint32_t behind_text = type == reply_error_offset ? offset_bytes : 0;
    if (left_ < error_head_bytes + behind_text || left_ > error_bytes_max) return wrong_length();
    state_ = State::error_head;
}

/// Whether [offset, offset + length) is data of the current request that was not told before; then
/// that is where data goes.
bool NbdReplyReader::place(uint64_t offset, uint64_t length) {
    const uint64_t begin = offset - current_->offset;
    if (offset < current_->offset || begin > current_->length || length == 0 ||
        length > current_->length - begin) {
        break_off(fmt::format("data outside of it: {} bytes at {}", length, offset));
        return false;
    }
    at_ = static_cast<uint32_t>(begin);
    left_ = static_cast<uint32_t>(length);
    if (!current_->cover(at_, at_ + left_)) {
        break_off(fmt::format("data twice or in too many parts: {} bytes at {}", length, offset));
        return false;
    }
    return true;
}

void NbdReplyReader::take_data_head(const std::byte* head) {
    if (place(load_big<uint64_t>(head), left_)) state_ = State::data;
}

NbdReplyReader::Step NbdReplyReader::take_data(std::span<const std::byte> bytes,
                                               NbdReplyEvent& event, size_t& taken) {
    const auto count = static_cast<uint32_t>(std::min<size_t>(left_, bytes.size() - taken));
    if (count == 0) return Step::more;
    event.request = current_;
    event.at = at_;
    event.data = bytes.subspan(taken, count);
    taken += count;
    data_arrived(count);
    return Step::data;
}

void NbdReplyReader::data_arrived(uint32_t bytes) {
    at_ += bytes;
    left_ -= bytes;
    if (left_ == 0) state_ = State::finish;
}

NbdReplyReader::Step NbdReplyReader::take_hole(const std::byte* head, NbdReplyEvent& event) {
    if (!place(load_big<uint64_t>(head), load_big<uint32_t>(head + offset_bytes)))
        return Step::broken;
    event.request = current_;
    event.at = at_;
    event.length = left_;
    state_ = State::finish;
    return Step::hole;
}

void NbdReplyReader::take_status_head(const std::byte* head) {
    const uint32_t id = load_big<uint32_t>(head);
    if (id != allocation_id_) {
        break_off(fmt::format("a block status of context {}, which was not selected", id));
        return;
    }
    current_->status_told = true;
    state_ = State::extents;
}

NbdReplyReader::Step NbdReplyReader::take_extent(const std::byte* head, NbdReplyEvent& event) {
    event.request = current_;
    event.extent = {load_big<uint32_t>(head), load_big<uint32_t>(head + 4)};
    if (event.extent.length_bytes == 0) return break_off("an extent of no length");
    left_ -= extent_bytes;
    if (left_ == 0) state_ = State::finish;
    return Step::extent;
}

void NbdReplyReader::take_error_head(const std::byte* head) {
    const uint32_t error = load_big<uint32_t>(head);
    text_left_ = load_big<uint16_t>(head + 4);
    left_ -= error_head_bytes;
    if (error == error_none || text_left_ > left_) {
        break_off("an error chunk that is none");
        return;
    }
    left_ -= text_left_;
    if (current_->error == error_none) current_->error = error;
    state_ = text_left_ > 0 ? State::error_text : State::skip;
}

void NbdReplyReader::take_error_text(std::span<const std::byte> bytes, size_t& taken) {
    const auto count = static_cast<uint32_t>(std::min<size_t>(text_left_, bytes.size() - taken));
    const auto kept = std::min(count, static_cast<uint32_t>(text_.size()) - text_bytes_);
    if (kept > 0) std::memcpy(text_.data() + text_bytes_, bytes.data() + taken, kept);
    text_bytes_ += kept;
    taken += count;
    text_left_ -= count;
    // Where it failed, and whatever later protocols add, is nothing to a path.
    if (text_left_ == 0) state_ = State::skip;
}

NbdReplyReader::Step NbdReplyReader::finish(NbdReplyEvent& event) {
    if (current_->error == error_none) {
        if (current_->command == cmd_read && !current_->covered())
            return break_off("an end before all of the data was told");
        if (current_->command == cmd_block_status && !current_->status_told)
            return break_off("an end without a block status");
    }
    event.request = current_;
    event.text = {text_.data(), text_bytes_};
    current_ = nullptr;
    return Step::done;
}

NbdReplyReader::Step NbdReplyReader::break_off(std::string_view what) {
    if (current_ != nullptr)
        problem_ = fmt::format("the server answers {} of {} bytes at {} with {}",
                               nbd_command_name(current_->command), current_->length,
                               current_->offset, what);
    else
        problem_ = fmt::format("the server sends {}", what);
    state_ = State::broken;
    return Step::broken;
}

IoStatus io_status_from_nbd(uint32_t error) {
    switch (error) {
        case error_none:
            return IoStatus::ok;
        case error_eperm:
            return IoStatus::target;
        case error_enomem:
            return IoStatus::resource;
        case error_einval:
        case error_eoverflow:
            return IoStatus::invalid;
        case error_enospc:
            return IoStatus::no_space;
        case error_enotsup:
            return IoStatus::not_supported;
        case error_eshutdown:
            // The server is going: another one may serve the same volume.
            return IoStatus::transport;
        default:
            return IoStatus::io;
    }
}

}  // namespace braidway::wire
