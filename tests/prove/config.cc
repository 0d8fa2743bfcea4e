// SPDX-License-Identifier: Apache-2.0
#include "prove/config.h"

#include <fmt/format.h>

namespace braidway::prove {

multipath::MultipathSpec Config::spec() const {
    multipath::MultipathSpec spec;
    for (uint32_t group = 0; group < groups; ++group) {
        multipath::GroupSpec& added = spec.groups.emplace_back();
        added.selector = selector;
        for (uint32_t path = 0; path < paths; ++path)
            added.paths.push_back(
                {.name = fmt::format("p{}", group * paths + path), .arguments = {}});
    }
    spec.no_path.queue = queue;
    if (strict) spec.no_path.timeout.reset();
    spec.attempts_max = attempts_max;
    if (quiesce) spec.fence.quiesce_time = limits::fence_patience_default;
    if (handler) spec.handler.name = "small";
    spec.pg_init_retries = retries;
    spec.queue_mode = bio ? multipath::QueueMode::bio : multipath::QueueMode::request;
    spec.kernel_strict = strict;
    return spec;
}

std::string Config::words() const {
    std::string text =
        fmt::format("{} group{} x {} path{}, {} request{}, {}, {}", groups, groups == 1 ? "" : "s",
                    paths, paths == 1 ? "" : "s", requests, requests == 1 ? "" : "s", selector,
                    !strict ? "native"
                    : bio   ? "kernel_strict bio"
                            : "kernel_strict request");
    if (handler) text += fmt::format(", handler with {} retries", retries);
    if (!queue) text += ", no queueing at first";
    if (quiesce) text += ", fences end by time";
    for (unsigned kind = 0, first = 1; kind < move_kinds; ++kind) {
        if (!without[kind]) continue;
        text += std::exchange(first, 0) != 0 ? "; left out: " : " ";
        text += move_kind_name(static_cast<MoveKind>(kind));
    }
    return text;
}

namespace {

/// All moves but these.
MoveSet all_but(std::initializer_list<MoveKind> kinds) {
    MoveSet set;
    set.set();
    for (const MoveKind kind : kinds) set.reset(static_cast<size_t>(kind));
    return set;
}

/// With a handler and two paths: what waits or is late, and as little else as lets it happen.
MoveSet late_moves() {
    using enum MoveKind;
    return all_but({begin, answer_ok, answer_resource, send_delayed, fail_path_sticky, checker_up,
                    checker_down, disable_group, path_vetoed, activated_ok, activated_retry,
                    activation_timer, activation_timer_early});
}

/// With a handler and fences.
MoveSet fenced_moves() {
    using enum MoveKind;
    return all_but({begin, answer_ok, answer_medium, answer_unknown, fail_path_sticky, checker_up,
                    checker_down, disable_group, path_vetoed, path_quiesced, activated_ok,
                    activated_retry, activation_timer, fence_timer, fence_timer_early});
}

/// With a handler, two groups and two requests.
MoveSet crossing_moves() {
    using enum MoveKind;
    return all_but({begin, answer_ok, answer_resource, send_delayed, switch_group, checker_up,
                    activated_ok, activated_retry, activation_timer});
}

/// With a handler and vetoes, which make an I/O fail its path.
MoveSet vetoed_moves() {
    using enum MoveKind;
    return all_but({begin, answer_ok, checker_up, path_vetoed, activated_ok, activated_busy,
                    activated_retry_now, activated_failed});
}

/// With a handler and a suspension of two paths.
MoveSet suspended_moves() {
    using enum MoveKind;
    return all_but({begin, answer_ok, answer_path, fail_path_sticky, checker_up, checker_down,
                    path_vetoed, activated_ok, activated_retry, activation_timer,
                    activation_timer_early, suspend_noflush, no_traffic, resume});
}

/// The same with every answer of the handler, and little else.
MoveSet suspended_answers() {
    using enum MoveKind;
    return all_but({begin, answer_ok, checker_up, checker_down, activated_ok, activated_busy,
                    activated_retry, activated_retry_now, activated_failed, activation_timer,
                    activation_timer_early, suspend_noflush, no_traffic, resume});
}

/// With a handler, requests that wait, and a suspension of two paths.
MoveSet suspended_requests() {
    using enum MoveKind;
    return all_but({begin, answer_ok, answer_medium, answer_resource, answer_unknown, send_delayed,
                    path_quiesced, fence_timer, fence_timer_early, checker_up, checker_down,
                    path_vetoed, activated_ok, suspend_noflush, resume});
}

}  // namespace

std::vector<Config> small_configs() {
    const MoveSet plain = twin_moves() | fence_moves() | later_moves();
    const MoveSet sticky = ~all_but({MoveKind::fail_path_sticky});
    return {
        {.name = "one-path", .requests = 2},
        {.name = "fences-by-time", .quiesce = true},
        {.name = "two-paths", .paths = 2, .without = policy_moves()},
        {.name = "two-groups",
         .groups = 2,
         .requests = 2,
         .without = twin_moves() | fence_moves() | policy_moves() | suspension_moves()},
        {.name = "handler",
         .requests = 2,
         .handler = true,
         .without = (plain & ~sticky) | suspension_moves()},
        {.name = "handler-all", .handler = true, .without = group_moves() | policy_moves()},
        {.name = "handler-fenced", .requests = 2, .handler = true, .without = fenced_moves()},
        {.name = "handler-two-paths",
         .paths = 2,
         .handler = true,
         .without = twin_moves() | later_moves() | veto_moves() | group_moves() | policy_moves() |
                    suspension_moves()},
        {.name = "handler-late",
         .paths = 2,
         .handler = true,
         .retries = 1,
         .without = late_moves() | group_moves()},
        {.name = "handler-crossing",
         .groups = 2,
         .requests = 2,
         .handler = true,
         .retries = 1,
         .without = crossing_moves()},
        {.name = "handler-vetoed", .paths = 2, .handler = true, .without = vetoed_moves()},
        {.name = "handler-late-groups",
         .groups = 2,
         .handler = true,
         .retries = 1,
         .without = late_moves() | twin_moves() | veto_moves()},
        {.name = "handler-suspending",
         .paths = 2,
         .handler = true,
         .quiesce = true,
         .without = suspended_requests()},
        {.name = "handler-suspended", .paths = 2, .handler = true, .without = suspended_moves()},
        {.name = "handler-two-groups",
         .groups = 2,
         .handler = true,
         .without = plain | veto_moves() | policy_moves() | suspension_moves()},
        {.name = "strict-request", .groups = 2, .strict = true},
        {.name = "strict-bio", .requests = 2, .strict = true, .bio = true},
        {.name = "strict-handler", .strict = true, .handler = true, .retries = 1, .without = plain},
        {.name = "strict-handler-two",
         .paths = 2,
         .strict = true,
         .handler = true,
         .without = suspended_answers()},
    };
}

std::vector<Config> large_configs() {
    const MoveSet plain = twin_moves() | fence_moves() | later_moves();
    return {
        {.name = "three-requests", .groups = 2, .requests = 3, .without = plain},
        {.name = "two-paths-large", .paths = 2, .requests = 3},
        {.name = "queue-length", .paths = 2, .requests = 3, .selector = "queue-length"},
        {.name = "handler-large", .groups = 2, .requests = 1, .handler = true, .retries = 1},
        {.name = "handler-paths-large",
         .paths = 2,
         .requests = 2,
         .handler = true,
         .without = plain | suspension_moves()},
        {.name = "four-paths",
         .groups = 2,
         .paths = 2,
         .requests = 3,
         .without = plain | suspension_moves()},
        {.name = "four-paths-all", .groups = 2, .paths = 2, .requests = 3, .handler = true},
        {.name = "strict-request-large", .groups = 2, .requests = 3, .strict = true},
        {.name = "strict-bio-large", .groups = 2, .requests = 3, .strict = true, .bio = true},
        {.name = "strict-queue-length",
         .paths = 2,
         .requests = 2,
         .selector = "queue-length",
         .strict = true,
         .bio = true},
        {.name = "strict-handler-large",
         .groups = 2,
         .requests = 1,
         .strict = true,
         .handler = true,
         .retries = 1},
        {.name = "strict-handler-bio",
         .groups = 2,
         .requests = 1,
         .strict = true,
         .bio = true,
         .handler = true,
         .retries = 1},
    };
}

}  // namespace braidway::prove
