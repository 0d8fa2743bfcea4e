// SPDX-License-Identifier: Apache-2.0
// A map's brain with short words for tests: paths by name, actions as text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "multipath/multipath.h"

namespace braidway::multipath {

inline GroupSpec make_group(std::vector<std::string> names, std::string selector = "round-robin") {
    GroupSpec group{.selector = std::move(selector), .paths = {}};
    for (std::string& name : names)
        group.paths.push_back({.name = std::move(name), .arguments = {}});
    return group;
}

inline MultipathSpec make_spec(std::vector<GroupSpec> groups) {
    MultipathSpec spec;
    spec.groups = std::move(groups);
    return spec;
}

/// One group of one path; the policy is the default: hold for 60 s.
inline MultipathSpec one_path() {
    return make_spec({make_group({"a"})});
}

/// Two paths in each of two groups: a1 a2, b1 b2.
inline MultipathSpec two_groups() {
    return make_spec({make_group({"a1", "a2"}), make_group({"b1", "b2"})});
}

inline std::string action_text(const Action& action, const MultipathStatus& status) {
    const auto path = [&] { return status.paths.at(action.path).name; };
    switch (action.kind) {
        case Action::Kind::path_failed:
            return fmt::format("failed {} left {}", path(), action.valid_paths);
        case Action::Kind::path_reinstated:
            return fmt::format("reinstated {} left {}", path(), action.valid_paths);
        case Action::Kind::group_switched:
            return fmt::format("group {}", action.group);
        case Action::Kind::no_paths_left:
            return "no paths";
        case Action::Kind::paths_back:
            return "paths back";
        case Action::Kind::run_held:
            return "run held";
        case Action::Kind::fail_held:
            return "fail held";
        case Action::Kind::arm_no_path_timer:
            return fmt::format("arm {}", action.deadline.ns / 1'000'000'000);
        case Action::Kind::disarm_no_path_timer:
            return "disarm";
        case Action::Kind::activate_path:
            return fmt::format("activate {}", path());
        case Action::Kind::arm_activation_timer:
            return fmt::format("activation at {}", action.deadline.ns / 1'000'000'000);
        case Action::Kind::activation_failed:
            return fmt::format("activation of {}: {}", path(), handler_result_name(action.result));
        case Action::Kind::release_fenced:
            return action.resend ? "resend fenced" : "answer fenced";
        case Action::Kind::arm_fence_timer:
            return fmt::format("fence until {}", action.deadline.ns / 1'000'000'000);
        case Action::Kind::defer_held:
            return "defer held";
        case Action::Kind::suspended:
            return "suspended";
        case Action::Kind::resumed:
            return "resumed";
    }
    return "?";
}

/// One brain at `now`, which starts at 1000 s.
struct Driver {
    Instant now{1'000'000'000'000};
    std::unique_ptr<Multipath> map;

    explicit Driver(MultipathSpec spec) {
        auto made = Multipath::create(std::move(spec), now);
        EXPECT_TRUE(made.has_value()) << made.error().message;
        map = std::move(*made);
    }

    PathId path(std::string_view name) const { return map->find_path(name).value(); }

    Route route(uint64_t bytes = 4096, uint32_t attempts = 0) {
        return map->route({.length_bytes = bytes}, now, attempts);
    }
    Verdict complete(const Route& route, IoStatus status = IoStatus::ok) {
        return map->completed(route.ticket, status, now);
    }
    std::string name_of(const Route& route) const {
        if (route.kind == Route::Kind::hold) return "hold";
        if (route.kind == Route::Kind::fail) return "fail";
        if (route.kind == Route::Kind::defer) return "defer";
        return map->status().paths.at(route.ticket.path).name;
    }
    /// Where `count` I/Os go that are done one after the other: "a1 a2 a1".
    std::string io(int count = 1, uint64_t bytes = 4096) {
        std::string names;
        for (int at = 0; at < count; ++at) {
            const Route sent = route(bytes);
            names += (at == 0 ? "" : " ") + name_of(sent);
            if (sent.kind == Route::Kind::path) complete(sent);
        }
        return names;
    }

    void handle(Event event) {
        const auto good = map->check(event);
        ASSERT_TRUE(good.has_value()) << good.error().message;
        map->handle(event, now);
    }
    void fail(std::string_view name, bool sticky = false) {
        handle({.message = Message::fail_path,
                .path = path(name),
                .sticky = sticky,
                .reason = "by hand"});
    }
    void reinstate(std::string_view name) {
        handle({.message = Message::reinstate_path, .path = path(name), .reason = {}});
    }
    void message(Message message, GroupNumber group = 0) {
        handle({.message = message, .group = group, .reason = {}});
    }
    void check_says(Event::Kind kind, std::string_view name, std::string reason = {}) {
        handle({.kind = kind, .path = path(name), .reason = std::move(reason)});
    }
    void timer() { handle({.kind = Event::Kind::no_path_timer, .reason = {}}); }

    /// The actions since the last look, as text.
    std::vector<std::string> told() {
        std::vector<std::string> texts;
        const MultipathStatus status = map->status();
        for (Action action; map->next_action(action);) texts.push_back(action_text(action, status));
        return texts;
    }

    PathStatus path_status(std::string_view name) const {
        return map->status().paths.at(path(name));
    }
    /// A letter a group, as the kernel's status line has them: "AE".
    std::string group_letters() const {
        std::string letters;
        for (const GroupStatus& group : map->status().groups)
            letters += group.state == GroupState::active     ? 'A'
                       : group.state == GroupState::disabled ? 'D'
                                                             : 'E';
        return letters;
    }
    GroupNumber group_number() const { return map->status().current_group; }
};

}  // namespace braidway::multipath
