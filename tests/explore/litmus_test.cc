// SPDX-License-Identifier: Apache-2.0
// Litmus tests: the explorer looks at as many executions as GenMC, which is optimal, and sees
// every outcome and no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "explore/litmus_programs.h"

namespace braidway::explore {
namespace {

using litmus::Command;
using litmus::Litmus;
using litmus::Outcome;
using litmus::Program;

/// More are counted by GenMC and the explorer only.
constexpr uint64_t interleavings_max = 6'000;
constexpr uint64_t executions_with_sanitizers_max = 4'000;
/// The states of more threads take too long here.
constexpr size_t threads_with_outcomes_max = 5;

struct Shared {
    std::array<Policy::Atomic<uint32_t>, litmus::words_max> words;
};

/// Carries out the commands of one thread.
void run(const litmus::Thread& commands, Shared& shared, litmus::Registers& registers) {
    for (const Command& command : commands) {
        uint32_t unused = 0;
        uint32_t& reg = command.reg < 0 ? unused : registers[static_cast<size_t>(command.reg)];
        Policy::Atomic<uint32_t>& word = shared.words[command.word];
        switch (command.kind) {
            case Command::Kind::load:
                reg = word.load(std::memory_order_acquire);
                break;
            case Command::Kind::store:
                word.store(command.value + reg, std::memory_order_release);
                break;
            case Command::Kind::add:
                reg = word.fetch_add(command.value, std::memory_order_acq_rel);
                break;
            case Command::Kind::compare: {
                uint32_t expected = command.expected;
                word.compare_exchange_strong(expected, command.value);
                break;
            }
            case Command::Kind::fence:
                fence();
                break;
            case Command::Kind::leave_low:
                if (reg < command.value) return;
                break;
        }
    }
}

struct Explored {
    Verdict verdict;
    std::set<Outcome> outcomes;
};

Explored explore_litmus(const Program& program, Memory memory) {
    Explored explored;
    std::vector<std::string> names;
    for (size_t thread = 0; thread < program.threads.size(); ++thread)
        names.push_back("t" + std::to_string(thread));
    Outcome outcome;
    Options options;
    options.memory = memory;
    explored.verdict = explore(options, [&](World& world) {
        auto& shared = world.share<Shared>("word");
        outcome = {};
        outcome.registers.resize(program.threads.size());
        for (size_t thread = 0; thread < program.threads.size(); ++thread)
            world.thread(names[thread], [&, thread] {
                run(program.threads[thread], shared, outcome.registers[thread]);
            });
        world.finally([&] {
            for (size_t word = 0; word < litmus::words_max; ++word)
                outcome.words[word] = shared.words[word].load();
            explored.outcomes.insert(outcome);
        });
    });
    EXPECT_TRUE(explored.verdict.clean()) << program.name << ": " << explored.verdict.message;
    EXPECT_EQ(explored.verdict.coverage, Coverage::exhaustive) << program.name;
    return explored;
}

bool some(const std::set<Outcome>& outcomes, const std::function<bool(const Outcome&)>& is) {
    return std::ranges::any_of(outcomes, is);
}

/// The executions are as many as GenMC and brute force say, and the outcomes are right.
void expect_sequential(const Litmus& each) {
    SCOPED_TRACE(each.program.name);
    const uint64_t counted = litmus::executions(each.program, interleavings_max);
    ASSERT_TRUE(each.genmc != 0 || counted != 0) << "nobody knows how many";
    if (each.genmc != 0 && counted != 0) {
        EXPECT_EQ(counted, each.genmc) << "the program is not GenMC's";
    }
    const Explored explored = explore_litmus(each.program, Memory::sequential);
    EXPECT_EQ(explored.verdict.executions, each.genmc != 0 ? each.genmc : counted);
    if (each.program.threads.size() > threads_with_outcomes_max) return;
    EXPECT_TRUE(explored.outcomes == litmus::outcomes(each.program, false));
    if (each.telling) {
        EXPECT_EQ(some(explored.outcomes, each.telling), each.sequential_allows);
    }
}

TEST(Litmus, ClassicsHaveTheExecutionsThatTheyHaveElsewhere) {
    for (const Litmus& each : litmus::classics()) expect_sequential(each);
}

TEST(Litmus, FamiliesHaveTheExecutionsThatTheyHaveElsewhere) {
    for (const Litmus& each : litmus::families())
        if (each.genmc <= executions_with_sanitizers_max) expect_sequential(each);
}

TEST(Litmus, LargeFamiliesHaveTheExecutionsThatTheyHaveElsewhere) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "too many executions for a build with sanitizers";
#endif
    for (const Litmus& each : litmus::families())
        if (each.genmc > executions_with_sanitizers_max) expect_sequential(each);
}

TEST(Litmus, AreMany) {
    const size_t all = litmus::classics().size() + litmus::families().size();
    EXPECT_GE(all, 60U);
    size_t published = 0;
    for (const auto& list : {litmus::classics(), litmus::families()})
        for (const Litmus& each : list) published += each.genmc != 0 ? 1 : 0;
    EXPECT_GE(published, 40U);
}

TEST(Litmus, OfTsoHaveTheOutcomesOfX86) {
    for (const Litmus& each : litmus::classics()) {
        if (each.program.threads.size() > threads_with_outcomes_max) continue;
        SCOPED_TRACE(each.program.name);
        const Explored explored = explore_litmus(each.program, Memory::tso);
        EXPECT_TRUE(explored.outcomes == litmus::outcomes(each.program, true));
        if (each.telling) {
            EXPECT_EQ(some(explored.outcomes, each.telling), each.tso_allows);
        }
    }
}

}  // namespace
}  // namespace braidway::explore
