// SPDX-License-Identifier: Apache-2.0
// The numbers of the NBD protocol, by the names its document gives them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace braidway::wire::nbd {

// --- magic numbers -----------------------------------------------------------------------------
inline constexpr uint64_t init_magic = 0x4e42444d41474943;    ///< "NBDMAGIC"
inline constexpr uint64_t option_magic = 0x49484156454F5054;  ///< "IHAVEOPT"
inline constexpr uint64_t option_reply_magic = 0x3e889045565a9;
inline constexpr uint32_t request_magic = 0x25609513;
inline constexpr uint32_t extended_request_magic = 0x21e41c71;
inline constexpr uint32_t simple_reply_magic = 0x67446698;
inline constexpr uint32_t structured_reply_magic = 0x668e33ef;
inline constexpr uint32_t extended_reply_magic = 0x6e8a278c;

// --- sizes -------------------------------------------------------------------------------------
inline constexpr size_t greeting_bytes = 18;
inline constexpr size_t client_flags_bytes = 4;
inline constexpr size_t option_header_bytes = 16;
inline constexpr size_t option_reply_bytes = 20;
inline constexpr size_t request_bytes = 28;
inline constexpr size_t extended_request_bytes = 32;
inline constexpr size_t simple_reply_bytes = 16;
inline constexpr size_t structured_chunk_bytes = 20;
inline constexpr size_t extended_chunk_bytes = 32;
inline constexpr size_t export_name_padding_bytes = 124;

// --- handshake flags, and the client's answer --------------------------------------------------
inline constexpr uint16_t flag_fixed_newstyle = 1 << 0;
inline constexpr uint16_t flag_no_zeroes = 1 << 1;

// --- options -----------------------------------------------------------------------------------
/// What a client may send during the handshake.
enum Option : uint32_t {
    opt_export_name = 1,
    opt_abort = 2,
    opt_list = 3,
    opt_peek_export = 4,  ///< Withdrawn.
    opt_starttls = 5,
    opt_info = 6,
    opt_go = 7,
    opt_structured_reply = 8,
    opt_list_meta_context = 9,
    opt_set_meta_context = 10,
    opt_extended_headers = 11,
};

/// What a server answers to an option; those with the highest bit are errors.
enum OptionReply : uint32_t {
    rep_ack = 1,
    rep_server = 2,
    rep_info = 3,
    rep_meta_context = 4,
    rep_err_unsup = (1u << 31) + 1,
    rep_err_policy = (1u << 31) + 2,
    rep_err_invalid = (1u << 31) + 3,
    rep_err_platform = (1u << 31) + 4,
    rep_err_tls_reqd = (1u << 31) + 5,
    rep_err_unknown = (1u << 31) + 6,
    rep_err_shutdown = (1u << 31) + 7,
    rep_err_block_size_reqd = (1u << 31) + 8,
    rep_err_too_big = (1u << 31) + 9,
    rep_err_ext_header_reqd = (1u << 31) + 10,
};

/// What INFO and GO tell of an export.
enum Info : uint16_t {
    info_export = 0,
    info_name = 1,
    info_description = 2,
    info_block_size = 3,
};

// --- transmission flags ------------------------------------------------------------------------
/// What an export can do; sent with its size.
enum TransmissionFlag : uint16_t {
    has_flags = 1 << 0,
    read_only = 1 << 1,
    send_flush = 1 << 2,
    send_fua = 1 << 3,
    rotational = 1 << 4,
    send_trim = 1 << 5,
    send_write_zeroes = 1 << 6,
    send_df = 1 << 7,
    can_multi_conn = 1 << 8,
    send_resize = 1 << 9,
    send_cache = 1 << 10,
    send_fast_zero = 1 << 11,
    block_status_payload = 1 << 12,
};

// --- requests ----------------------------------------------------------------------------------
/// The types of requests.
enum Command : uint16_t {
    cmd_read = 0,
    cmd_write = 1,
    cmd_disc = 2,
    cmd_flush = 3,
    cmd_trim = 4,
    cmd_cache = 5,
    cmd_write_zeroes = 6,
    cmd_block_status = 7,
    cmd_resize = 8,
};

/// How a request is to be done.
enum CommandFlag : uint16_t {
    cmd_flag_fua = 1 << 0,
    cmd_flag_no_hole = 1 << 1,
    cmd_flag_df = 1 << 2,
    cmd_flag_req_one = 1 << 3,
    cmd_flag_fast_zero = 1 << 4,
    cmd_flag_payload_len = 1 << 5,
};

// --- replies -----------------------------------------------------------------------------------
inline constexpr uint16_t reply_flag_done = 1 << 0;

/// The types of reply chunks; those with the highest bit are errors.
enum ReplyType : uint16_t {
    reply_none = 0,
    reply_offset_data = 1,
    reply_offset_hole = 2,
    reply_block_status = 5,
    reply_block_status_ext = 6,
    reply_error = (1 << 15) + 1,
    reply_error_offset = (1 << 15) + 2,
};

/// The error values that travel; they are Linux's numbers on every system.
enum ErrorValue : uint32_t {
    error_none = 0,
    error_eperm = 1,
    error_eio = 5,
    error_enomem = 12,
    error_einval = 22,
    error_enospc = 28,
    error_eoverflow = 75,
    error_enotsup = 95,
    error_eshutdown = 108,
};

// --- metadata contexts -------------------------------------------------------------------------
/// The id under which base:allocation is selected; the only context there is.
inline constexpr uint32_t base_allocation_id = 1;
inline constexpr uint32_t state_hole = 1 << 0;
inline constexpr uint32_t state_zero = 1 << 1;

}  // namespace braidway::wire::nbd
