// SPDX-License-Identifier: Apache-2.0
#include "loop/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "base/random.h"

namespace braidway::loop {
namespace {

struct Recorder : Timer {
    explicit Recorder(std::vector<int>& list, int name = 0) : fired(list), id(name) {
        fire = [](Timer& timer, Instant) {
            auto& self = static_cast<Recorder&>(timer);
            self.fired.push_back(self.id);
        };
    }
    std::vector<int>& fired;
    int id;
};

TEST(TimerHeap, HasNoDeadlineWhenNothingIsArmed) {
    TimerHeap heap;
    EXPECT_EQ(heap.next_deadline(), never);
    EXPECT_EQ(heap.fire_due({100}), 0u);
}

TEST(TimerHeap, FiresWhatIsDueEarliestFirst) {
    std::vector<int> fired;
    TimerHeap heap;
    Recorder late(fired, 3);
    Recorder early(fired, 1);
    Recorder middle(fired, 2);
    heap.arm(late, {30});
    heap.arm(early, {10});
    heap.arm(middle, {20});
    EXPECT_EQ(heap.next_deadline(), Instant{10});
    EXPECT_EQ(heap.fire_due({9}), 0u);
    EXPECT_EQ(heap.fire_due({20}), 2u);
    EXPECT_EQ(fired, (std::vector{1, 2}));
    EXPECT_FALSE(early.armed());
    EXPECT_TRUE(late.armed());
    heap.disarm(late);
    EXPECT_EQ(heap.next_deadline(), never);
}

TEST(TimerHeap, MovesATimerThatIsArmedAgain) {
    std::vector<int> fired;
    TimerHeap heap;
    Recorder timer(fired, 1);
    heap.arm(timer, {10});
    heap.arm(timer, {50});
    EXPECT_EQ(heap.next_deadline(), Instant{50});
    heap.arm(timer, {5});
    EXPECT_EQ(heap.fire_due({5}), 1u);
    EXPECT_EQ(heap.fire_due({100}), 0u);
}

TEST(TimerHeap, ATimerThatArmsItselfInThePastFiresInTheNextRound) {
    struct Again : Timer {
        TimerHeap* heap = nullptr;
        int count = 0;
    };
    TimerHeap heap;
    Again timer;
    timer.heap = &heap;
    timer.fire = [](Timer& fired, Instant) {
        auto& self = static_cast<Again&>(fired);
        ++self.count;
        self.heap->arm(self, {1});
    };
    heap.arm(timer, {1});
    EXPECT_EQ(heap.fire_due({10}), 1u);
    EXPECT_EQ(heap.next_deadline(), Instant{11});
    EXPECT_EQ(heap.fire_due({11}), 1u);
    EXPECT_EQ(timer.count, 2);
}

TEST(TimerHeap, ATimerDisarmedByAnotherThatFiredDoesNotFire) {
    struct Disarms : Timer {
        TimerHeap* heap = nullptr;
        Timer* other = nullptr;
    };
    std::vector<int> fired;
    TimerHeap heap;
    Recorder victim(fired, 1);
    Disarms first;
    first.heap = &heap;
    first.other = &victim;
    first.fire = [](Timer& timer, Instant) {
        auto& self = static_cast<Disarms&>(timer);
        self.heap->disarm(*self.other);
    };
    heap.arm(victim, {2});
    heap.arm(first, {1});
    EXPECT_EQ(heap.fire_due({5}), 1u);
    EXPECT_TRUE(fired.empty());
}

class TimerSequence : public testing::TestWithParam<uint64_t> {};

TEST_P(TimerSequence, FiresExactlyWhatASortedListWould) {
    Random random(GetParam());
    std::vector<int> fired;
    std::deque<Recorder> timers;
    TimerHeap heap;
    for (int id = 0; id < 64; ++id) timers.emplace_back(fired, id);
    int64_t now = 0;
    for (int step = 0; step < 2000; ++step) {
        Recorder& timer = timers[random.below(timers.size())];
        // Deadlines are unique, so the order is.
        const auto deadline = now + static_cast<int64_t>(1 + random.below(100)) * 64 + timer.id;
        if (random.below(4) == 0) {
            heap.disarm(timer);
        } else {
            heap.arm(timer, {deadline});
        }
        if (random.below(8) != 0) continue;
        now += static_cast<int64_t>(random.below(50)) * 64;
        std::vector<const Recorder*> due;
        for (const Recorder& one : timers) {
            if (one.armed() && one.deadline <= Instant{now}) due.push_back(&one);
        }
        std::ranges::sort(due, {}, [](const Recorder* one) { return one->deadline; });
        std::vector<int> expected;
        for (const Recorder* one : due) expected.push_back(one->id);
        fired.clear();
        heap.fire_due({now});
        ASSERT_EQ(fired, expected) << "seed " << GetParam() << " step " << step;
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerSequence, testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace braidway::loop
