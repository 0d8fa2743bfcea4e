// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_stream.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "tls/tls_words.h"

namespace braidway::tls {
namespace {

constexpr size_t record_bytes = SSL3_RT_MAX_PLAIN_LENGTH;
/// What a record may be longer than its content, with room for an answer that TLS gives by itself.
constexpr size_t record_slack_bytes = 1024;

}  // namespace

/// OpenSSL reads from input_ and writes to output_.
struct TlsStream::BioCalls {
    static const BIO_METHOD* method() {
        static const BIO_METHOD* const made = [] {
            BIO_METHOD* fresh =
                ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "braidway stream");
            CHECK(fresh != nullptr, "there is memory for OpenSSL's tables");
            ::BIO_meth_set_read_ex(fresh, read);
            ::BIO_meth_set_write_ex(fresh, write);
            ::BIO_meth_set_ctrl(fresh, control);
            return fresh;
        }();
        return made;
    }

    static int read(BIO* bio, char* to, size_t room, size_t* count) {
        auto& self = *static_cast<TlsStream*>(::BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        *count = std::min(room, self.input_end_ - self.input_begin_);
        if (*count == 0) {
            BIO_set_retry_read(bio);
            return 0;
        }
        std::memcpy(to, self.input_.get() + self.input_begin_, *count);
        self.input_begin_ += *count;
        return 1;
    }

    static int write(BIO* bio, const char* from, size_t bytes, size_t* count) {
        auto& self = *static_cast<TlsStream*>(::BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        *count = std::min(bytes, self.output_room());
        if (*count == 0) {
            BIO_set_retry_write(bio);
            return 0;
        }
        std::memcpy(self.output_.get() + self.output_end_, from, *count);
        self.output_end_ += *count;
        return 1;
    }

    static long control(BIO*, int command, long, void*) {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }
};

void TlsStream::FreeConnection::operator()(ssl_st* ssl) const {
    ::SSL_free(ssl);
}

TlsStream::TlsStream(loop::Loop& loop, std::unique_ptr<loop::Stream> below,
                     std::shared_ptr<const TlsContext> context)
    : loop_(loop),
      below_(std::move(below)),
      context_(std::move(context)),
      ssl_(context_->make_connection(notes_)),
      input_(std::make_unique_for_overwrite<std::byte[]>(limits::tls_receive_bytes)),
      output_(std::make_unique_for_overwrite<std::byte[]>(output_bytes)),
      record_(std::make_unique_for_overwrite<std::byte[]>(record_bytes)) {
    receive_below_.owner = send_below_.owner = this;
    receive_below_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<TlsStream*>(operation.owner)->received_below(result);
    };
    send_below_.done = [](loop::Operation& operation, int32_t result) {
        static_cast<TlsStream*>(operation.owner)->sent_below(result);
    };
    BIO* bio = ssl_ == nullptr ? nullptr : ::BIO_new(BioCalls::method());
    if (bio == nullptr) {
        broken_ = true;
        problem_ = "no memory for a TLS connection";
        return;
    }
    ::BIO_set_data(bio, this);
    ::BIO_set_init(bio, 1);
    ::SSL_set_bio(ssl_.get(), bio, bio);
}

TlsStream::~TlsStream() {
    CHECK(handshake_.operation == nullptr && receive_.operation == nullptr &&
              send_.operation == nullptr && receive_below_.idle() && send_below_.idle(),
          "a stream goes after its last operation");
}

// --- the owner's operations -------------------------------------------------------------------

TlsStream::Task TlsStream::task(loop::Operation& operation, const iovec* iov, uint32_t count) {
    return {&operation, iov, count, std::nullopt};
}

void TlsStream::handshake(loop::Operation& operation) {
    CHECK(!established_ && handshake_.operation == nullptr, "a connection shakes hands once");
    loop_.hold(operation);
    handshake_ = task(operation, nullptr, 0);
    if (broken_) handshake_.result = -ENOMEM;
    advance();
}

void TlsStream::receive(loop::Operation& operation, const iovec* iov, uint32_t count) {
    CHECK(established_, "nothing is received before the handshake has ended");
    CHECK(receive_.operation == nullptr, "one receive at a time");
    loop_.hold(operation);
    receive_ = task(operation, iov, count);
    advance();
}

void TlsStream::send(loop::Operation& operation, const iovec* iov, uint32_t count) {
    CHECK(established_, "nothing is sent before the handshake has ended");
    CHECK(send_.operation == nullptr, "one send at a time");
    loop_.hold(operation);
    send_ = task(operation, iov, count);
    begin_send();
    finish();
}

/// What is encrypted cannot be taken back, so a cancelled send ends the stream.
void TlsStream::cancel(loop::Operation& operation) {
    if (send_.operation == &operation) {
        broken_ = true;
        send_.result = -ECANCELED;
        below_->cancel(send_below_);
    } else if (receive_.operation == &operation) {
        if (!receive_.result) receive_.result = -ECANCELED;
        below_->cancel(receive_below_);
        if (send_.operation == nullptr) below_->cancel(send_below_);
    } else if (handshake_.operation == &operation) {
        if (handshake_.result.value_or(0) == 0) handshake_.result = -ECANCELED;
        broken_ = true;
        below_->cancel(receive_below_);
        below_->cancel(send_below_);
    }
    finish();
}

void TlsStream::end_sending() {
    say_goodbye();
    below_->end_sending();
}

void TlsStream::shut_down() {
    say_goodbye();
    broken_ = true;
    below_->shut_down();
}

/// Tells the peer that this is the end, if there is room for it in the socket now. Without waiting:
/// who ends a connection does not wait for its peer.
void TlsStream::say_goodbye() {
    if (!established_ || broken_ || said_goodbye_ || output_end_ != output_begin_) return;
    said_goodbye_ = true;
    ::ERR_clear_error();
    ::SSL_shutdown(ssl_.get());
    ::ERR_clear_error();
    if (below_->fd() >= 0)
        ::send(below_->fd(), output_.get() + output_begin_, output_end_ - output_begin_,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    output_begin_ = output_end_ = 0;
}

std::string TlsStream::description() const {
    return fmt::format("{}, {}", ::SSL_get_version(ssl_.get()), SSL_get_cipher_name(ssl_.get()));
}

// --- the work ---------------------------------------------------------------------------------

/// Goes on with what the owner waits for, as far as the bytes that are here allow.
void TlsStream::advance() {
    if (handshake_.operation != nullptr && !handshake_.result) advance_handshake();
    if (receive_.operation != nullptr && !receive_.result) advance_receive();
    finish();
}

void TlsStream::advance_handshake() {
    ::ERR_clear_error();
    const int step = ::SSL_do_handshake(ssl_.get());
    if (step == 1) {
        handshake_.result = 0;
    } else {
        const int error = ::SSL_get_error(ssl_.get(), step);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            fail(EPROTO);
        else if (error == SSL_ERROR_WANT_READ)
            receive_below();
    }
    send_below();  // Also the alert that tells the peer why it was refused.
}

void TlsStream::advance_receive() {
    if (broken_) {
        receive_.result = problem_.empty() ? -ECONNRESET : -EPROTO;
        return;
    }
    size_t total = 0;
    int error = SSL_ERROR_NONE;
    for (uint32_t at = 0; at < receive_.count && error == SSL_ERROR_NONE; ++at) {
        auto* to = static_cast<std::byte*>(receive_.iov[at].iov_base);
        size_t room = receive_.iov[at].iov_len;
        while (room > 0 && error == SSL_ERROR_NONE) {
            size_t count = 0;
            ::ERR_clear_error();
            const int step = ::SSL_read_ex(ssl_.get(), to, room, &count);
            if (step != 1) error = ::SSL_get_error(ssl_.get(), step);
            to += count;
            room -= count;
            total += count;
        }
    }
    const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_ZERO_RETURN && !waits) fail(EPROTO);
    // What came before an error is the peer's word, too; the error comes with the next call.
    if (total > 0) heard_ = true;
    if (total > 0)
        receive_.result = static_cast<int32_t>(total);
    else if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_WANT_READ && end_seen_))
        receive_.result = 0;
    else if (error == SSL_ERROR_WANT_READ)
        receive_below();
    if (receive_.result == 0) note_silent_end();
    send_below();
}

