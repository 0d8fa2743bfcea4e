// SPDX-License-Identifier: Apache-2.0
// The short way into this thread's state, and what every wrapped call needs.
#pragma once

#include <cerrno>

#include "apps/lockcheck/preload/thread_record.h"

namespace braidway::lockcheck {

/// This thread's record; nullptr: not watched (yet, or any more).
extern constinit thread_local ThreadRecord* current_record
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

/// The return address of the wrapped call, for reports.
#define LOCKCHECK_SITE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

/// Makes the library ready: the real functions are known after it. False: this is called out of
/// its own start, and nothing is watched.
bool make_ready();

/// The thread's record, if the call is the program's own and the thread is watched.
inline ThreadRecord* watched() {
    ThreadRecord* const self = current_record;
    if (self != nullptr && self->inside == 0) [[likely]]
        return self;
    return static_cast<ThreadRecord*>(watched_thread());
}

/// Starts to watch the calling thread, whose record was made by its maker. `blocked`: the signals
/// that it blocks as far as the program is concerned.
void adopt_record(ThreadRecord& record, uint64_t blocked);

/// The thread is not watched from here on, nor are its last destructors.
void stop_watching_thread();

/// Is this the process that the library started in? False in a child of vfork(), which runs in its
/// parent's memory.
bool in_own_process();

/// This is a child of fork() now.
void in_new_process();

/// Keeps errno over a scope.
class KeptErrno {
  public:
    KeptErrno() = default;
    ~KeptErrno() { errno = kept_; }
    KeptErrno(const KeptErrno&) = delete;
    KeptErrno& operator=(const KeptErrno&) = delete;

  private:
    int kept_ = errno;
};

}  // namespace braidway::lockcheck
