// SPDX-License-Identifier: Apache-2.0
// TLS on a stream, as a stream.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/limits.h"
#include "loop/stream.h"
#include "tls/tls_context.h"

struct bio_st;
struct bio_method_st;

namespace braidway::tls {

/// An encrypted stream on top of another one. After handshake() has ended with 0 it is used as any
/// stream; before, nothing is sent or received.
///
/// Encrypting and decrypting happen on the lane: about 0.1 ms for a whole send. A send takes at
/// most limits::tls_send_bytes and ends when all of it is with the stream below. Small pieces share
/// a record. Nothing is read from the stream below but for a receive or a handshake of the owner.
///
/// The end of the stream below counts as the peer's end also where no close_notify came before it:
/// a protocol whose lengths are explicit, as NBD's, loses nothing by that.
///
/// Errors:  -EPROTO where the TLS of the peer is wrong or refuses us: problem() says why. Others as
///          from the stream below. A send that was cancelled or failed leaves the stream unusable.
/// Threads: one lane. No allocation of ours after the first operation.
class TlsStream final : public loop::Stream {
  public:
    /// `below` is connected, and no byte of the peer's TLS has been taken from it.
    TlsStream(loop::Loop& loop, std::unique_ptr<loop::Stream> below,
              std::shared_ptr<const TlsContext> context);
    ~TlsStream() override;

    /// Agrees with the peer on keys. Ends with 0, or with a negative errno and problem(). The owner
    /// guards the time with a timer of its own, and cancel().
    void handshake(loop::Operation& operation);

    void receive(loop::Operation& operation, const iovec* iov, uint32_t count) override;
    void send(loop::Operation& operation, const iovec* iov, uint32_t count) override;
    void cancel(loop::Operation& operation) override;
    void end_sending() override;
    void shut_down() override;
    int fd() const override { return below_->fd(); }

    bool established() const { return established_; }
    /// "TLSv1.3, TLS_AES_256_GCM_SHA384": for people; once established.
    std::string description() const;
    /// What went wrong, in one line that says what to do; empty while nothing has. Also, for a
    /// client, what it may mean that the server ended the connection without a word. Of nothing in
    /// it did the peer choose the words.
    std::string_view problem() const override { return problem_; }

  private:
    static constexpr size_t output_bytes = limits::tls_send_bytes + limits::tls_send_bytes / 16;

    /// An operation of the owner.
    struct Task {
        loop::Operation* operation = nullptr;  ///< Null: there is none.
        const iovec* iov = nullptr;
        uint32_t count = 0;
        std::optional<int32_t> result;  ///< How it will end, once the operations below have.
    };
    struct FreeConnection {
        void operator()(ssl_st* ssl) const;
    };
    struct BioCalls;  ///< What OpenSSL calls to read and write bytes.

    static Task task(loop::Operation& operation, const iovec* iov, uint32_t count);
    void advance();
    void advance_handshake();
    void advance_receive();
    void begin_send();
    size_t encrypt(const std::byte* from, size_t bytes);
    size_t encrypt_pieces();
    void fail(int code);
    void note_silent_end();
    void receive_below();
    void send_below();
    void received_below(int32_t result);
    void sent_below(int32_t result);
    void finish();
    void release(Task& done);
    void say_goodbye();
    size_t output_room() const { return output_bytes - output_end_; }

    loop::Loop& loop_;
    std::unique_ptr<loop::Stream> below_;
    std::shared_ptr<const TlsContext> context_;
    TlsNotes notes_;
    std::unique_ptr<ssl_st, FreeConnection> ssl_;
    bool established_ = false;
    bool broken_ = false;
    bool end_seen_ = false;
    bool heard_ = false;  ///< The peer has sent data since the handshake.
    bool said_goodbye_ = false;
    std::string problem_;

    Task handshake_;
    Task receive_;
    Task send_;

    /// Encrypted bytes from the peer that OpenSSL has not taken yet.
    std::unique_ptr<std::byte[]> input_;
    size_t input_begin_ = 0;
    size_t input_end_ = 0;
    iovec input_iov_{};
    loop::Operation receive_below_;
    /// Encrypted bytes for the peer that have not been sent yet.
    std::unique_ptr<std::byte[]> output_;
    size_t output_begin_ = 0;
    size_t output_end_ = 0;
    iovec output_iov_{};
    loop::Operation send_below_;
    /// Where small pieces become one record.
    std::unique_ptr<std::byte[]> record_;
};

}  // namespace braidway::tls
