// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/initialiser.h"

#include <array>
#include <cstddef>
#include <span>

#include "apps/lockcheck/preload/frames.h"
#include "apps/lockcheck/preload/mixed.h"
#include "apps/lockcheck/preload/passing.h"
#include "apps/lockcheck/preload/static_objects.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// The functions on the stack, innermost first, with those that left no frame.
class Walk {
  public:
    /// `frames` are those of the program, of which the first `skipped` are of the libraries.
    Walk(std::span<const uintptr_t> frames, size_t skipped) : frames_(frames), at_(skipped) {}

    /// The next one, as a call that ends at `site`. False: there are no more.
    bool next(FunctionCode& function, uintptr_t& site) {
        if (hidden_ == 0 && at_ < frames_.size() && !asked_) find_hidden();
        if (hidden_given_ < hidden_) {
            const TailCall& call = calls_[hidden_given_++];
            function = call.function;
            site = call.jump_end;
            left_no_frame_ = true;
            return true;
        }
        if (at_ >= frames_.size()) return false;
        site = frames_[at_++];
        function = function_at(site - 1);
        hidden_ = hidden_given_ = 0;
        asked_ = left_no_frame_ = false;
        return true;
    }

    /// Is the last one a function that goes on by a jump?
    bool left_no_frame() const { return left_no_frame_; }

  private:
    /// Does the next frame call what is not the frame before? Then that one came by jumps.
    void find_hidden() {
        asked_ = true;
        const uintptr_t called = function_called_before(frames_[at_]);
        if (called == 0 || is_of_this_library(called) || is_wrapper_code(called + 1)) return;
        const uintptr_t inner = at_ == 0 ? 0 : function_at(frames_[at_ - 1] - 1).begin;
        if (called == inner || (at_ != 0 && inner == 0)) return;
        hidden_ = tail_calls(called, inner, calls_.data(), calls_.size());
    }

    std::span<const uintptr_t> frames_;
    size_t at_;
    bool asked_ = false;
    bool left_no_frame_ = false;
    std::array<TailCall, 3> calls_{};
    size_t hidden_ = 0;
    size_t hidden_given_ = 0;
};

Initialiser::Kind kind_of(Role role) {
    switch (role) {
        case Role::unknown:
            return Initialiser::Kind::unknown;
        case Role::makes:
            return Initialiser::Kind::makes;
        case Role::whole:
        case Role::part:
            return Initialiser::Kind::knows;
        case Role::passes:
            return Initialiser::Kind::passes;
    }
    return Initialiser::Kind::unknown;
}

/// Chooses the initialiser by the rules of the header.
void choose(Walk& walk, Initialiser& chosen) {
    uint8_t parameter = 0;
    // The last one was taken for a wrapper, so that this one stands for it.
    bool wrapped = true;
    for (size_t step = 0; step < limits::lockcheck_wrappers_max; ++step) {
        FunctionCode function;
        uintptr_t site = 0;
        if (!walk.next(function, site)) return;
        chosen.user = site;
        const Passing passing = passing_of(function, site, parameter);
        parameter = passing.parameter;
        // What is left to such a jump, and begins with the lock, is rather a lock of another make
        // (a mutex and what measures it) than the object that it belongs to.
        const bool is_lock_of_another_make = passing.role == Role::whole && walk.left_no_frame();
        if (is_lock_of_another_make) {
            wrapped = true;
            continue;
        }
        const bool passes = passing.role == Role::passes;
        if (wrapped || passes || passing.role == Role::part) {
            chosen.site = site;
            chosen.has_frame = !walk.left_no_frame();
            chosen.kind = kind_of(passing.role);
            chosen.block_bytes = passing.block_bytes;
        }
        if (!passes) return;
        wrapped = passing.cares;
    }
}

}  // namespace

Initialiser initialiser_on_the_stack() {
    std::array<uintptr_t, limits::lockcheck_library_frames_max + limits::lockcheck_class_frames>
        room{};
    const std::span<uintptr_t> frames(room.data(), program_frames(room));
    if (frames.empty()) return {};
    size_t skipped = 0;
    while (skipped < limits::lockcheck_library_frames_max && skipped < frames.size() &&
           is_wrapper_code(frames[skipped]))
        ++skipped;
    // Nothing but wrappers: then they are all there is to tell.
    if (skipped == frames.size()) skipped = 0;
    const std::span<uintptr_t> users = frames.subspan(skipped);
    Initialiser found{.site = users.front()};
    for (size_t i = 0; i < users.size() && i < limits::lockcheck_class_frames; ++i)
        found.stack_key = mixed(found.stack_key, users[i]);
    if (skipped == 0 && function_called_before(found.site) == 0 &&
        is_call_through_pointer(found.site)) {
        found.kind = Initialiser::Kind::pointed;
        return found;
    }
    Walk walk(frames, skipped);
    choose(walk, found);
    return found;
}

}  // namespace braidway::lockcheck
