// SPDX-License-Identifier: Apache-2.0
// One command on its way to an NBD server and back.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/time.h"
#include "block/request.h"
#include "wire/nbd_client_replies.h"

namespace braidway::path {

/// The links of a command in the list of all commands of its connection.
struct NbdByAge {};

/// A command to an NBD server, owned by whoever submits it until it has ended. The submitter fills
/// in the command's own fields (NbdAwaited: command, offset, length) and those below.
struct NbdCommand : ListNode<>, ListNode<NbdByAge>, wire::NbdAwaited {
    /// Where it is.
    enum class Stage : uint8_t {
        idle,     ///< With its owner.
        queued,   ///< Nothing of it has been sent.
        sending,  ///< Some or all of it may have been sent.
        awaited,  ///< All of it was sent.
    };

    uint16_t flags = 0;
    /// read, write: the memory, from its byte data_at on. No shorter than the command.
    std::span<const iovec> data;
    uint64_t data_at = 0;
    Instant started;  ///< When its deadline begins.

    // --- for its owner ---
    block::Request* request = nullptr;
    uint64_t done_bytes = 0;  ///< Of the request, by commands before this one.

    // --- how it ended ---
    IoStatus status = IoStatus::ok;
    /// It was not answered, and the server may have done it, or may still do it.
    bool maybe_executed = false;
    std::string_view error_text;  ///< Static.

    // --- for the connection ---
    Stage stage = Stage::idle;
    bool answered = false;  ///< Before the last of it was known to be sent.
    uint64_t send_end = 0;  ///< Where its last byte is in the batch that is being sent.
    std::array<std::byte, wire::nbd::request_bytes> head;
};

/// Names `length` bytes of `memory` from its byte `at` on, in at most `pieces_max` pieces at
/// `to`. Returns how many pieces; `named` = their bytes, less than `length` if pieces ran out.
uint32_t name_pieces(std::span<const iovec> memory, uint64_t at, uint64_t length, iovec* to,
                     uint32_t pieces_max, uint64_t& named);

}  // namespace braidway::path
