// SPDX-License-Identifier: Apache-2.0
// Random lives of a map, against what must hold whatever happens.
//
// A fixed seed by default, printed first; RC_PARAMS="seed=7 max_success=10000" asks for others.
// Long because: one life, its generator and the invariants are read together.
#include <cstdlib>
#include <map>
#include <ostream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "multipath/multipath.h"

namespace braidway::multipath {

/// One thing that happens; `what` picks the kind, `one` and `other` its details.
struct Step {
    uint8_t what = 0;
    uint16_t one = 0;
    uint16_t other = 0;

    friend std::ostream& operator<<(std::ostream& out, const Step& step) {
        return out << fmt::format("{{{}, {}, {}}}", step.what, step.one, step.other);
    }
};

/// How a life begins, and what happens in it.
struct Life {
    uint16_t table = 0;
    std::vector<Step> steps;

    friend std::ostream& operator<<(std::ostream& out, const Life& life) {
        out << "table " << life.table << ", steps";
        for (const Step& step : life.steps) out << ' ' << step;
        return out;
    }
};

}  // namespace braidway::multipath

namespace rc {

template <>
struct Arbitrary<braidway::multipath::Step> {
    static Gen<braidway::multipath::Step> arbitrary() {
        using braidway::multipath::Step;
        return gen::build<Step>(gen::set(&Step::what), gen::set(&Step::one),
                                gen::set(&Step::other));
    }
};

template <>
struct Arbitrary<braidway::multipath::Life> {
    static Gen<braidway::multipath::Life> arbitrary() {
        using braidway::multipath::Life;
        return gen::build<Life>(gen::set(&Life::table), gen::set(&Life::steps));
    }
};

}  // namespace rc

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t attempts_max = 4;
constexpr Duration no_path_timeout = 60s;

/// Tables over the paths p0..p7: `pick` decides how many groups, which paths, which selectors,
/// which policy. 0 has no groups.
MultipathSpec make_table(uint16_t pick) {
    MultipathSpec spec;
    spec.attempts_max = attempts_max;
    const unsigned groups = pick % 4;
    unsigned path = (pick / 4) % 8;
    for (unsigned at = 0; at < groups; ++at) {
        GroupSpec& group = spec.groups.emplace_back();
        group.selector = (pick >> (5 + at)) % 2 == 0 ? "round-robin" : "service-time";
        const unsigned paths = 1 + (pick >> (8 + at)) % 2;
        for (unsigned member = 0; member < paths; ++member, path = (path + 1) % 8) {
            PathSpec& added = group.paths.emplace_back();
            added.name = fmt::format("p{}", path);
            added.up = (pick >> path) % 4 != 0;
            if (group.selector == "service-time") added.arguments = {"1", std::to_string(path % 3)};
        }
    }
    spec.initial_group = 1 + (pick / 16) % 4;
    spec.no_path.queue = pick % 5 != 0;
    spec.no_path.timeout = pick % 7 == 0 ? std::nullopt : std::optional(no_path_timeout);
    return spec;
}

/// rapidcheck prints the configuration when it starts.
void fix_seed() {
    ::setenv("RC_PARAMS", "seed=20240229 max_success=400 max_size=200", 0);
}

/// A map's brain with the hands of a simple map, which counts everything a second time.
class World {
  public:
    explicit World(uint16_t table)
        : map_(std::move(Multipath::create(make_table(table), now_).value())),
          bounded_(make_table(table).no_path.timeout.has_value()) {
        take_actions();
        check_invariants();
    }

    void step(const Step& step);
    /// Reinstates everything and answers everything: then no request may be left.
    void drain();

  private:
    enum class Where : uint8_t { starting, in_flight, held, answered };
    struct Request {
        Where where = Where::starting;
        Ticket ticket;
        uint64_t bytes = 0;
        uint32_t life = 0;  ///< Of the path it is on.
        std::string path;
    };
    struct Outstanding {
        uint32_t count = 0;
        uint64_t bytes = 0;
    };

    Instant now_{1};
    std::unique_ptr<Multipath> map_;
    std::vector<Request> requests_;
    std::vector<size_t> in_flight_;
    std::vector<size_t> held_;               ///< In arrival order.
    std::map<std::string, uint32_t> lives_;  ///< How often a path was taken out of the table.
    std::optional<Instant> timer_;
    bool bounded_;
    uint32_t answered_ = 0;

    void send(size_t request);
    void answer(size_t request);
    void complete(size_t in_flight_at, IoStatus status);
    void handle(const Event& event);
    void message(const Step& step);
    void pass_time(Duration length);
    void replace(uint16_t table);
    void take_actions();
    void run_held();
    void fail_held();
    void check_invariants();
    void check_books(const MultipathStatus& status);
};

