// SPDX-License-Identifier: Apache-2.0
// What programs may do, and what is found out about them.
#include "explore/execution.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>

#include "braidway/explore/policy.h"
#include "braidway/sync/mutex.h"

namespace braidway::explore {
namespace {

using Mutex = sync::BasicMutex<Policy>;
using CondVar = sync::BasicCondVar<Policy>;
using sync::FutexOutcome;
constexpr auto scope = sync::FutexScope::process_private;

sync::Deadline soon() {
    return sync::Deadline(std::chrono::steady_clock::time_point{});
}

/// One thread waits on a word that the other writes, and perhaps wakes.
void waiter_and_waker(World& world, bool wakes, std::set<FutexOutcome>* seen, bool timed) {
    auto& word = world.share<Policy::FutexWord>("word", 0u);
    world.thread("waiter", [=, &word] {
        const FutexOutcome outcome =
            timed ? Policy::futex_wait(word, 0, scope, soon()) : Policy::futex_wait(word, 0, scope);
        if (seen != nullptr) seen->insert(outcome);
    });
    world.thread("waker", [=, &word] {
        word.store(1);
        if (wakes) Policy::futex_wake(&word, 1, scope);
    });
}

TEST(Execution, FindsALostWakeUp) {
    const Verdict verdict =
        explore({}, [](World& world) { waiter_and_waker(world, false, nullptr, false); });
    EXPECT_EQ(verdict.finding, Finding::deadlock);
    ASSERT_EQ(verdict.trace.states.size(), 2u);
    EXPECT_EQ(verdict.trace.states[0].at, ThreadState::At::asleep);
    EXPECT_EQ(verdict.trace.states[1].at, ThreadState::At::done);
    ASSERT_FALSE(verdict.trace.objects.empty());
    EXPECT_EQ(verdict.trace.states[0].address, verdict.trace.objects[0].begin);
}

TEST(Execution, ExploresHowAWaitReturns) {
    std::set<FutexOutcome> seen;
    const auto explore_it = [&seen](unsigned spurious, bool timed) {
        seen.clear();
        Options options;
        options.spurious_wakes_max = spurious;
        const Verdict verdict =
            explore(options, [&](World& world) { waiter_and_waker(world, true, &seen, timed); });
        EXPECT_TRUE(verdict.clean()) << verdict.message;
        EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    };
    explore_it(0, false);
    EXPECT_EQ(seen, (std::set{FutexOutcome::woken, FutexOutcome::changed}));
    explore_it(0, true);
    EXPECT_EQ(seen,
              (std::set{FutexOutcome::woken, FutexOutcome::changed, FutexOutcome::timed_out}));
    explore_it(1, false);
    EXPECT_EQ(seen,
              (std::set{FutexOutcome::woken, FutexOutcome::changed, FutexOutcome::interrupted}));
}

TEST(Execution, ExploresWhomAWakeWakes) {
    std::set<std::array<bool, 3>> seen;
    Options options;
    options.keep_going = true;
    const Verdict verdict = explore(options, [&seen](World& world) {
        auto& word = world.share<Policy::FutexWord>("word", 0u);
        auto& woken = world.share<std::array<bool, 3>>("woken");
        for (bool& it : woken) {
            world.thread("sleeper",
                         [&] { it = Policy::futex_wait(word, 0, scope) == FutexOutcome::woken; });
        }
        world.thread("waker", [&] {
            if (Policy::futex_wake(&word, 2, scope) < 2) return;
            seen.insert(woken);
        });
        struct AtEnd {
            std::set<std::array<bool, 3>>* seen;
            std::array<bool, 3>* woken;
            ~AtEnd() { seen->insert(*woken); }
        };
        world.share<AtEnd>("end", &seen, &woken);
    });
    EXPECT_EQ(verdict.finding, Finding::deadlock);
    for (unsigned without = 0; without < 3; ++without) {
        std::array<bool, 3> two{true, true, true};
        two[without] = false;
        EXPECT_TRUE(seen.contains(two));
    }
    EXPECT_FALSE(seen.contains({true, true, true}));
}

TEST(Execution, WakesAWaitForSeveralWordsThroughAnyOfThem) {
    std::set<unsigned> seen;
    const Verdict verdict = explore({}, [&seen](World& world) {
        auto& words = world.share<std::array<Policy::FutexWord, 2>>("words");
        world.thread("waiter", [&] {
            const std::array waits{sync::FutexWait<Policy::FutexWord>{&words[0], 0, scope},
                                   sync::FutexWait<Policy::FutexWord>{&words[1], 0, scope}};
            const sync::FutexAnyOutcome outcome = Policy::futex_wait_any(waits);
            if (outcome.outcome == FutexOutcome::woken) seen.insert(outcome.index);
        });
        for (auto& word : words) {
            world.thread("waker", [&word] {
                word.store(1);
                Policy::futex_wake(&word, 1, scope);
            });
        }
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(seen, (std::set<unsigned>{0, 1}));
}

TEST(Execution, ProvesAConditionVariable) {
    Options options;
    options.spurious_wakes_max = 1;
    const Verdict verdict = explore(options, [](World& world) {
        auto& mutex = world.share<Mutex>("mutex");
        auto& changed = world.share<CondVar>("changed");
        auto& ready = world.share<bool>("ready", false);
        world.thread("waiter", [&] {
            mutex.lock();
            while (!ready) changed.wait(mutex);
            mutex.unlock();
        });
        world.thread("notifier", [&] {
            mutex.lock();
            ready = true;
            mutex.unlock();
            changed.notify_one();
        });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
}

TEST(Execution, LetsASpinningThreadRestUntilSomethingIsWritten) {
    const auto program = [](bool writes) {
        return [writes](World& world) {
            auto& flag = world.share<Atomic<bool>>("flag", false);
            world.thread("spinner", [&flag] {
                while (!flag.load()) Policy::spin_wait();
            });
            world.thread("writer", [&flag, writes] { flag.store(writes); });
        };
    };
    const Verdict verdict = explore({}, program(true));
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_LT(verdict.executions, 4u);
    const Verdict stuck = explore({}, program(false));
    EXPECT_EQ(stuck.finding, Finding::livelock);
    EXPECT_EQ(stuck.trace.states[0].at, ThreadState::At::spinning);
}

TEST(Execution, LetsAThreadSpinOnAnExchange) {
    for (const Memory memory : {Memory::sequential, Memory::tso}) {
        Options options;
        options.memory = memory;
        const Verdict verdict = explore(options, [](World& world) {
            auto& taken = world.share<Policy::FutexWord>("taken", 0u);
            auto& count = world.share<Atomic<int>>("count", 0);
            for (const char* name : {"a", "b"}) {
                world.thread(name, [&] {
                    while (taken.exchange(1) != 0) Policy::spin_wait();
                    count.store(count.load() + 1);
                    taken.store(0, std::memory_order_release);
                });
            }
            world.finally([&] { check(count.load() == 2, "both have counted"); });
        });
        EXPECT_TRUE(verdict.clean()) << verdict.message;
        EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    }
}

TEST(Execution, LetsAThreadSpinOnAnyReadModifyWrite) {
    const Verdict added = explore({}, [](World& world) {
        auto& flag = world.share<Policy::FutexWord>("flag", 0u);
        world.thread("spinner", [&flag] {
            while (flag.fetch_add(0) == 0) Policy::spin_wait();
        });
        world.thread("writer", [&flag] { flag.store(1); });
    });
    EXPECT_TRUE(added.clean()) << added.message;
    // The second exchange of "held" changes nothing, so that nobody has to look again.
    const Verdict stuck = explore({}, [](World& world) {
        auto& held = world.share<Policy::FutexWord>("held", 1u);
        for (const char* name : {"a", "b"}) {
            world.thread(name, [&held] {
                while ((held.fetch_or(1) & 1) != 0) Policy::spin_wait();
            });
        }
    });
    EXPECT_EQ(stuck.finding, Finding::livelock);
}

TEST(Execution, EndsAProgramThatGoesOnForEver) {
    Options options;
    options.steps_max = 100;
    const Verdict verdict = explore(options, [](World& world) {
        auto& flag = world.share<Atomic<bool>>("flag", false);
        world.thread("poller", [&flag] {
            while (!flag.load()) {}
        });
    });
    EXPECT_EQ(verdict.finding, Finding::endless);
    EXPECT_EQ(verdict.trace.steps.size(), 101u) << "the start and 100 loads";
}

TEST(Execution, KillsAProcessAtAnyOfItsSteps) {
    std::set<std::pair<int, bool>> seen;
    Options options;
    options.kills_max = 1;
    const Verdict verdict = explore(options, [&seen](World& world) {
        auto& word = world.share<Atomic<int>>("word", 0);
        world.killable_thread("victim", 7, [&word] {
            word.store(1);
            word.store(2);
        });
        world.finally([&] { seen.insert({word.load(), process_killed(7)}); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(seen, (std::set<std::pair<int, bool>>{{0, true}, {1, true}, {2, false}}));
}

TEST(Execution, ReportsExceptionsMisuseAndFailedChecks) {
    const auto message = [](void (*body)()) {
        return explore({}, [body](World& world) { world.thread("thread", body); }).message;
    };
    EXPECT_EQ(message([] { throw std::runtime_error("too bad"); }),
              "an exception left its thread: too bad");
    EXPECT_EQ(message([] { Mutex().unlock(); }),
              "a lock was misused: unlock() of a mutex that is not locked");
    EXPECT_EQ(message([] { check(false, "what should have been"); }), "what should have been");
    const Verdict late = explore({}, [](World& world) {
        world.thread("thread", [] {});
        world.finally([] { check(1 + 1 == 3, "sums are right"); });
    });
    EXPECT_EQ(late.finding, Finding::failed_check);
    EXPECT_EQ(late.message, "sums are right");
}

TEST(Execution, DestroysWhatIsSharedAlsoAfterAFailure) {
    int alive = 0;
    struct Counted {
        explicit Counted(int& count) : count_(count) { ++count_; }
        ~Counted() { --count_; }
        int& count_;
    };
    Options options;
    options.keep_going = true;
    const Verdict verdict = explore(options, [&alive](World& world) {
        check(true, "nothing");
        world.share<Counted>("counted", alive);
        auto& word = world.share<Policy::FutexWord>("word", 0u);
        world.thread("sleeper", [&word] { Policy::futex_wait(word, 0, scope); });
    });
    EXPECT_EQ(verdict.failures, 1u);
    EXPECT_EQ(alive, 0);
}

TEST(Execution, NoticesAProgramThatIsNotTheSameTwice) {
    int runs = 0;
    const Verdict verdict = explore({}, [&runs](World& world) {
        auto& word = world.share<Atomic<int>>("word", 0);
        const bool loads = ++runs > 1;
        world.thread("fickle", [&word, loads] { loads ? word.load() : word.fetch_add(1); });
        world.thread("writer", [&word] { word.store(1); });
    });
    EXPECT_EQ(verdict.finding, Finding::failed_check);
    EXPECT_NE(verdict.message.find("again the same way"), std::string::npos);
}

TEST(Execution, SaysTheSentenceAboutAFickleProgramOnce) {
    int runs = 0;
    const Verdict verdict = explore({}, [&runs](World& world) {
        auto& word = world.share<Atomic<int>>("word", 0);
        const bool loads = ++runs > 1;
        world.thread("fickle", [&word, loads] { loads ? word.load() : word.fetch_add(1); });
        world.thread("writer", [&word] { word.store(1); });
    });
    EXPECT_EQ(verdict.message, "the program did something else when it was run again the same way");
}

TEST(Execution, RefusesAWaitForNoWordsAndAWakeWithTooManyWays) {
    const Verdict nothing = explore(
        {}, [](World& world) { world.thread("thread", [] { Policy::futex_wait_any({}); }); });
    EXPECT_EQ(nothing.message, "futex_wait_any() takes 1 to 128 words");
    const Verdict many = explore({}, [](World& world) {
        auto& word = world.share<Policy::FutexWord>("word", 0u);
        for (int i = 0; i < 20; ++i)
            world.thread("sleeper", [&word] { Policy::futex_wait(word, 0, scope); });
        world.thread("waker", [&word] { Policy::futex_wake(&word, 10, scope); });
    });
    EXPECT_EQ(many.message, "a futex_wake() has more than 65535 ways to choose whom it wakes");
}

TEST(Execution, NamesTheFirstOfTwoWaitsForTheSameWord) {
    const Verdict verdict = explore({}, [](World& world) {
        auto& word = world.share<Policy::FutexWord>("word", 0u);
        world.thread("waiter", [&word] {
            const std::array waits{sync::FutexWait<Policy::FutexWord>{&word, 0, scope},
                                   sync::FutexWait<Policy::FutexWord>{&word, 0, scope}};
            check(Policy::futex_wait_any(waits).index == 0, "the first");
        });
        world.thread("waker", [&word] {
            word.store(1);
            Policy::futex_wake(&word, 1, scope);
        });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
}

}  // namespace
}  // namespace braidway::explore
