// SPDX-License-Identifier: Apache-2.0
// The transmission phase as the server reads it: request headers, their payloads, what is allowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/nbd_session.h"

namespace braidway::wire {

/// One request as decoded and judged. `error` says whether it may be run: error_none, or what to
/// answer instead, after its payload has been consumed.
struct NbdRequest {
    uint16_t flags = 0;
    uint16_t command = 0;
    uint64_t cookie = 0;
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t payload_bytes = 0;  ///< These follow the header, wanted or not.
    uint32_t error = nbd::error_none;
    std::string_view error_text;  ///< Static.

    bool has(nbd::CommandFlag flag) const { return (flags & flag) != 0; }
};

/// The payload of a BLOCK_STATUS request with cmd_flag_payload_len.
struct NbdBlockStatusPayload {
    static constexpr size_t bytes_min = 8;   ///< A length and no context.
    static constexpr size_t bytes_max = 12;  ///< A length and the one context there is.
    bool base_allocation = false;
};

/// Cuts a client's bytes into requests and payloads, and judges every request by what was
/// negotiated: bounds, alignment, sizes, each flag and each command. Nothing a client sends is
/// fatal but a wrong magic number, after which the stream has no meaning.
///
/// Bytes that next() did not take are shown to it again, with more behind them.
/// Threads: one.
class NbdRequestReader {
  public:
    enum class Step : uint8_t {
        more,     ///< A header has begun and is incomplete; nothing was taken.
        request,  ///< A header was taken; its payload, payload_left() bytes, comes next.
        payload,  ///< These bytes belong to the payload of the last request.
        broken,   ///< No request begins here: the connection cannot go on.
    };

    explicit NbdRequestReader(const NbdSession& session) : session_(session) {}

    /// Looks at the beginning of `bytes` (not empty) and says in `taken` how many it took.
    Step next(std::span<const std::byte> bytes, NbdRequest& request, size_t& taken);

    /// Bytes of the last request's payload that have not been seen.
    uint64_t payload_left() const { return payload_left_; }
    /// `bytes` more of the payload came another way (received in place).
    void payload_arrived(uint64_t bytes) { payload_left_ -= bytes; }

    const NbdSession& session() const { return session_; }

  private:
    NbdSession session_;
    uint64_t payload_left_ = 0;
};

/// Judges a decoded request; fills in `payload_bytes`, `error` and `error_text`.
void judge_nbd_request(NbdRequest& request, const NbdSession& session);

/// Reads the payload of a BLOCK_STATUS request, which judge_nbd_request() let through; sets
/// `request.length` to the effect length and judges the range.
NbdBlockStatusPayload read_block_status_payload(std::span<const std::byte> payload,
                                                NbdRequest& request, const NbdSession& session);

/// "read", "write-zeroes", ...; "unknown" for numbers without a meaning.
std::string_view nbd_command_name(uint16_t command);

}  // namespace braidway::wire