/// A server that refuses its client may end the connection without a word.
void TlsStream::note_silent_end() {
    if (heard_ || context_->is_server() || !problem_.empty()) return;
    problem_ = closed_problem(*context_, !established_);
}

/// TLS has failed: everything ends, and problem() says why.
void TlsStream::fail(int code) {
    broken_ = true;
    if (problem_.empty()) problem_ = problem_of(ssl_.get(), *context_, notes_.user_unknown);
    if (handshake_.operation != nullptr) handshake_.result = -code;
    if (receive_.operation != nullptr) receive_.result = -code;
}

/// Encrypts what is to be sent, as much as there is room for.
void TlsStream::begin_send() {
    if (broken_ || said_goodbye_) {
        send_.result = -EPIPE;
        return;
    }
    const size_t taken = encrypt_pieces();
    if (broken_) {
        send_.result = -EPROTO;
    } else if (taken > 0) {
        send_.result = static_cast<int32_t>(taken);
        send_below();
    }  // Else there is no room; sent_below() comes back here.
}

/// Large pieces are encrypted where they are, small ones collected to records.
size_t TlsStream::encrypt_pieces() {
    size_t taken = 0;
    size_t collected = 0;
    bool room = true;
    const auto write_collected = [&] {
        const size_t wrote = encrypt(record_.get(), collected);
        room = wrote == collected;
        taken += wrote;
        collected = 0;
    };
    for (uint32_t at = 0; at < send_.count && room; ++at) {
        const auto* from = static_cast<const std::byte*>(send_.iov[at].iov_base);
        size_t left = send_.iov[at].iov_len;
        while (left > 0 && room) {
            if (collected == 0 && left >= record_bytes) {
                const size_t wrote = encrypt(from, record_bytes);
                room = wrote == record_bytes;
                taken += wrote;
                from += wrote;
                left -= wrote;
                continue;
            }
            const size_t piece = std::min(left, record_bytes - collected);
            std::memcpy(record_.get() + collected, from, piece);
            collected += piece;
            from += piece;
            left -= piece;
            if (collected == record_bytes) write_collected();
        }
    }
    if (collected > 0 && room) write_collected();
    return taken;
}

