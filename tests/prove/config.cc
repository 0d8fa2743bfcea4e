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

std::vector<Config> small_configs() {
    const MoveSet plain = twin_moves() | fence_moves() | later_moves();
    return {
        {.name = "one-path", .requests = 2},
        {.name = "fences-by-time", .requests = 2, .quiesce = true},
        {.name = "two-paths", .paths = 2, .requests = 1},
        {.name = "two-groups", .groups = 2, .requests = 2, .without = plain},
        {.name = "handler", .requests = 2, .handler = true, .without = plain},
        {.name = "handler-one", .handler = true, .retries = 1},
        {.name = "handler-two-paths",
         .paths = 2,
         .handler = true,
         .without = twin_moves() | later_moves() | veto_moves() | suspension_moves()},
        {.name = "handler-suspended",
         .paths = 2,
         .handler = true,
         .without = plain | group_moves() | policy_moves() | veto_moves()},
        {.name = "handler-vetoed",
         .paths = 2,
         .handler = true,
         .without = plain | group_moves() | policy_moves() | suspension_moves()},
        {.name = "handler-two-groups",
         .groups = 2,
         .requests = 1,
         .handler = true,
         .without = plain | veto_moves() | suspension_moves()},
        {.name = "strict-handler-two",
         .paths = 2,
         .strict = true,
         .handler = true,
         .without = plain | group_moves() | policy_moves() | suspension_moves() | veto_moves()},
        {.name = "strict-request", .groups = 2, .requests = 1, .strict = true},
        {.name = "strict-bio", .requests = 2, .strict = true, .bio = true},
        {.name = "strict-handler",
         .requests = 1,
         .strict = true,
         .handler = true,
         .retries = 1,
         .without = plain},
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
