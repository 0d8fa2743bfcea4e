// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_reply.h"

#include <cstring>

#include "base/bytes.h"

namespace braidway::wire {

using namespace nbd;

size_t NbdReplyWriter::done(std::byte* to, uint64_t cookie, uint64_t offset) const {
    if (!structured_) return simple(to, cookie, error_none);
    return chunk(to, reply_none, cookie, offset, 0);
}

size_t NbdReplyWriter::data(std::byte* to, uint64_t cookie, uint64_t offset,
                            uint32_t length) const {
    if (!structured_) return simple(to, cookie, error_none);
    const size_t head = chunk(to, reply_offset_data, cookie, offset, uint64_t{length} + 8);
    store_big<uint64_t>(to + head, offset);
    return head + 8;
}

size_t NbdReplyWriter::hole(std::byte* to, uint64_t cookie, uint64_t offset,
                            uint32_t length) const {
    const size_t head = chunk(to, reply_offset_hole, cookie, offset, 12);
    store_big<uint64_t>(to + head, offset);
    store_big<uint32_t>(to + head + 8, length);
    return head + 12;
}

size_t NbdReplyWriter::error(std::byte* to, uint64_t cookie, uint64_t offset, uint32_t error,
                             std::string_view text, bool at_offset) const {
    if (!structured_) return simple(to, cookie, error);
    text = text.substr(0, text_bytes_max);
    const size_t payload = 6 + text.size() + (at_offset ? 8 : 0);
    size_t at = chunk(to, at_offset ? reply_error_offset : reply_error, cookie, offset, payload);
    store_big<uint32_t>(to + at, error);
    store_big<uint16_t>(to + at + 4, static_cast<uint16_t>(text.size()));
    at += 6;
    std::memcpy(to + at, text.data(), text.size());
    at += text.size();
    if (!at_offset) return at;
    store_big<uint64_t>(to + at, offset);
    return at + 8;
}

size_t NbdReplyWriter::block_status(std::byte* to, uint64_t cookie, uint64_t offset,
                                    uint32_t count) const {
    const size_t own = extended_ ? 8 : 4;
    const size_t head = chunk(to, extended_ ? reply_block_status_ext : reply_block_status, cookie,
                              offset, own + count * extent_bytes());
    store_big<uint32_t>(to + head, base_allocation_id);
    if (extended_) store_big<uint32_t>(to + head + 4, count);
    return head + own;
}

size_t NbdReplyWriter::extent(std::byte* to, const NbdExtent& extent) const {
    if (extended_) {
        store_big<uint64_t>(to, extent.length_bytes);
        store_big<uint64_t>(to + 8, extent.state);
    } else {
        store_big<uint32_t>(to, static_cast<uint32_t>(extent.length_bytes));
        store_big<uint32_t>(to + 4, extent.state);
    }
    return extent_bytes();
}

size_t NbdReplyWriter::simple(std::byte* to, uint64_t cookie, uint32_t error) const {
    store_big<uint32_t>(to, simple_reply_magic);
    store_big<uint32_t>(to + 4, error);
    store_big<uint64_t>(to + 8, cookie);
    return simple_reply_bytes;
}

size_t NbdReplyWriter::chunk(std::byte* to, uint16_t type, uint64_t cookie, uint64_t offset,
                             uint64_t payload_bytes) const {
    store_big<uint32_t>(to, extended_ ? extended_reply_magic : structured_reply_magic);
    store_big<uint16_t>(to + 4, reply_flag_done);
    store_big<uint16_t>(to + 6, type);
    store_big<uint64_t>(to + 8, cookie);
    if (!extended_) {
        store_big<uint32_t>(to + 16, static_cast<uint32_t>(payload_bytes));
        return structured_chunk_bytes;
    }
    store_big<uint64_t>(to + 16, offset);
    store_big<uint64_t>(to + 24, payload_bytes);
    return extended_chunk_bytes;
}

uint32_t nbd_error_from(IoStatus status, bool fast_zero) {
    switch (status) {
        case IoStatus::ok:
            return error_none;
        case IoStatus::not_supported:
            return fast_zero ? error_enotsup : error_einval;
        case IoStatus::no_space:
            return error_enospc;
        case IoStatus::invalid:
            return error_einval;
        case IoStatus::shutdown:
            return error_eshutdown;
        case IoStatus::resource:
            return error_enomem;
        case IoStatus::target:
        case IoStatus::reservation_conflict:
        case IoStatus::medium:
        case IoStatus::protection:
        case IoStatus::io:
        case IoStatus::timeout:
        case IoStatus::transport:
        case IoStatus::device_resource:
        case IoStatus::again:
        case IoStatus::offline:
        case IoStatus::duration_limit:
        case IoStatus::zone_resource:
            return error_eio;
    }
    return error_eio;
}

std::string_view nbd_error_name(uint32_t error) {
    switch (error) {
        case error_none:
            return "ok";
        case error_eperm:
            return "EPERM";
        case error_eio:
            return "EIO";
        case error_enomem:
            return "ENOMEM";
        case error_einval:
            return "EINVAL";
        case error_enospc:
            return "ENOSPC";
        case error_eoverflow:
            return "EOVERFLOW";
        case error_enotsup:
            return "ENOTSUP";
        case error_eshutdown:
            return "ESHUTDOWN";
        default:
            return "unknown";
    }
}

}  // namespace braidway::wire