/// Makes one record, or takes nothing where there is no room for it.
size_t TlsStream::encrypt(const std::byte* from, size_t bytes) {
    if (output_room() < bytes + record_slack_bytes) return 0;
    size_t wrote = 0;
    ::ERR_clear_error();
    if (::SSL_write_ex(ssl_.get(), from, bytes, &wrote) == 1) return wrote;
    fail(EPROTO);
    return 0;
}

// --- the stream below -------------------------------------------------------------------------

void TlsStream::receive_below() {
    if (!receive_below_.idle() || end_seen_) return;
    if (input_begin_ == input_end_) {
        input_begin_ = input_end_ = 0;
    } else if (input_begin_ > 0) {  // Less than a record.
        std::memmove(input_.get(), input_.get() + input_begin_, input_end_ - input_begin_);
        input_end_ -= input_begin_;
        input_begin_ = 0;
    }
    input_iov_ = {input_.get() + input_end_, limits::tls_receive_bytes - input_end_};
    below_->receive(receive_below_, &input_iov_, 1);
}

void TlsStream::send_below() {
    if (!send_below_.idle() || output_begin_ == output_end_) return;
    output_iov_ = {output_.get() + output_begin_, output_end_ - output_begin_};
    below_->send(send_below_, &output_iov_, 1);
}

void TlsStream::received_below(int32_t result) {
    if (result > 0) {
        input_end_ += static_cast<size_t>(result);
    } else if (result == 0) {
        end_seen_ = true;
        if (handshake_.operation != nullptr && !handshake_.result) {
            broken_ = true;
            handshake_.result = -ECONNRESET;
            if (problem_.empty()) problem_ = closed_problem(*context_, true);
        }
    } else {
        if (handshake_.operation != nullptr && !handshake_.result) handshake_.result = result;
        if (result == -ECONNRESET) note_silent_end();
        if (receive_.operation != nullptr && !receive_.result) receive_.result = result;
    }
    advance();
}

void TlsStream::sent_below(int32_t result) {
    if (result > 0) {
        output_begin_ += static_cast<size_t>(result);
        if (output_begin_ == output_end_) output_begin_ = output_end_ = 0;
        if (send_.operation != nullptr && !send_.result) begin_send();
        send_below();
    } else {
        broken_ = true;
        output_begin_ = output_end_ = 0;
        const int32_t code = result == 0 ? -EPIPE : result;
        if (code == -ECONNRESET || code == -EPIPE) note_silent_end();
        if (handshake_.operation != nullptr && handshake_.result.value_or(0) == 0)
            handshake_.result = code;
        if (send_.operation != nullptr && send_.result.value_or(0) >= 0) send_.result = code;
    }
    advance();
}

/// Ends the owner's operations that have a result, once nothing below works for them any more.
void TlsStream::finish() {
    if (handshake_.result || receive_.result) below_->cancel(receive_below_);
    const bool idle = receive_below_.idle() && send_below_.idle();
    if (handshake_.result && idle) {
        established_ = *handshake_.result == 0;
        release(handshake_);
    }
    if (send_.result && send_below_.idle()) release(send_);
    // An answer that TLS gives by itself goes out under the wing of the receive.
    if (receive_.result && receive_below_.idle() &&
        (send_below_.idle() || send_.operation != nullptr))
        release(receive_);
}

void TlsStream::release(Task& done) {
    loop::Operation& operation = *std::exchange(done.operation, nullptr);
    const int32_t result = *std::exchange(done.result, std::nullopt);
    loop_.release(operation, result);
}

}  // namespace braidway::tls
