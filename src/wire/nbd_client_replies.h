// SPDX-License-Identifier: Apache-2.0
// The transmission phase as the client sees it: what it asks, and replies in any order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/io.h"
#include "wire/nbd_reply.h"
#include "wire/nbd_session.h"

namespace braidway::wire {

/// One request that a server has to answer, embedded in whatever keeps it meanwhile.
struct NbdAwaited {
    uint16_t command = nbd::cmd_read;
    uint64_t cookie = 0;
    uint64_t offset = 0;
    uint32_t length = 0;

    /// The first error that the server told of it.
    uint32_t error = nbd::error_none;

    /// Prepares it for sending: writes nbd::request_bytes at `to` and forgets earlier answers.
    void write(std::byte* to, uint16_t flags);

    // --- for the reader of replies ---
    /// Notes that [begin, end) of a read's data has been told. False when that is not all new, or
    /// when there are more separate stretches than a server has reason to make.
    bool cover(uint32_t begin, uint32_t end);
    bool covered() const {
        return stretches_ == 1 && covered_[0].begin == 0 && covered_[0].end == length;
    }
    bool status_told = false;

  private:
    static constexpr size_t stretches_max = 16;
    struct Stretch {
        uint32_t begin = 0;
        uint32_t end = 0;
    };
    std::array<Stretch, stretches_max> covered_;  ///< Sorted, not touching.
    uint32_t stretches_ = 0;
};

/// Finds what a client has asked.
class NbdAwaitedRequests {
  public:
    /// The request with this cookie that has no answer yet, or nullptr. Until it is answered it
    /// stays where it is.
    virtual NbdAwaited* find(uint64_t cookie) = 0;

  protected:
    ~NbdAwaitedRequests() = default;
};

/// What the reader found; which fields count depends on the step.
struct NbdReplyEvent {
    NbdAwaited* request = nullptr;
    uint32_t at = 0;                  ///< data, hole: where in the request's data.
    uint32_t length = 0;              ///< hole: so many zeroes.
    std::span<const std::byte> data;  ///< data: to be copied there.
    NbdExtent extent;                 ///< extent
    std::string_view text;            ///< done with an error: the server's words; until next().
};

/// Cuts a server's bytes into replies: simple ones and structured chunks, of any requests in any
/// order, in pieces of any size. Read data is not kept: the caller copies it to where it belongs,
/// or receives it there in place.
///
/// What a server may not say is fatal, as the stream then has no meaning: unknown cookies, data
/// outside of a request or told twice, ends without everything told, unknown chunks.
///
/// Shapes:  control data is looked at in one piece, at most head_bytes_max; bytes that next() did
///          not take are shown to it again, with more behind them.
/// Errors:  problem(), one line.
/// Threads: one. No allocation but for problem().
/// Source:  doc/proto.md of the NBD project.
class NbdReplyReader {
  public:
    enum class Step : uint8_t {
        more,    ///< All that can be taken was taken.
        data,    ///< Bytes of a read.
        hole,    ///< Zeroes of a read.
        extent,  ///< One stretch of a block status, in order.
        done,    ///< The request is answered; its `error` says how.
        broken,  ///< The connection cannot go on.
    };
    static constexpr size_t head_bytes_max = nbd::structured_chunk_bytes;

    NbdReplyReader(const NbdSession& session, uint32_t allocation_id, NbdAwaitedRequests& requests)
        : requests_(requests),
          allocation_id_(allocation_id),
          structured_(session.structured),
          statuses_(session.base_allocation) {}

    /// Looks at `bytes`, which may be empty, up to the first thing of interest, and says in `taken`
    /// how many it took.
    Step next(std::span<const std::byte> bytes, NbdReplyEvent& event, size_t& taken);

    /// Bytes of read data that come next in the stream, for data_request() at data_at().
    uint32_t data_left() const { return state_ == State::data ? left_ : 0; }
    NbdAwaited* data_request() const { return current_; }
    uint32_t data_at() const { return at_; }
    /// `bytes` of it came another way (received in place).
    void data_arrived(uint32_t bytes);

    const std::string& problem() const { return problem_; }

  private:
    enum class State : uint8_t {
        header,       ///< Of a reply or chunk.
        data_head,    ///< The offset before data.
        data,         ///< left_ bytes for the request at at_.
        hole,         ///< Offset and length.
        status_head,  ///< The context's id.
        extents,      ///< left_ bytes of them.
        error_head,   ///< Number and length of the text.
        error_text,   ///< text_left_ bytes of it.
        skip,         ///< left_ bytes that say nothing to us.
        finish,       ///< Nothing more of this reply.
        broken,
    };

    bool has(std::span<const std::byte> bytes, size_t taken, size_t wanted) const {
        return bytes.size() - taken >= wanted;
    }
    bool take_header(std::span<const std::byte> bytes, size_t& taken);
    void take_simple(const std::byte* head);
    void take_chunk(const std::byte* head);
    void begin_chunk(uint16_t type);
    void take_data_head(const std::byte* head);
    Step take_data(std::span<const std::byte> bytes, NbdReplyEvent& event, size_t& taken);
    Step take_hole(const std::byte* head, NbdReplyEvent& event);
    void take_status_head(const std::byte* head);
    Step take_extent(const std::byte* head, NbdReplyEvent& event);
    void take_error_head(const std::byte* head);
    void take_error_text(std::span<const std::byte> bytes, size_t& taken);
    Step finish(NbdReplyEvent& event);
    bool place(uint64_t offset, uint64_t length);
    Step break_off(std::string_view what);

    NbdAwaitedRequests& requests_;
    uint32_t allocation_id_;
    bool structured_;
    bool statuses_;
    State state_ = State::header;
    NbdAwaited* current_ = nullptr;
    bool last_ = false;  ///< Nothing follows this chunk for its request.
    uint32_t left_ = 0;
    uint32_t at_ = 0;
    uint32_t text_left_ = 0;
    std::array<char, NbdReplyWriter::text_bytes_max> text_{};
    uint32_t text_bytes_ = 0;
    std::string problem_;
};

/// What an error value of a server says about the request: its three kinds are "the storage
/// refuses", "this way is bad", and "the request was wrong".
IoStatus io_status_from_nbd(uint32_t error);

}  // namespace braidway::wire
