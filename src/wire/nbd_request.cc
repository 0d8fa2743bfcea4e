// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_request.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"

namespace braidway::wire {
namespace {

using namespace nbd;

void refuse(NbdRequest& request, uint32_t error, std::string_view text) {
    request.error = error;
    request.error_text = text;
}

bool changes_data(uint16_t command) {
    return command == cmd_write || command == cmd_trim || command == cmd_write_zeroes;
}

/// Whether the client was told that it may use `command` at all.
bool command_negotiated(uint16_t command, const NbdSession& session) {
    switch (command) {
        case cmd_read:
        case cmd_write:
        case cmd_disc:
            return true;
        case cmd_flush:
            return session.has(send_flush);
        case cmd_trim:
            return session.has(send_trim);
        case cmd_cache:
            return session.has(send_cache);
        case cmd_write_zeroes:
            return session.has(send_write_zeroes);
        case cmd_block_status:
            return session.base_allocation;
        default:
            return false;
    }
}

/// The flags that this command may carry after what was negotiated.
uint16_t flags_negotiated(uint16_t command, const NbdSession& session) {
    uint16_t allowed = 0;
    const auto allow = [&allowed](CommandFlag flag, bool when) {
        if (when) allowed = static_cast<uint16_t>(allowed | flag);
    };
    allow(cmd_flag_fua, session.has(send_fua));
    switch (command) {
        case cmd_read:
            allow(cmd_flag_df, session.has(send_df));
            break;
        case cmd_write:
            allow(cmd_flag_payload_len, session.extended);
            break;
        case cmd_write_zeroes:
            allow(cmd_flag_no_hole, true);
            allow(cmd_flag_fast_zero, session.has(send_fast_zero));
            break;
        case cmd_block_status:
            allow(cmd_flag_req_one, true);
            allow(cmd_flag_payload_len, session.has(block_status_payload));
            break;
        default:
            break;
    }
    return allowed;
}

void judge_range(NbdRequest& request, const NbdSession& session) {
    const bool past_end =
        request.offset > session.size_bytes || request.length > session.size_bytes - request.offset;
    if (past_end) {
        const bool stores = request.command == cmd_write || request.command == cmd_write_zeroes;
        refuse(request, stores ? error_enospc : error_einval,
               "the request goes past the end of the export");
    } else if (((request.offset | request.length) & (session.minimum_block - 1)) != 0) {
        refuse(request, error_einval,
               "offset and length must be multiples of the export's minimum block size");
    } else if (request.command == cmd_block_status && request.length == 0) {
        refuse(request, error_einval, "block status of nothing was asked for");
    }
}

/// Bytes behind the header. A write always has its payload, whatever its flags say: not to take it
/// would lose the place in the stream.
uint64_t payload_behind(const NbdRequest& request, const NbdSession& session) {
    if (request.command == cmd_write) return request.length;
    if (session.extended && request.has(cmd_flag_payload_len)) return request.length;
    return 0;
}

void judge_flags(NbdRequest& request, const NbdSession& session) {
    if ((request.flags & ~flags_negotiated(request.command, session)) != 0)
        refuse(request, error_einval, "a command flag was used that was not negotiated");
    else if (request.command == cmd_write && session.extended && !request.has(cmd_flag_payload_len))
        refuse(request, error_einval, "a write needs the payload-length flag in extended headers");
}

void judge_sizes(NbdRequest& request, const NbdSession& session) {
    if (request.length <= session.maximum_payload) return;
    if (request.command == cmd_write)
        refuse(request, error_einval, "the payload is larger than the export's maximum");
    if (request.command == cmd_read)
        refuse(request, session.structured ? error_eoverflow : error_einval,
               "the read is larger than the export's maximum payload");
}

}  // namespace

void judge_nbd_request(NbdRequest& request, const NbdSession& session) {
    request.payload_bytes = payload_behind(request, session);
    request.error = error_none;
    request.error_text = {};
    if (request.command == cmd_disc) return;
    if (changes_data(request.command) && session.has(read_only))
        return refuse(request, error_eperm, "the export is read-only");
    if (!command_negotiated(request.command, session))
        return refuse(request, error_einval, "a command was used that was not negotiated");
    judge_flags(request, session);
    if (request.error == error_none) judge_sizes(request, session);
    if (request.error != error_none || request.command == cmd_flush) return;
    if (request.command == cmd_block_status && request.has(cmd_flag_payload_len)) {
        if (request.length != NbdBlockStatusPayload::bytes_min &&
            request.length != NbdBlockStatusPayload::bytes_max)
            refuse(request, error_einval, "the payload does not name the contexts negotiated");
        return;
    }
    judge_range(request, session);
}

NbdBlockStatusPayload read_block_status_payload(std::span<const std::byte> payload,
                                                NbdRequest& request, const NbdSession& session) {
    NbdBlockStatusPayload read;
    request.length = load_big<uint64_t>(payload.data());
    if (payload.size() >= NbdBlockStatusPayload::bytes_max) {
        read.base_allocation =
            load_big<uint32_t>(payload.data() + NbdBlockStatusPayload::bytes_min) ==
            base_allocation_id;
        if (!read.base_allocation)
            refuse(request, error_einval, "the payload does not name the contexts negotiated");
    }
    if (request.error == error_none) judge_range(request, session);
    return read;
}

NbdRequestReader::Step NbdRequestReader::next(std::span<const std::byte> bytes, NbdRequest& request,
                                              size_t& taken) {
    taken = 0;
    if (payload_left_ > 0) {
        taken = static_cast<size_t>(std::min<uint64_t>(payload_left_, bytes.size()));
        payload_left_ -= taken;
        return Step::payload;
    }
    const uint32_t magic = session_.extended ? extended_request_magic : request_magic;
    if (bytes.size() >= sizeof magic && load_big<uint32_t>(bytes.data()) != magic)
        return Step::broken;
    if (bytes.size() < session_.request_bytes()) return Step::more;
    request.flags = load_big<uint16_t>(bytes.data() + 4);
    request.command = load_big<uint16_t>(bytes.data() + 6);
    request.cookie = load_big<uint64_t>(bytes.data() + 8);
    request.offset = load_big<uint64_t>(bytes.data() + 16);
    request.length = session_.extended ? load_big<uint64_t>(bytes.data() + 24)
                                       : load_big<uint32_t>(bytes.data() + 24);
    judge_nbd_request(request, session_);
    taken = session_.request_bytes();
    payload_left_ = request.payload_bytes;
    return Step::request;
}

std::string_view nbd_command_name(uint16_t command) {
    static constexpr std::array<std::string_view, 8> names{
        "read", "write", "disconnect", "flush", "trim", "cache", "write-zeroes", "block-status"};
    return command < names.size() ? names[command] : "unknown";
}

}  // namespace braidway::wire
