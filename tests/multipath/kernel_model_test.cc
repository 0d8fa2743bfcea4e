// SPDX-License-Identifier: Apache-2.0
// The rules of dm-multipath a second time, as plainly as they can be said, against the brain under
// random messages, I/O and errors: the same path for each I/O, the same letters after each step.
#include <algorithm>
#include <cstdlib>
#include <list>
#include <ostream>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

/// Slow and plain: lists of up paths, everything else recomputed.
struct Model {
    struct Path {
        bool up = true;
        uint64_t throughput = 1;
        uint64_t bytes = 0;
    };
    struct Group {
        bool service_time = false;
        bool bypassed = false;
        std::list<PathId> up;  ///< In the selector's order.
    };

    std::vector<Path> paths;
    std::vector<Group> groups;
    unsigned current = 0;
    unsigned next = 1;
    bool queue = true;

    unsigned group_of(PathId path) const { return path / 3 + 1; }
    bool any_up() const {
        return std::ranges::any_of(paths, [](const Path& path) { return path.up; });
    }

    /// Whether x is strictly the better choice, by the order of the rules.
    bool better(const Path& x, const Path& y, uint64_t bytes) const {
        if (x.throughput == y.throughput) return x.bytes < y.bytes;
        if (x.bytes == y.bytes || x.throughput * y.throughput == 0)
            return x.throughput > y.throughput;
        return std::tuple((x.bytes + bytes) * y.throughput, y.throughput) <
               std::tuple((y.bytes + bytes) * x.throughput, x.throughput);
    }

    PathId select(unsigned number, uint64_t bytes) {
        Group& group = groups[number - 1];
        if (group.up.empty()) return no_path;
        auto best = group.up.begin();
        if (group.service_time)
            for (auto at = best; at != group.up.end(); ++at)
                if (better(paths[*at], paths[*best], bytes)) best = at;
        const PathId picked = *best;
        group.up.splice(group.up.end(), group.up, best);
        current = number;
        return picked;
    }

    /// "path 3", "hold", "fail".
    std::string route(uint64_t bytes) {
        if (!any_up()) {
            current = 0;
            return queue ? "hold" : "fail";
        }
        std::vector<unsigned> order{std::exchange(next, 0), current};
        for (const bool bypassed : {false, true})
            for (unsigned number = 1; number <= groups.size(); ++number)
                if (groups[number - 1].bypassed == bypassed) order.push_back(number);
        for (const unsigned number : order) {
            const PathId picked = number == 0 ? no_path : select(number, bytes);
            if (picked == no_path) continue;
            paths[picked].bytes += bytes;
            return fmt::format("path {}", picked);
        }
        return "no choice";
    }

    void fail(PathId path) {
        if (!std::exchange(paths[path].up, false)) return;
        groups[group_of(path) - 1].up.remove(path);
    }
    void reinstate(PathId path) {
        if (std::exchange(paths[path].up, true)) return;
        Group& group = groups[group_of(path) - 1];
        group.up.insert(group.service_time ? group.up.end() : group.up.begin(), path);
    }
    Verdict completed(PathId path, uint64_t bytes, IoStatus status) {
        paths[path].bytes -= bytes;
        if (!is_path_error(status)) return Verdict::done;
        fail(path);
        if (any_up())
            return status == IoStatus::resource || status == IoStatus::device_resource
                       ? Verdict::retry_later
                       : Verdict::retry;
        if (!queue) return Verdict::done;
        route(0);
        return Verdict::hold;
    }
    void switch_group(unsigned number) {
        for (Group& group : groups) group.bypassed = false;
        current = 0;
        next = number;
    }
    void bypass(unsigned number, bool bypassed) {
        groups[number - 1].bypassed = bypassed;
        current = 0;
    }

    std::string letters() const {
        std::string letters;
        for (unsigned number = 1; number <= groups.size(); ++number)
            letters += groups[number - 1].bypassed ? 'D' : number == current ? 'A' : 'E';
        return letters;
    }
    unsigned number() const { return current != 0 ? current : next != 0 ? next : 1; }
};

constexpr unsigned groups_in_use = 3;
constexpr unsigned paths_per_group = 3;
constexpr unsigned paths_in_use = groups_in_use * paths_per_group;

/// The brain and the model of it, with the same table: three groups of three paths each.
struct Pair {
    Driver brain;
    Model model;
    std::vector<Route> in_flight;

