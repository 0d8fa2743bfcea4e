// SPDX-License-Identifier: Apache-2.0
// One thing a loop was asked to do, owned by whoever asked.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "base/intrusive_list.h"

namespace braidway::loop {

/// A file, socket or other descriptor that a loop knows (Loop::add_file). `slot` is the place in
/// the kernel's table of registered files, or -1.
struct File {
    int fd = -1;
    int slot = -1;

    bool valid() const { return fd >= 0; }
};

/// One operation in flight. The owner embeds it (no allocation), keeps it alive and does not touch
/// its fields until `done` has been called; then it may be used again at once, also from inside
/// `done`.
///
/// `done` runs on the lane, from the loop, never inside the call that started the operation.
/// `result` is what the system call would return: a count, or a negative errno value.
struct Operation : ListNode<> {
    using Done = void (*)(Operation& operation, int32_t result);

    Done done = nullptr;
    void* owner = nullptr;  ///< For `done`; the loop does not look at it.
    /// Of a send: nobody waits for its end, which may be told only when something else happens to
    /// the loop. Set before the start; may be cleared at any time, when somebody begins to wait.
    bool patient = false;

    // --- the loop's own fields ---
    enum class Kind : uint8_t {
        idle,  ///< Not in a loop.
        ready,
        held,  ///< By a layer on top of the loop, which will end it.
        read,
        write,
        sync_data,
        allocate,
        receive,
        send,
        accept,
        poll,
    };
    Kind kind = Kind::idle;
    bool cancelled = false;
    bool registered = false;  ///< Its one buffer is in memory that the kernel knows.
    bool waiting = false;     ///< For readiness, before it is tried (again).
    bool quick = false;       ///< A send of which the kernel tells only that it has failed.
    int flags = 0;
    int32_t result = 0;
    File file;
    const iovec* iov = nullptr;
    uint32_t iov_count = 0;
    uint64_t offset = 0;
    uint64_t length = 0;
    msghdr message{};

    bool idle() const { return kind == Kind::idle; }
    /// Of all its buffers.
    size_t bytes() const {
        size_t sum = 0;
        for (uint32_t at = 0; at < iov_count; ++at) sum += iov[at].iov_len;
        return sum;
    }
    /// Whether cancelling it is the loop's business, and has not been asked for yet.
    bool cancellable() const { return kind > Kind::held && !cancelled; }
};

}  // namespace braidway::loop
