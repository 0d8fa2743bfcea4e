// SPDX-License-Identifier: Apache-2.0
#include "prove/move.h"

#include <array>
#include <initializer_list>

namespace braidway::prove {
namespace {

MoveSet set_of(std::initializer_list<MoveKind> kinds) {
    MoveSet set;
    for (const MoveKind kind : kinds) set.set(static_cast<size_t>(kind));
    return set;
}

}  // namespace

std::string_view move_kind_name(MoveKind kind) {
    static constexpr std::array<std::string_view, move_kinds> names{"begin",
                                                                    "answer_ok",
                                                                    "answer_medium",
                                                                    "answer_path",
                                                                    "answer_resource",
                                                                    "answer_unknown",
                                                                    "send_delayed",
                                                                    "fail_path",
                                                                    "fail_path_sticky",
                                                                    "reinstate_path",
                                                                    "switch_group",
                                                                    "disable_group",
                                                                    "enable_group",
                                                                    "queue_if_no_path",
                                                                    "fail_if_no_path",
                                                                    "checker_up",
                                                                    "checker_down",
                                                                    "path_stalled",
                                                                    "path_admitted",
                                                                    "path_vetoed",
                                                                    "path_quiesced",
                                                                    "activated_ok",
                                                                    "activated_busy",
                                                                    "activated_retry",
                                                                    "activated_retry_now",
                                                                    "activated_failed",
                                                                    "no_path_timer",
                                                                    "no_path_timer_early",
                                                                    "activation_timer",
                                                                    "activation_timer_early",
                                                                    "fence_timer",
                                                                    "fence_timer_early",
                                                                    "suspend_flush",
                                                                    "suspend_noflush",
                                                                    "no_traffic",
                                                                    "resume"};
    return names[static_cast<size_t>(kind)];
}

Target target_of(MoveKind kind) {
    switch (kind) {
        case MoveKind::answer_ok:
        case MoveKind::answer_medium:
        case MoveKind::answer_path:
        case MoveKind::answer_resource:
        case MoveKind::answer_unknown:
        case MoveKind::send_delayed:
            return Target::request;
        case MoveKind::fail_path:
        case MoveKind::fail_path_sticky:
        case MoveKind::reinstate_path:
        case MoveKind::checker_up:
        case MoveKind::checker_down:
        case MoveKind::path_stalled:
        case MoveKind::path_admitted:
        case MoveKind::path_vetoed:
        case MoveKind::path_quiesced:
        case MoveKind::activated_ok:
        case MoveKind::activated_busy:
        case MoveKind::activated_retry:
        case MoveKind::activated_retry_now:
        case MoveKind::activated_failed:
            return Target::path;
        case MoveKind::switch_group:
        case MoveKind::disable_group:
        case MoveKind::enable_group:
            return Target::group;
        case MoveKind::begin:
        case MoveKind::queue_if_no_path:
        case MoveKind::fail_if_no_path:
        case MoveKind::no_path_timer:
        case MoveKind::no_path_timer_early:
        case MoveKind::activation_timer:
        case MoveKind::activation_timer_early:
        case MoveKind::fence_timer:
        case MoveKind::fence_timer_early:
        case MoveKind::suspend_flush:
        case MoveKind::suspend_noflush:
        case MoveKind::no_traffic:
        case MoveKind::resume:
            return Target::none;
    }
    return Target::none;
}

MoveSet group_moves() {
    return set_of({MoveKind::switch_group, MoveKind::disable_group, MoveKind::enable_group});
}

MoveSet suspension_moves() {
    return set_of({MoveKind::suspend_flush, MoveKind::suspend_noflush, MoveKind::no_traffic,
                   MoveKind::resume});
}

MoveSet fence_moves() {
    return set_of({MoveKind::answer_unknown, MoveKind::path_quiesced, MoveKind::fence_timer,
                   MoveKind::fence_timer_early});
}

MoveSet veto_moves() {
    return set_of({MoveKind::path_admitted, MoveKind::path_vetoed});
}

MoveSet later_moves() {
    return set_of({MoveKind::answer_resource, MoveKind::send_delayed});
}

MoveSet twin_moves() {
    return set_of({MoveKind::path_stalled, MoveKind::fail_path_sticky, MoveKind::answer_medium});
}

MoveSet policy_moves() {
    return set_of({MoveKind::queue_if_no_path, MoveKind::fail_if_no_path});
}

}  // namespace braidway::prove
