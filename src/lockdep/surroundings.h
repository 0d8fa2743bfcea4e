// SPDX-License-Identifier: Apache-2.0
// What the validator asks of the world.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace braidway::lockdep {

struct Finding;

/// What the validator cannot do itself: memory, stacks, and somebody to tell.
///
/// Threads: any; every function may be called by several at once. None may take a lock that is
/// validated; pages() and capture_stack() may not call the validator.
class Surroundings {
  public:
    /// Zeroed memory of `bytes` (a multiple of 4096), which is never given back; nullptr when there
    /// is none.
    virtual void* pages(size_t bytes) = 0;

    /// Return addresses of the calling thread's stack, innermost first, into `frames`; returns how
    /// many. Frames of the validator and of who calls it are left out.
    virtual size_t capture_stack(std::span<uintptr_t> frames) = 0;

    /// Something was found, or is worth a note. Called on the thread that did it, without any lock
    /// of the validator, and before that thread blocks. `finding` is valid during the call.
    virtual void found(const Finding& finding) = 0;

    /// Asked before found() of a ring of classes: is it one by all that can be known? False: its
    /// classes were merged meanwhile (Validator::merge_classes(), which may be called in here), and
    /// it is nothing but one class nested. Called as found() is.
    virtual bool is_ring(const Finding& /*finding*/) { return true; }

  protected:
    ~Surroundings() = default;
};

}  // namespace braidway::lockdep
