// SPDX-License-Identifier: Apache-2.0
#include "explore/minimise.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

#include "base/random.h"
#include "braidway/explore/policy.h"

namespace braidway::explore {
namespace {

/// A program of a few counters: each thread reads the shared counter and writes it back plus one,
/// `rounds` times. It fails when an addition was lost. In between it takes idle steps with four
/// outcomes each.
class Counters {
  public:
    Counters(unsigned threads, unsigned rounds, unsigned idle)
        : rounds_(rounds), idle_(idle), progress_(threads), seen_(threads) {}

    Attempt run(std::span<const Decision> wanted) {
        Decision next;
        for (const Decision& each : wanted) {
            if (done(each.slot)) continue;
            next = each;
            step(next);
        }
        next.choice = 0;
        while (!done(next.slot) || find_other(next.slot)) step(next);
        const unsigned expected = static_cast<unsigned>(progress_.size()) * rounds_;
        if (counter_ != expected) {
            attempt_.finding = Finding::failed_check;
            attempt_.message = counter_ + 1 == expected ? "one is lost" : "several are lost";
        }
        return attempt_;
    }

  private:
    unsigned steps() const { return rounds_ * (2 + idle_); }
    bool done(unsigned slot) const {
        return slot >= progress_.size() || progress_[slot] == steps();
    }
    bool find_other(uint8_t& slot) const {
        for (uint8_t other = 0; other < progress_.size(); ++other) {
            if (done(other)) continue;
            slot = other;
            return true;
        }
        return false;
    }
    void step(Decision next) {
        const unsigned place = progress_[next.slot]++ % (2 + idle_);
        if (place == 0) seen_[next.slot] = counter_;
        if (place == 1) counter_ = seen_[next.slot] + 1;
        if (place < 2 || next.choice > 3) next.choice = 0;
        attempt_.taken.push_back(next);
    }