void World::send(size_t at) {
    Request& request = requests_[at];
    RC_ASSERT(request.where == Where::starting);
    const MultipathStatus before = map_->status();
    const Route route = map_->route({.length_bytes = request.bytes}, now_, request.ticket.attempts);
    switch (route.kind) {
        case Route::Kind::path: {
            const MultipathStatus after = map_->status();
            const PathStatus& path = before.paths.at(route.ticket.path);
            RC_ASSERT(path.state == PathState::up);
            RC_ASSERT(after.current_group == path.group);
            RC_ASSERT(route.ticket.attempts == request.ticket.attempts + 1);
            request.where = Where::in_flight;
            request.ticket = route.ticket;
            request.path = path.name;
            request.life = lives_[path.name];
            in_flight_.push_back(at);
            break;
        }
        case Route::Kind::hold:
            RC_ASSERT(before.valid_paths == 0u);
            RC_ASSERT(before.queueing);
            request.where = Where::held;
            held_.push_back(at);
            break;
        case Route::Kind::fail:
            RC_ASSERT(before.valid_paths == 0u);
            RC_ASSERT(!before.queueing);
            RC_ASSERT(route.status == IoStatus::io);
            answer(at);
            break;
        case Route::Kind::defer:
            RC_FAIL("the map is not being suspended");
    }
    take_actions();
}

void World::answer(size_t at) {
    RC_ASSERT(requests_[at].where != Where::answered);
    requests_[at].where = Where::answered;
    ++answered_;
}

void World::complete(size_t in_flight_at, IoStatus status) {
    const size_t at = in_flight_[in_flight_at];
    in_flight_.erase(in_flight_.begin() + static_cast<ptrdiff_t>(in_flight_at));
    Request& request = requests_[at];
    const Verdict verdict = map_->completed(request.ticket, status, now_);
    request.where = Where::starting;
    const MultipathStatus after = map_->status();
    switch (verdict) {
        case Verdict::done:
            RC_ASSERT(!is_path_error(status) || after.valid_paths == 0u ||
                      request.ticket.attempts >= attempts_max);
            answer(at);
            take_actions();
            return;
        case Verdict::retry:
        case Verdict::retry_later:
            RC_ASSERT(is_path_error(status));
            RC_ASSERT(after.valid_paths > 0u);
            take_actions();
            send(at);
            return;
        case Verdict::hold:
            RC_ASSERT(is_path_error(status));
            RC_ASSERT(after.valid_paths == 0u);
            RC_ASSERT(after.queueing);
            request.where = Where::held;
            held_.push_back(at);
            take_actions();
            return;
        case Verdict::fence:
        case Verdict::defer:
            RC_FAIL("nothing was lost, and the map is not being suspended");
    }
}

void World::handle(const Event& event) {
    if (!map_->check(event)) return;
    map_->handle(event, now_);
    take_actions();
}

void World::take_actions() {
    for (Action action; map_->next_action(action);) {
        switch (action.kind) {
            case Action::Kind::run_held:
                run_held();
                break;
            case Action::Kind::fail_held:
                fail_held();
                break;
            case Action::Kind::arm_no_path_timer:
                timer_ = action.deadline;
                break;
            case Action::Kind::disarm_no_path_timer:
                timer_.reset();
                break;
            case Action::Kind::path_failed:
            case Action::Kind::path_reinstated:
                RC_ASSERT(action.path < map_->path_count());
                break;
            case Action::Kind::group_switched:
                RC_ASSERT(action.group >= 1u);
                break;
            case Action::Kind::no_paths_left:
                RC_ASSERT(action.valid_paths == 0u);
                break;
            case Action::Kind::paths_back:
                RC_ASSERT(action.valid_paths > 0u);
                break;
            case Action::Kind::activate_path:
            case Action::Kind::arm_activation_timer:
            case Action::Kind::activation_failed:
            case Action::Kind::release_fenced:
            case Action::Kind::arm_fence_timer:
            case Action::Kind::defer_held:
            case Action::Kind::suspended:
            case Action::Kind::resumed:
                RC_FAIL("there is no handler, no suspension, and nothing was lost");
        }
    }
}

void World::run_held() {
    const std::vector<size_t> held = std::exchange(held_, {});
    for (const size_t at : held) {
        requests_[at].where = Where::starting;
        send(at);
    }
}

void World::fail_held() {
    RC_ASSERT(map_->route({}, now_).kind == Route::Kind::fail);
    for (const size_t at : std::exchange(held_, {})) answer(at);
}

void World::pass_time(Duration length) {
    now_ = now_ + length;
    if (!timer_ || *timer_ > now_) return;
    timer_.reset();
    handle({.kind = Event::Kind::no_path_timer, .reason = {}});
}

