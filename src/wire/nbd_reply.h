// SPDX-License-Identifier: Apache-2.0
// The transmission phase as the server writes it: replies and their chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/io.h"
#include "wire/nbd_session.h"

namespace braidway::wire {

/// One stretch of a block-status answer.
struct NbdExtent {
    uint64_t length_bytes = 0;
    uint32_t state = 0;  ///< nbd::state_hole | nbd::state_zero
};

/// Writes the server's side of the transmission phase in the form that was negotiated: simple
/// replies, structured chunks or extended chunks. Every call writes at `to`, where the caller has
/// reply_head_bytes_max bytes, and returns how many it wrote. Each reply is one chunk, the last.
///
/// Threads: any.
class NbdReplyWriter {
  public:
    /// No reply's header, with all it carries but read data and extents, is longer.
    static constexpr size_t head_bytes_max = 192;
    /// Longer texts are cut.
    static constexpr size_t text_bytes_max = 120;

    explicit NbdReplyWriter(const NbdSession& session)
        : structured_(session.structured), extended_(session.extended) {}

    /// Success of a command that answers no data.
    size_t done(std::byte* to, uint64_t cookie, uint64_t offset) const;
    /// What precedes `length` bytes of read data; `length` is not 0 (else: done()).
    size_t data(std::byte* to, uint64_t cookie, uint64_t offset, uint32_t length) const;
    /// "All of this read is a hole." Only when structured replies were negotiated.
    size_t hole(std::byte* to, uint64_t cookie, uint64_t offset, uint32_t length) const;
    /// Failure with a text. `at_offset`: the chunk also says where, which is at `offset`; for reads
    /// that the storage could not do (not for requests refused as a whole, nor empty ones).
    size_t error(std::byte* to, uint64_t cookie, uint64_t offset, uint32_t error,
                 std::string_view text, bool at_offset = false) const;
    /// What precedes `count` encoded extents of base:allocation.
    size_t block_status(std::byte* to, uint64_t cookie, uint64_t offset, uint32_t count) const;

    /// Bytes of one extent behind block_status().
    size_t extent_bytes() const { return extended_ ? 16 : 8; }
    /// Encodes one extent; returns extent_bytes(). Without extended headers its length fits in 32
    /// bits.
    size_t extent(std::byte* to, const NbdExtent& extent) const;

  private:
    size_t simple(std::byte* to, uint64_t cookie, uint32_t error) const;
    size_t chunk(std::byte* to, uint16_t type, uint64_t cookie, uint64_t offset,
                 uint64_t payload_bytes) const;

    bool structured_;
    bool extended_;
};

/// The error value that stands for `status` on the wire. not_supported is ENOTSUP only for a
/// write-zeroes that had to be fast, as the protocol asks; else EINVAL.
uint32_t nbd_error_from(IoStatus status, bool fast_zero = false);

/// "EPERM", "EIO", ...
std::string_view nbd_error_name(uint32_t error);

}  // namespace braidway::wire