    unsigned rounds_;
    unsigned idle_;
    unsigned counter_ = 0;
    std::vector<unsigned> progress_;
    std::vector<unsigned> seen_;
    Attempt attempt_;
};

/// A failing execution of `threads` threads that jumps to and fro, by a seed.
Attempt failing(unsigned threads, unsigned rounds, unsigned idle) {
    for (uint64_t seed = 1; seed < 1000; ++seed) {
        Random random(seed);
        Decisions wanted;
        for (unsigned at = 0; at < threads * rounds * (2 + idle); ++at)
            wanted.push_back({static_cast<uint8_t>(random.below(threads)),
                              static_cast<uint16_t>(random.below(4))});
        Attempt attempt = Counters(threads, rounds, idle).run(wanted);
        if (attempt.finding == Finding::failed_check && attempt.message == "one is lost")
            return attempt;
    }
    ADD_FAILURE() << "no seed loses exactly one";
    return {};
}

TEST(Minimise, LeavesTheSwitchesThatTheFailureNeeds) {
    const Attempt failure = failing(2, 3, 2);
    ASSERT_GT(switches_in(failure.taken), 3U);
    const Minimised result =
        minimise(failure, [](auto wanted) { return Counters(2, 3, 2).run(wanted); });
    EXPECT_EQ(result.attempt.finding, Finding::failed_check);
    // One thread between the other's read and write: there and back; the other's rest is the end.
    EXPECT_LE(switches_in(result.attempt.taken), 3U);
    EXPECT_LE(result.runs, minimise_runs_max);
}

TEST(Minimise, KeepsTheMessageOfAFailedCheck) {
    const Attempt failure = failing(3, 2, 1);
    const Minimised result =
        minimise(failure, [](auto wanted) { return Counters(3, 2, 1).run(wanted); });
    EXPECT_EQ(result.attempt.message, "one is lost");
    EXPECT_LT(switches_in(result.attempt.taken), switches_in(failure.taken));
    const Attempt again = Counters(3, 2, 1).run(result.attempt.taken);
    EXPECT_EQ(again.message, "one is lost");
    EXPECT_EQ(again.taken, result.attempt.taken);
}

TEST(Minimise, ChoosesThePlainestOutcomes) {
    const Attempt failure = failing(2, 2, 2);
    const Minimised result =
        minimise(failure, [](auto wanted) { return Counters(2, 2, 2).run(wanted); });
    uint64_t before = 0;
    for (const Decision& each : failure.taken) before += each.choice;
    EXPECT_GT(before, 0U);
    for (const Decision& each : result.attempt.taken) EXPECT_EQ(each.choice, 0U);
}

TEST(Minimise, RunsTheProgramNoMoreOftenThanItMay) {
    const Attempt failure = failing(4, 4, 4);
    for (const unsigned runs_max : {0U, 1U, 7U, 50U}) {
        unsigned runs = 0;
        const Minimised result = minimise(
            failure,
            [&](auto wanted) {
                ++runs;
                return Counters(4, 4, 4).run(wanted);
            },
            runs_max);
        EXPECT_LE(runs, runs_max);
        EXPECT_EQ(result.runs, runs);
        EXPECT_EQ(result.attempt.message, "one is lost");
    }
}

TEST(Minimise, GivesBackWhatDoesNotFailAgain) {
    const Attempt failure = failing(2, 2, 1);
    const Minimised result = minimise(failure, [](auto) { return Attempt{}; });
    EXPECT_EQ(result.runs, 1U);
    EXPECT_EQ(result.attempt.taken, failure.taken);
    EXPECT_EQ(result.attempt.finding, Finding::failed_check);
}

TEST(Minimise, TakesAnEmptyExecution) {
    const Attempt failure{Finding::deadlock, "nobody", {}};
    const Minimised result = minimise(failure, [&](auto) { return failure; });
    EXPECT_TRUE(result.attempt.taken.empty());
}

TEST(Minimise, CountsASwitchWhereAnotherThreadGoesOn) {
    const std::array<Decision, 5> decisions{{{0, 1}, {0, 0}, {1, 0}, {0, 0}, {0, 2}}};
    EXPECT_EQ(switches_in(decisions), 2U);
    EXPECT_EQ(switches_in({}), 0U);
}

/// How often a trace goes from one thread to another.
unsigned switches_of(const Trace& trace) {
    unsigned switches = 0;
    for (size_t at = 1; at < trace.steps.size(); ++at)
        if (trace.steps[at].thread != trace.steps[at - 1].thread) ++switches;
    return switches;
}

TEST(Minimise, ShortensWhatTheExplorerFinds) {
    unsigned before = 0;
    unsigned after = 0;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Options options;
        options.method = Method::random;
        options.seed = seed;
        options.minimise = false;
        const auto count = [](World& world) {
            auto& value = world.share<Atomic<int>>("value", 0);
            for (const char* name : {"one", "two", "three"})
                world.thread(name, [&] {
                    for (int round = 0; round < 4; ++round) value.store(value.load() + 1);
                });
            world.finally([&] { check(value.load() == 12, "nothing is lost"); });
        };
        const Verdict plain = explore(options, count);
        ASSERT_EQ(plain.finding, Finding::failed_check);
        options.minimise = true;
        const Verdict shorter = explore(options, count);
        EXPECT_EQ(shorter.finding, Finding::failed_check);
        EXPECT_EQ(shorter.message, plain.message);
        before += switches_of(plain.trace);
        after += switches_of(shorter.trace);
        options.method = Method::replay;
        options.replay = shorter.replay;
        EXPECT_EQ(explore(options, count).message, plain.message) << shorter.replay;
    }
    // Three threads start; then one of them in the middle of another, and the third: three more.
    EXPECT_LE(after, 20U * 6);
    EXPECT_GT(before, 20U * 10);
}

TEST(Minimise, KeepsTheOutcomesThatTheFailureNeeds) {
    const auto program = [](World& world) {
        world.thread("other", [] {
            for (int round = 0; round < 8; ++round) yield();
        });
        world.thread("chooser", [] {
            for (int round = 0; round < 4; ++round) yield();
            const unsigned needless = choose(3);
            check(choose(3) != 2 || needless > 2, "the third was not chosen");
        });
    };
    bool shortened = false;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Options options;
        options.method = Method::random;
        options.seed = seed;
        const Verdict verdict = explore(options, program);
        ASSERT_EQ(verdict.message, "the third was not chosen");
        // The chooser's steps alone, the needless outcome the first, the other as it must be.
        shortened |= verdict.replay == "b1:b5b.2";
        EXPECT_LE(switches_of(verdict.trace), 2U) << verdict.replay;
    }
    EXPECT_TRUE(shortened);
}

/// Two deadlocks: the far one takes two switches more than the near one.
TEST(Minimise, KeepsTheThreadsAndWordsOfADeadlock) {
    const auto program = [](World& world) {
        auto& words = world.share<std::array<Policy::FutexWord, 3>>("words");
        world.thread("setter", [&words] {
            words[0].store(1);
            yield();
            words[0].store(0);
        });
        world.thread("sleeper", [&words] {
            const size_t at = words[0].load() == 1 ? 1 : 2;
            Policy::futex_wait(words[at], 0, sync::FutexScope::process_private);
        });
    };
    std::set<std::string> seen;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Options options;
        options.method = Method::random;
        options.seed = seed;
        options.minimise = false;
        const Verdict plain = explore(options, program);
        ASSERT_EQ(plain.finding, Finding::deadlock);
        options.minimise = true;
        const Verdict shorter = explore(options, program);
        const auto place = [](const Verdict& verdict) {
            return name_of(verdict.trace, verdict.trace.states.at(1).address);
        };
        EXPECT_EQ(place(shorter), place(plain)) << "seed " << seed;
        seen.insert(place(plain));
    }
    EXPECT_GE(seen.size(), 2U) << "both deadlocks were to be shortened";
}

}  // namespace
}  // namespace braidway::explore
