// SPDX-License-Identifier: Apache-2.0
// The things that can happen to a small map.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

namespace braidway::prove {

/// One kind of thing that happens. Answers that the brain treats alike are one kind, and one of
/// each class stands for all (World says which). Closed: switch over it without `default`.
enum class MoveKind : uint8_t {
    begin,            ///< A new request comes.
    answer_ok,        ///< A path answers: done.
    answer_medium,    ///< ... an error that is not the path's.
    answer_path,      ///< ... an error that is the path's.
    answer_resource,  ///< ... it has no room now.
    answer_unknown,   ///< ... a path error, and the request may still happen there.
    send_delayed,     ///< A request that was to be tried later is.

    fail_path,
    fail_path_sticky,
    reinstate_path,
    switch_group,
    disable_group,
    enable_group,
    queue_if_no_path,
    fail_if_no_path,

    checker_up,
    checker_down,
    path_stalled,
    path_admitted,
    path_vetoed,
    path_quiesced,

    activated_ok,
    activated_busy,
    activated_retry,      ///< After the delay.
    activated_retry_now,  ///< At once.
    activated_failed,

    // Timers, when their deadline has come or nobody armed them, and before that.
    no_path_timer,
    no_path_timer_early,
    activation_timer,
    activation_timer_early,
    fence_timer,
    fence_timer_early,

    suspend_flush,
    suspend_noflush,
    no_traffic,  ///< Said once more.
    resume,
};
inline constexpr unsigned move_kinds = 36;

using MoveSet = std::bitset<move_kinds>;

/// The word of tables and command lines: "fail_path", "answer_ok"...
std::string_view move_kind_name(MoveKind kind);

/// What a move names besides its kind.
enum class Target : uint8_t { none, request, path, group };
Target target_of(MoveKind kind);

/// One thing that happens to one world.
struct Move {
    MoveKind kind = MoveKind::begin;
    uint8_t target = 0;  ///< Request (its place in World::requests()), PathId or GroupNumber.
    /// Which of the orders in which the waiting requests may be run again; 0 = as they are kept.
    uint8_t order = 0;
};

/// Families of moves, for configurations that leave some out.
MoveSet group_moves();
MoveSet suspension_moves();
MoveSet fence_moves();
MoveSet veto_moves();
MoveSet later_moves();   ///< Tries that wait for room.
MoveSet twin_moves();    ///< What the brain does with another's code: stalls, sticky failures.
MoveSet policy_moves();  ///< The two messages about queueing.

}  // namespace braidway::prove
