// SPDX-License-Identifier: Apache-2.0
// What the status line and the table promise: the next choice, and a table that can be loaded
// again.
#include <cstdlib>

#include <rapidcheck.h>

#include "driver.h"
#include "multipath/dm_table.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;

void fix_seed() {
    ::setenv("RC_PARAMS", "seed=20240229 max_success=600 max_size=150", 0);
}

/// A random table over p0..p5, with every selector that device-mapper has, in either mode.
MultipathSpec random_table() {
    static const std::vector<std::string> selectors{"round-robin", "queue-length", "service-time",
                                                    "historical-service-time"};
    MultipathSpec spec;
    spec.kernel_strict = *rc::gen::arbitrary<bool>();
    spec.queue_mode = *rc::gen::arbitrary<bool>() ? QueueMode::bio : QueueMode::request;
    spec.retain_attached_handler = spec.queue_mode == QueueMode::bio;
    if (spec.queue_mode == QueueMode::request && *rc::gen::arbitrary<bool>())
        spec.handler.name = "alua";
    spec.pg_init_retries = *rc::gen::inRange(0U, 4U);
    if (*rc::gen::arbitrary<bool>()) spec.pg_init_delay = 1500ms;
    spec.no_path.queue = *rc::gen::arbitrary<bool>();
    spec.no_path.timeout = std::nullopt;
    unsigned next = 0;
    const unsigned groups = *rc::gen::inRange(0U, 4U);
    for (unsigned number = 0; number < groups; ++number) {
        GroupSpec& group = spec.groups.emplace_back();
        group.selector = *rc::gen::elementOf(selectors);
        const unsigned paths = *rc::gen::inRange(1U, 3U);
        for (unsigned at = 0; at < paths; ++at) {
            PathSpec& path = group.paths.emplace_back();
            path.name = fmt::format("p{}", next++);
            if (group.selector == "service-time" && *rc::gen::arbitrary<bool>())
                path.arguments = {"1", std::to_string(*rc::gen::inRange(0, 101))};
            else if (*rc::gen::arbitrary<bool>())
                path.arguments = {std::to_string(*rc::gen::inRange(0, 5))};
        }
        // Every path of a group says as many words.
        for (PathSpec& path : group.paths)
            path.arguments.resize(group.paths[0].arguments.size(), "1");
    }
    spec.initial_group = groups == 0 ? 0 : *rc::gen::inRange(1U, groups + 3);
    return spec;
}

/// A map that lives through random events, with its requests in flight.
struct Life {
    Driver map;
    std::vector<Route> in_flight;

    explicit Life(MultipathSpec spec) : map(std::move(spec)) {}

