// SPDX-License-Identifier: Apache-2.0
// One block I/O on its way down the layers and back up.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/io.h"
#include "base/limits.h"
#include "loop/operation.h"
#include "memory/buffer_pool.h"

namespace braidway::block {

class Request;

/// Someone who wants to see a request complete: a layer that pushed itself, or its submitter.
class CompletionStage {
  public:
    /// The request has ended with `request.status()`, and this stage's frame is on top. The stage
    /// restores what it changed and pops its frame; then it passes the end on with
    /// request.finish(status), or submits the request again. The bottom stage (the submitter) owns
    /// the request from here on.
    virtual void completed(Request& request) = 0;

  protected:
    ~CompletionStage() = default;
};

/// What one layer keeps with a request: itself and four words.
struct Frame {
    CompletionStage* stage = nullptr;
    std::array<uint64_t, 4> words{};
};

/// Whether a stretch of a device holds data.
struct Extent {
    uint64_t length_bytes = 0;
    bool hole = false;  ///< Not allocated.
    bool zero = false;  ///< Reads as zeroes.
};

/// One block I/O, owned by whoever fills it in (an export, a checker, a map for its own flushes).
///
/// Life: fill in the fields, push() a stage, device.submit(). From then until the completion the
/// request belongs to the devices. Exactly once, and never inside submit(), the top stage's
/// completed() runs; it pops its frame and calls finish() for the stage above. Debug builds check
/// both. A layer changes offset_bytes, length_bytes, data only if it keeps the old value in its
/// frame and restores it.
///
/// Shapes:  read and write: data covers exactly length_bytes; the others have no data.
/// Threads: one lane.
class Request : public ListNode<> {
  public:
    IoOp op = IoOp::read;
    bool fua = false;        ///< write, write_zeroes, discard: done means on stable storage.
    bool may_unmap = false;  ///< write_zeroes: punching a hole is allowed.
    bool fast_zero = false;  ///< write_zeroes: not_supported at once rather than slow.
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = 0;
    std::span<const iovec> data;
    /// The pool piece behind `data`, with one hold that belongs to the owner of the request; null
    /// for memory that nobody can outlive. A path that gives up a try while the kernel may still
    /// write into the memory keeps that piece and moves the request to another one: after the
    /// completion the owner looks at `data` and `buffer` as they are then.
    memory::Buffer* buffer = nullptr;
    /// read: must reach the storage, no answer from what is known about holes. For checks.
    bool must_reach_storage = false;
    /// block_status: where the answer goes; how many were filled in is extents_count.
    std::span<Extent> extents;

    // --- outputs ---
    uint32_t extents_count = 0;
    bool hole = false;  ///< read: all of it is a hole; the data buffers were NOT filled.
    /// The storage may or may not have done it, now or later: it must not be sent again.
    bool outcome_unknown = false;
    /// Why it failed, for the client's log; static text or text that outlives the request.
    std::string_view error_text;

    /// For whatever lowest device has the request: file I/O, or the ready list.
    loop::Operation operation;
    /// For the lowest device: the rest of a transfer that came back short.
    iovec rest{};
    /// What `data` names after the request was moved to another buffer.
    iovec moved_data{};

    IoStatus status() const { return status_; }
    IoShape shape() const { return {op, offset_bytes, length_bytes}; }
    bool has_data() const { return op == IoOp::read || op == IoOp::write; }

    /// Clears the outputs; the owner calls it before each use.
    void reset() {
        CHECK(depth_ == 0, "a request in flight cannot be used again");
        extents_count = 0;
        hole = fua = may_unmap = fast_zero = outcome_unknown = must_reach_storage = false;
        error_text = {};
        data = {};
        extents = {};
        buffer = nullptr;
        status_ = IoStatus::ok;
    }

    /// Adds `stage` on top; its frame's words are undefined.
    Frame& push(CompletionStage& stage) {
        CHECK(depth_ < limits::frames_max, "more layers than assembly admits");
        Frame& frame = frames_[depth_++];
        frame.stage = &stage;
        return frame;
    }
    Frame& top() {
        CHECK(depth_ > 0, "a request that is not in flight has no frame");
        return frames_[depth_ - 1];
    }
    void pop() {
        CHECK(depth_ > 0, "a request that is not in flight has no frame");
        --depth_;
    }
    unsigned depth() const { return depth_; }

    /// Ends the request at this layer: the top stage hears of it now. Called from the loop (an
    /// operation's `done`) or from a stage's completed(), never inside submit().
    void finish(IoStatus status) {
        DEBUG_CHECK(!entered(), "a request does not end inside submit()");
        status_ = status;
        top().stage->completed(*this);
    }

    // --- for BlockDevice::submit: how many of them the request is inside of; debug builds only ---
#ifdef NDEBUG
    void enter() {}
    void leave() {}
#else
    void enter() { ++entered_; }
    void leave() { --entered_; }
    bool entered() const { return entered_ > 0; }
#endif

  private:
    std::array<Frame, limits::frames_max> frames_;
    uint8_t depth_ = 0;
    IoStatus status_ = IoStatus::ok;
#ifndef NDEBUG
    uint8_t entered_ = 0;
#endif
};

}  // namespace braidway::block
