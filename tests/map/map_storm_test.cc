// SPDX-License-Identifier: Apache-2.0
// Random lives of a map: whatever fails when, every request is answered exactly once.
#include "map/fixture.h"

#include "base/random.h"

namespace braidway::map {
namespace {

using multipath::make_group;
using multipath::make_spec;

class MapStorm : public MapTest, public testing::WithParamInterface<uint64_t> {
  protected:
    static constexpr size_t names_max = 5;
    static std::string name(size_t number) {
        return std::string(1, static_cast<char>('a' + number));
    }

    multipath::MultipathSpec random_table() {
        std::vector<std::string> first;
        std::vector<std::string> second;
        for (size_t number = 0; number < names_max; ++number) {
            const uint64_t where = random_.below(4);
            if (where == 0) first.push_back(name(number));
            if (where >= 2) second.push_back(name(number));
        }
        if (first.empty()) first.swap(second);
        if (first.empty()) first.push_back("a");
        multipath::MultipathSpec spec;
        spec.groups.push_back(make_group(first, random_.below(2) ? "round-robin" : "service-time"));
        if (!second.empty()) spec.groups.push_back(make_group(second));
        spec.no_path.timeout.reset();
        if (random_.below(4) == 0) spec.no_path.timeout = Duration(random_.below(2'000'000));
        if (random_.below(2) == 0) spec.fence.quiesce_time = Duration(random_.below(2'000'000));
        spec.fence.patience = Duration(random_.below(5'000'000));
        return spec;
    }

    void submit_something() {
        const IoOp ops[] = {IoOp::read,  IoOp::write,   IoOp::write,
                            IoOp::flush, IoOp::discard, IoOp::block_status};
        submit(ops[random_.below(std::size(ops))], random_.below(1000) * 4096);
        if (random_.below(3) == 0)
            clients_.back()->on_end = [this](Client& client) {
                if (client.ended == 1 && !finishing_) client.submit(*map_);
            };
    }

    void answer_something() {
        TestPath& some = paths_[random_.below(paths_.size())];
        if (some.device->waiting.empty()) return;
        const size_t which = random_.below(some.device->waiting.size());
        IoStatus status = IoStatus::ok;
        if (random_.below(3) == 0) status = static_cast<IoStatus>(random_.below(io_statuses));
        if (status == IoStatus::shutdown) status = IoStatus::io;
        if (status == IoStatus::timeout && random_.below(2) == 0)
            some.device->waiting[which]->outcome_unknown = true;
        some.device->answer(which, status);
    }

    void message_something() {
        Event event{.kind = Event::Kind::message, .reason = {}};
        event.message = static_cast<Message>(random_.below(7));
        event.path = static_cast<uint32_t>(random_.below(names_max));
        event.group = static_cast<uint32_t>(1 + random_.below(2));
        event.sticky = random_.below(2) == 0;
        (void)map_->handle(event);  // A path or group that is not there is refused.
    }

    void replace_something() {
        MapConfig config = config_for(random_table());
        config.held_requests_max = static_cast<uint32_t>(1 + random_.below(20));
        const auto members = members_for(config.table);
        // A running map may be given a table for its next resume, too.
        if (random_.below(3) == 0) {
            ASSERT_TRUE(map_->load(std::move(config), members).has_value());
        } else {
            ASSERT_TRUE(map_->replace(std::move(config), members).has_value());
        }
    }

    void suspend_or_resume() {
        if (map_->state() == MapDevice::State::running && random_.below(2) == 0) {
            EXPECT_TRUE(map_->suspend(random_.below(2) == 0).has_value());
        } else if (map_->state() != MapDevice::State::suspending) {
            EXPECT_TRUE(map_->resume().has_value());
        }
    }

    void step() {
        const uint64_t dice = random_.below(100);
        if (dice < 30) {
            submit_something();
        } else if (dice < 75) {
            answer_something();
        } else if (dice < 85) {
            map_->path_checked(static_cast<uint32_t>(random_.below(names_max)),
                               random_.below(2) == 0, "check");
        } else if (dice < 93) {
            message_something();
        } else if (dice < 95) {
            replace_something();
        } else if (dice < 97) {
            suspend_or_resume();
        } else {
            settle();
        }
    }

    Random random_{GetParam()};
    bool finishing_ = false;
};

TEST_P(MapStorm, EveryRequestIsAnsweredExactlyOnce) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam());
    paths_.reserve(names_max);
    for (size_t number = 0; number < names_max; ++number)
        add_path(name(number), random_.below(2) ? number : 0);
    make(random_table());
    for (int at = 0; at < 3000; ++at) {
        step();
        ASSERT_EQ(map_->gate().open(), map_->waiting_requests() < map_->held_requests_max());
    }
    // Everything comes back, and everybody answers.
    finishing_ = true;
    const auto answer_everything = [&] {
        for (int round = 0; round < 10; ++round) {
            for (TestPath& known : paths_) known.device->answer_all(IoStatus::ok);
            settle();
        }
    };
    answer_everything();
    // A suspension that waits for fenced writes ends when those do.
    turn_until([&] {
        answer_everything();
        return map_->state() != MapDevice::State::suspending;
    });
    ASSERT_TRUE(map_->resume().has_value());
    answer_everything();
    turn_until([&] {
        answer_everything();
        return map_->state() == MapDevice::State::running && map_->counters().fenced == 0;
    });
    for (const Member& member : map_->members()) reinstate(member.path->name());
    turn_until([&] {
        answer_everything();
        return map_->waiting_requests() == 0;
    });
    EXPECT_EQ(map_->counters().in_flight, 0u);
    EXPECT_EQ(map_->held_requests(), 0u);
    EXPECT_EQ(map_->counters().held_bytes, 0u);
    EXPECT_TRUE(map_->gate().open());
    for (const auto& client : clients_) {
        EXPECT_GE(client->ended, 1);
        EXPECT_LE(client->ended, client->on_end ? 2 : 1);
    }
    for (const TestPath& known : paths_) EXPECT_TRUE(known.path->quiet());
    const auto status = map_->status();
    for (const auto& shown : status.paths) EXPECT_EQ(shown.in_flight, 0u);
    EXPECT_EQ(status.valid_paths, status.paths.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, MapStorm, testing::Range<uint64_t>(1, 31));

}  // namespace
}  // namespace braidway::map
