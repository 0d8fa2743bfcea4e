// SPDX-License-Identifier: Apache-2.0
// A map that cannot send: no path is left, it is being suspended, or an answer was lost.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/units.h"
#include "multipath/multipath.h"

namespace braidway::multipath {

void Multipath::lose_last_path(Instant now) {
    tell(Action::Kind::no_paths_left);
    no_path_since_ = now;
    if (queue_) start_no_path_timer(now);
}

void Multipath::find_first_path() {
    expired_ = false;
    tell(Action::Kind::paths_back);
    disarm_no_path_timer();
    tell(Action::Kind::run_held);
}

/// I/O is held from now on, but no longer than no_path_timeout_ from no_path_since_.
void Multipath::start_no_path_timer(Instant now) {
    if (!no_path_timeout_) return;
    const Instant since = no_path_since_;
    const Instant deadline = *no_path_timeout_ < never - since ? since + *no_path_timeout_ : never;
    no_path_deadline_ = deadline;
    if (deadline <= now) return expire();
    tell(Action::Kind::arm_no_path_timer).deadline = deadline;
}

/// Queueing has run out. Unlike in the kernel it works again once a path has been back.
void Multipath::expire() {
    no_path_deadline_.reset();
    expired_ = true;
    if (defers())
        tell(Action::Kind::defer_held);
    else
        tell(Action::Kind::fail_held).reason =
            fmt::format("no path for {}", format_duration(no_path_timeout_.value_or(Duration(0))));
}

void Multipath::disarm_no_path_timer() {
    if (!no_path_deadline_) return;
    no_path_deadline_.reset();
    tell(Action::Kind::disarm_no_path_timer);
}

void Multipath::queue_if_no_path(Instant now) {
    queue_ = true;
    expired_ = false;
    if (valid_paths_ > 0) return;
    no_path_since_ = now;
    start_no_path_timer(now);
}

void Multipath::fail_if_no_path() {
    const bool may_hold = valid_paths_ == 0 && queueing();
    queue_ = saved_queue_ = false;
    disarm_no_path_timer();
    if (may_hold) tell(Action::Kind::fail_held).reason = "fail_if_no_path";
}

// --- suspension ---------------------------------------------------------------------------------

/// What is held for want of a path either ends now, because queue_if_no_path is taken away, or with
/// noflush waits for the resume.
void Multipath::suspend(bool noflush) {
    suspension_ = Suspension::suspending;
    noflush_ = noflush;
    const bool queue_taken = !noflush || (strict_ && bio_);
    if (queue_taken) {
        if (queue_ || !saved_queue_) saved_queue_ = queue_;
        queue_ = false;
    }
    tell(!queue_taken ? Action::Kind::defer_held : Action::Kind::run_held);
}

/// No request is on a path; activations may still run, but none starts any more.
void Multipath::end_suspending() {
    traffic_ended_ = true;
    init_forbidden_ = activations_ > 0;
    if (init_forbidden_) return;
    suspension_ = Suspension::suspended;
    tell(Action::Kind::suspended);
}

void Multipath::resume(Instant now) {
    if (suspension_ == Suspension::running) return;
    suspension_ = Suspension::running;
    noflush_ = traffic_ended_ = false;
    if (std::exchange(saved_queue_, false)) queue_ = true;
    // The last path may have gone while nothing was held. The kernel starts no clock here.
    if (!strict_ && valid_paths_ == 0 && queueing() && !no_path_deadline_) start_no_path_timer(now);
    tell(Action::Kind::resumed);
}

// --- requests that may still happen on a failed path --------------------------------------------

Verdict Multipath::fence(Path& path, Instant now) {
    // Each fence ends by the policy under which it began; together they end with the longest, and
    // send again only if all of them may.
    const bool resends = fence_.quiesce_time.has_value();
    const Instant deadline = now + fence_.quiesce_time.value_or(fence_.patience);
    path.fence_resends = resends && (path.fenced == 0 || path.fence_resends);
    path.fence_deadline = path.fenced == 0 ? deadline : std::max(path.fence_deadline, deadline);
    ++path.fenced;
    arm_fence_timer();
    return Verdict::fence;
}

/// For the fence that ends first: the others have theirs then.
void Multipath::arm_fence_timer() {
    Instant next = never;
    for (const Path& path : entries_)
        if (path.fenced > 0) next = std::min(next, path.fence_deadline);
    if (next != never) tell(Action::Kind::arm_fence_timer).deadline = next;
}

void Multipath::release_fenced(Path& path, uint32_t entry, bool resend) {
    if (path.fenced == 0) return;
    path.fenced = 0;
    Action& action = tell(Action::Kind::release_fenced);
    action.entry = entry;
    action.resend = resend;
    if (path.removed && path.in_flight == 0) free_entries_.push_back(entry);
}

void Multipath::fence_timer(Instant now) {
    for (uint32_t entry = 0; entry < entries_.size(); ++entry) {
        Path& path = entries_[entry];
        if (path.fenced > 0 && path.fence_deadline <= now)
            release_fenced(path, entry, path.fence_resends);
    }
    arm_fence_timer();
}

}  // namespace braidway::multipath
