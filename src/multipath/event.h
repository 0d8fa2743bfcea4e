// SPDX-License-Identifier: Apache-2.0
// What happens to a map, and what a map is to do about it.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "multipath/handler_result.h"
#include "multipath/spec.h"

namespace braidway::multipath {

/// Operators' messages, with device-mapper's semantics.
enum class Message : uint8_t {
    fail_path,
    reinstate_path,
    switch_group,
    disable_group,
    enable_group,
    queue_if_no_path,
    fail_if_no_path,
};
inline constexpr unsigned messages = 7;

/// Something that happened.
struct Event {
    enum class Kind : uint8_t {
        message,        ///< `message`, with path or group.
        checker_up,     ///< A check of `path` was good.
        checker_down,   ///< A check of `path` failed; `reason` says why.
        path_stalled,   ///< I/O on `path` is not answered in time.
        no_path_timer,  ///< The timer of arm_no_path_timer went off.

        path_activated,    ///< The handler's answer to activate_path: `result`.
        path_admitted,     ///< The handler lets I/O through to `path`.
        path_vetoed,       ///< The handler lets none through; `reason` says why.
        activation_timer,  ///< The timer of arm_activation_timer went off.

        path_quiesced,  ///< Nothing that was given up on `path` can be executed any more.
        fence_timer,    ///< The timer of arm_fence_timer went off.

        suspend,  ///< The map is being suspended; `noflush` keeps what is held.
        /// While it is being suspended: no request is on any path. Said again after each run_held.
        no_traffic,
        resume,
    };
    static constexpr unsigned kinds = 14;
    Kind kind = Kind::message;
    Message message = Message::fail_path;
    PathId path = no_path;
    GroupNumber group = 0;  ///< switch_group, disable_group, enable_group.
    /// fail_path: good checks do not undo it, only reinstate_path does.
    bool sticky = false;
    bool noflush = false;                      ///< suspend.
    HandlerResult result = HandlerResult::ok;  ///< path_activated.
    std::string reason;                        ///< In words, for whoever asks later; may be empty.
};

/// Something for the map to do, or to tell.
struct Action {
    enum class Kind : uint8_t {
        path_failed,      ///< Tell; `valid_paths` are left. The checker should look soon.
        path_reinstated,  ///< Tell.
        group_switched,   ///< I/O now goes to `group`; tell.
        no_paths_left,    ///< Shout.
        paths_back,       ///< Shout: the first path after none.
        run_held,         ///< route() every held request again, in arrival order.
        fail_held,        ///< route() would fail now: answer every held request with I/O error.
        /// At `deadline` send Event::no_path_timer; replaces the deadline before. One that comes
        /// early or late does no harm.
        arm_no_path_timer,
        disarm_no_path_timer,  ///< The timer is not needed any more.

        /// Have the handler activate `path`; Event::path_activated follows, once for each.
        activate_path,
        /// At `deadline` send Event::activation_timer; replaces the deadline before.
        arm_activation_timer,
        /// The activation of `path` ended with `result`, which was not ok; tell.
        activation_failed,

        /// The requests that Verdict::fence left with `entry` go on: route() them again if
        /// `resend`, else answer them with their error.
        release_fenced,
        /// At `deadline` send Event::fence_timer; replaces the deadline before.
        arm_fence_timer,

        defer_held,  ///< Every held request waits for the resume, as if it had not come yet.
        suspended,   ///< Nothing is going on any more.
        resumed,     ///< What came or was deferred meanwhile may come.
    };
    Kind kind = Kind::path_failed;
    PathId path = no_path;                     ///< path_failed, path_reinstated.
    GroupNumber group = 0;                     ///< Of `path`; the new one of group_switched.
    uint32_t valid_paths = 0;                  ///< How many are up after it.
    uint32_t entry = 0;                        ///< release_fenced: of the tickets.
    bool resend = false;                       ///< release_fenced.
    HandlerResult result = HandlerResult::ok;  ///< activation_failed.
    Instant deadline;
    std::string reason;  ///< path_failed, fail_held, activation_failed: in words.
};

}  // namespace braidway::multipath
