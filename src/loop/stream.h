// SPDX-License-Identifier: Apache-2.0
// Bytes to a peer and back: a socket, or something on top of one.
#pragma once

#include <string_view>

#include "loop/loop.h"

namespace braidway::loop {

/// A stream of bytes to a peer: a socket, or TLS on one. At most one receive and one send are under
/// way at a time. What an operation names stays valid until its `done`, which never runs inside the
/// call that started the operation.
///
/// Errors:  reported to `done` as negative errno values.
/// Threads: one lane.
class Stream {
  public:
    Stream() = default;
    /// No operation in it may be under way.
    virtual ~Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// As Loop::receive: at least one byte; 0 = the peer has closed its side.
    virtual void receive(Operation& operation, const iovec* iov, uint32_t count) = 0;
    /// As Loop::send: waits for room; may end short, with the count sent.
    virtual void send(Operation& operation, const iovec* iov, uint32_t count) = 0;
    /// As Loop::cancel, for an operation of this stream.
    virtual void cancel(Operation& operation) = 0;
    /// Nothing more will be sent, and the peer is told so; what it sends can still be received. No
    /// send may be under way.
    virtual void end_sending() = 0;
    /// Both directions end; operations under way end soon, with an error or 0.
    virtual void shut_down() = 0;
    /// The socket below, for the peer's credentials and for polling; not for reading and writing.
    virtual int fd() const = 0;
    /// Why it has ended, in one line that says what to do, where it knows more than an errno tells;
    /// else empty. Of nothing in it did the peer choose the words.
    virtual std::string_view problem() const { return {}; }
};

/// A stream that is a connected, non-blocking socket of any family.
///
/// Threads: one lane. No allocation.
class SocketStream final : public Stream {
  public:
    /// Owns `fd` from now on.
    SocketStream(Loop& loop, int fd);
    ~SocketStream() override;

    void receive(Operation& operation, const iovec* iov, uint32_t count) override;
    void send(Operation& operation, const iovec* iov, uint32_t count) override;
    void cancel(Operation& operation) override;
    void end_sending() override;
    void shut_down() override;
    int fd() const override { return file_.fd; }
    /// As the loop knows it, for Loop::poll().
    File file() const { return file_; }

  private:
    Loop& loop_;
    File file_;
};

}  // namespace braidway::loop