void World::replace(uint16_t table) {
    MultipathSpec spec = make_table(table);
    bounded_ = spec.no_path.timeout.has_value();
    std::map<std::string, bool> stays;
    for (const PathStatus& path : map_->status().paths) stays[path.name] = false;
    for (const GroupSpec& group : spec.groups)
        for (const PathSpec& path : group.paths) stays[path.name] = true;
    for (const auto& [name, here] : stays)
        if (!here) ++lives_[name];
    RC_ASSERT(map_->replace(std::move(spec), now_).has_value());
    take_actions();
}

void World::message(const Step& step) {
    constexpr std::array messages{Message::fail_path,      Message::reinstate_path,
                                  Message::switch_group,   Message::disable_group,
                                  Message::enable_group,   Message::queue_if_no_path,
                                  Message::fail_if_no_path};
    handle({.message = messages[step.one % messages.size()],
            .path = static_cast<PathId>(step.other % 6),
            .group = static_cast<GroupNumber>(step.other % 5),
            .sticky = step.other % 8 == 0,
            .reason = {}});
}

void World::step(const Step& step) {
    constexpr std::array verdicts{Event::Kind::checker_up, Event::Kind::checker_down,
                                  Event::Kind::path_stalled, Event::Kind::no_path_timer};
    switch (step.what % 8) {
        case 0:
        case 1:
        case 2:
            requests_.push_back({.ticket = {}, .bytes = step.one, .path = {}});
            send(requests_.size() - 1);
            break;
        case 3:
        case 4:
            if (!in_flight_.empty())
                complete(step.one % in_flight_.size(),
                         static_cast<IoStatus>(step.other % io_statuses));
            break;
        case 5:
            message(step);
            break;
        case 6:
            handle({.kind = verdicts[step.one % verdicts.size()],
                    .path = static_cast<PathId>(step.other % 6),
                    .reason = "random"});
            break;
        case 7:
            if (step.one % 4 == 0)
                replace(step.other);
            else
                pass_time(std::chrono::seconds(step.other % 40));
            break;
    }
    check_invariants();
}

void World::check_invariants() {
    const MultipathStatus status = map_->status();
    uint32_t up = 0;
    for (const PathStatus& path : status.paths) {
        up += path.state == PathState::up;
        RC_ASSERT(!(path.sticky && path.state == PathState::up));
    }
    RC_ASSERT(status.valid_paths == up);
    RC_ASSERT(map_->valid_paths() == up);
    uint32_t active = 0;
    for (const GroupStatus& group : status.groups) active += group.state == GroupState::active;
    RC_ASSERT(active <= 1u);
    RC_ASSERT(status.current_group <= status.groups.size());
    RC_ASSERT(!(status.no_path_expired && up > 0));
    RC_ASSERT(!(status.no_path_expired && status.queueing));
    // Nothing is stuck: I/O is held only while it would be held again, and for a bounded time.
    if (!held_.empty()) {
        RC_ASSERT(up == 0u);
        RC_ASSERT(status.queueing);
        RC_ASSERT(timer_.has_value() || !bounded_);
    }
    if (timer_ && up == 0) RC_ASSERT(*timer_ <= now_ + no_path_timeout);
    RC_ASSERT(answered_ + in_flight_.size() + held_.size() == requests_.size());
    check_books(status);
}

void World::check_books(const MultipathStatus& status) {
    std::map<std::string, Outstanding> outstanding;
    for (const size_t at : in_flight_) {
        const Request& request = requests_[at];
        if (request.life != lives_[request.path]) continue;
        ++outstanding[request.path].count;
        outstanding[request.path].bytes += request.bytes;
    }
    for (const PathStatus& path : status.paths) {
        RC_ASSERT(path.in_flight == outstanding[path.name].count);
        RC_ASSERT(path.in_flight_bytes == outstanding[path.name].bytes);
    }
}

void World::drain() {
    if (map_->path_count() == 0) replace(1);
    const size_t held_before = held_.size();
    const bool had_path = map_->valid_paths() > 0;
    handle({.message = Message::reinstate_path, .path = 0, .reason = {}});
    RC_ASSERT(held_.empty());
    RC_ASSERT(had_path || in_flight_.size() >= held_before);
    while (!in_flight_.empty()) complete(0, IoStatus::ok);
    RC_ASSERT(answered_ == requests_.size());
    check_invariants();
}

TEST(MultipathProperty, LosesNoRequestAndKeepsItsBooksWhateverHappens) {
    fix_seed();
    const bool held = rc::check("random lives", [](const Life& life) {
        World world(life.table);
        for (const Step& step : life.steps) world.step(step);
        world.drain();
    });
    EXPECT_TRUE(held);
}

}  // namespace
}  // namespace braidway::multipath