    explicit Pair(uint32_t table) : brain(make_table(table)) {
        const MultipathSpec spec = make_table(table);
        for (const GroupSpec& group : spec.groups) {
            Model::Group& added = model.groups.emplace_back();
            added.service_time = group.selector == "service-time";
            for (const PathSpec& path : group.paths) {
                added.up.push_back(static_cast<PathId>(model.paths.size()));
                Model::Path& last = model.paths.emplace_back();
                if (added.service_time) last.throughput = std::stoull(path.arguments.at(1));
            }
        }
        model.next = spec.initial_group <= groups_in_use ? spec.initial_group : 0;
    }

    static MultipathSpec make_table(uint32_t table) {
        MultipathSpec spec;
        for (unsigned number = 0; number < groups_in_use; ++number) {
            const bool service_time = (table >> number) % 2 != 0;
            GroupSpec& group = spec.groups.emplace_back();
            group.selector = service_time ? "service-time" : "round-robin";
            for (unsigned at = 0; at < paths_per_group; ++at) {
                PathSpec& path = group.paths.emplace_back();
                path.name = fmt::format("p{}", number * paths_per_group + at);
                if (service_time)
                    path.arguments = {"1", std::to_string((table >> (3 + 2 * at)) % 4)};
            }
        }
        spec.initial_group = 1 + (table >> 9) % 4;
        spec.attempts_max = UINT32_MAX;
        return spec;
    }

    void send(uint64_t bytes) {
        const Route route = brain.route(bytes);
        const std::string where = route.kind == Route::Kind::path
                                      ? fmt::format("path {}", route.ticket.path)
                                      : brain.name_of(route);
        RC_ASSERT(where == model.route(bytes));
        if (route.kind == Route::Kind::path) in_flight.push_back(route);
    }

    void complete(size_t at, IoStatus status) {
        const Ticket ticket = in_flight[at].ticket;
        const Verdict verdict = brain.complete(in_flight[at], status);
        in_flight.erase(in_flight.begin() + static_cast<ptrdiff_t>(at));
        RC_ASSERT(verdict == model.completed(ticket.path, ticket.length_bytes, status));
    }

    void message(uint32_t pick, uint32_t target) {
        const auto path = static_cast<PathId>(target % paths_in_use);
        const GroupNumber group = 1 + target % groups_in_use;
        constexpr std::array messages{Message::fail_path,        Message::reinstate_path,
                                      Message::reinstate_path,   Message::switch_group,
                                      Message::disable_group,    Message::enable_group,
                                      Message::queue_if_no_path, Message::fail_if_no_path};
        const Message word = messages[pick % messages.size()];
        brain.handle({.message = word, .path = path, .group = group, .reason = {}});
        switch (word) {
            case Message::fail_path:
                return model.fail(path);
            case Message::reinstate_path:
                return model.reinstate(path);
            case Message::switch_group:
                return model.switch_group(group);
            case Message::disable_group:
                return model.bypass(group, true);
            case Message::enable_group:
                return model.bypass(group, false);
            case Message::queue_if_no_path:
            case Message::fail_if_no_path:
                model.queue = word == Message::queue_if_no_path;
                return;
        }
    }

    void step(uint32_t what) {
        switch (what % 8) {
            case 0:
            case 1:
            case 2:
                send(512 * ((what >> 3) % 64));
                break;
            case 3:
            case 4:
            case 5:
                // Half of them good, the others any status there is.
                if (!in_flight.empty())
                    complete((what >> 9) % in_flight.size(),
                             static_cast<IoStatus>((what >> 3) % 2 * ((what >> 4) % io_statuses)));
                break;
            default:
                message(what >> 3, what >> 7);
                break;
        }
        brain.told();
        RC_ASSERT(brain.group_letters() == model.letters());
        RC_ASSERT(brain.group_number() == model.number());
    }
};

TEST(KernelModel, AgreesWithTheBrainOnEveryChoiceLetterAndNumber) {
    ::setenv("RC_PARAMS", "seed=20240229 max_success=400 max_size=200", 0);
    const bool agreed = rc::check("same path, same letters", [] {
        Pair pair(*rc::gen::inRange<uint32_t>(0, 1u << 11));
        for (const uint32_t what :
             *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 1u << 20)))
            pair.step(what);
    });
    EXPECT_TRUE(agreed);
}

}  // namespace
}  // namespace braidway::multipath