    void event(uint32_t what) {
        const auto paths = static_cast<PathId>(map.map->path_count());
        const auto groups = static_cast<GroupNumber>(map.map->status().groups.size());
        Event event{.reason = {}};
        event.path = paths == 0 ? 0 : (what >> 8) % paths;
        event.group = groups == 0 ? 0 : 1 + (what >> 8) % groups;
        event.result = static_cast<HandlerResult>((what >> 16) % handler_results);
        event.noflush = (what >> 8) % 2 != 0;
        if (what % 3 == 0)
            event.message = static_cast<Message>((what >> 4) % messages);
        else
            event.kind = static_cast<Event::Kind>((what >> 4) % Event::kinds);
        map.now = map.now + Duration((what >> 12) % 4 * 1'000'000'000);
        if (map.map->check(event)) map.map->handle(event, map.now);
        map.told();
    }
    void io(uint32_t what) {
        const Route sent = map.route(512 * (1 + what % 16));
        if (sent.kind == Route::Kind::path) in_flight.push_back(sent);
        map.told();
    }
    void answer(uint32_t what) {
        if (in_flight.empty()) return;
        const size_t at = what % in_flight.size();
        map.map->completed(in_flight[at].ticket,
                           static_cast<IoStatus>((what >> 8) % 3 * ((what >> 4) % io_statuses) / 2),
                           map.now, (what >> 12) % 4 == 0);
        in_flight.erase(in_flight.begin() + static_cast<ptrdiff_t>(at));
        map.told();
    }
};

bool usable(const DmInfoGroup& group) {
    return std::any_of(group.paths.begin(), group.paths.end(),
                       [](const DmInfoPath& path) { return path.state == PathState::up; });
}

/// The group to which the status says the next I/O goes; 0 = none, nothing = it may be either of
/// two: the kernel's number 1 stands for a disabled group in use as well as for no group at all.
std::optional<GroupNumber> promised(const DmInfo& info) {
    const auto first = [&](bool disabled) -> GroupNumber {
        for (GroupNumber number = 1; number <= info.groups.size(); ++number) {
            const DmInfoGroup& group = info.groups[number - 1];
            if ((group.state == GroupState::disabled) == disabled && usable(group)) return number;
        }
        return 0;
    };
    const GroupNumber otherwise = first(false) != 0 ? first(false) : first(true);
    if (info.group == 0 || !usable(info.groups[info.group - 1])) return otherwise;
    if (info.groups[info.group - 1].state == GroupState::disabled && otherwise != info.group)
        return std::nullopt;
    return info.group;
}

TEST(MultipathPromise, TheStatusNeverLiesAboutTheNextChoice) {
    fix_seed();
    EXPECT_TRUE(rc::check("the next I/O goes where the status says", [] {
        Life life(random_table());
        for (const uint32_t what : *rc::gen::container<std::vector<uint32_t>>(
                 rc::gen::inRange<uint32_t>(0, UINT32_MAX))) {
            if (what % 4 == 0)
                life.io(what >> 2);
            else if (what % 4 == 1)
                life.answer(what >> 2);
            else
                life.event(what >> 2);
            const auto group = promised(life.map.map->dm_info());
            const auto twin = life.map.map->clone();
            // Vetoed paths fail on the way; the status does not show them.
            bool vetoed = false;
            for (const PathStatus& path : twin->status().paths) vetoed |= path.vetoed;
            if (!group || vetoed) continue;
            const Route next = twin->route({.length_bytes = 4096}, life.map.now);
            const DmInfo after = twin->dm_info();
            if (*group == 0) {
                RC_ASSERT(next.kind != Route::Kind::path);
            } else {
                // Also while it waits for the handler, that is the group it waits for.
                RC_ASSERT(after.group == *group);
                if (next.kind == Route::Kind::path)
                    RC_ASSERT(twin->status().paths[next.ticket.path].group == *group);
            }
        }
    }));
}

TEST(MultipathPromise, TheTableOfAMapCanBeReadAgainAndIsTheSameTable) {
    fix_seed();
    EXPECT_TRUE(rc::check("parse(print(table)) is the table", [] {
        Life life(random_table());
        for (const uint32_t what :
             *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, UINT32_MAX)))
            life.event(what);
        const std::string text = dm_table_text(life.map.map->table());
        const auto read = parse_dm_table(text, {});
        RC_ASSERT(read.has_value());
        RC_ASSERT(dm_table_text(*read) == text);
    }));
}

TEST(MultipathPromise, EveryTicketThatComesBackLeavesTheBooksEven) {
    fix_seed();
    EXPECT_TRUE(rc::check("nothing is in flight at the end", [] {
        MultipathSpec spec = random_table();
        Life life(spec);
        for (const uint32_t what : *rc::gen::container<std::vector<uint32_t>>(
                 rc::gen::inRange<uint32_t>(0, UINT32_MAX))) {
            if (what % 4 == 0)
                life.io(what >> 2);
            else if (what % 4 == 1)
                life.answer(what >> 2);
            else if (what % 32 == 2)
                RC_ASSERT(life.map.map->replace(spec, life.map.now).has_value());
            else
                life.event(what >> 2);
        }
        while (!life.in_flight.empty()) life.answer(0);
        for (const PathStatus& path : life.map.map->status().paths) {
            RC_ASSERT(path.in_flight == 0u);
            RC_ASSERT(path.in_flight_bytes == 0u);
        }
    }));
}

}  // namespace
}  // namespace braidway::multipath
