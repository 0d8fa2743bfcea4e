// SPDX-License-Identifier: Apache-2.0
// Long because: one kind of random program, run in two ways, in all its flavours.
#include "explore/dpor.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "braidway/explore/policy.h"
#include "braidway/explore/proven_mutex.h"
#include "explore/execution.h"
#include "explore/replay.h"
#include "explore/runner.h"
#include "explore/state_search.h"
#include "explore/told.h"

namespace braidway::explore {
namespace {

// --- random programs

struct Command {
    enum class Kind : uint8_t {
        load,
        store,
        compare_exchange,
        add,
        wait,
        timed_wait,
        wait_any,
        wake_one,
        wake_all,
        choose,
        spin,
        look_killed,
        exchange,
        strong_store,
        fence,
        yield,
        exchange_spin,
        lock,  ///< Once more by who holds it: waits for itself, for ever.
        unlock,
    };
    Kind kind;
    unsigned word;
    uint32_t value;
};

struct Program {
    std::vector<std::vector<Command>> threads;
    std::vector<unsigned> processes;
    Options options;
};

enum class Flavour : uint8_t {
    words,
    store_buffers,
    futexes,
    everything,
    and_more,
    mutexes,
    mutexes_and_all,  ///< But kills.
};

bool has_mutexes(Flavour flavour) {
    return flavour >= Flavour::mutexes;
}

bool has_everything(Flavour flavour) {
    return flavour == Flavour::everything || flavour == Flavour::and_more ||
           flavour >= Flavour::mutexes_and_all;
}

/// Half of the commands of such a program are locks and unlocks.
Command::Kind random_kind(Random& random, Flavour flavour) {
    constexpr std::array kinds_of{4u, 9u, 9u, 12u, 17u, 4u, 11u};
    if (has_mutexes(flavour) && random.below(2) == 0) {
        return random.below(5) < 3 ? Command::Kind::lock : Command::Kind::unlock;
    }
    return static_cast<Command::Kind>(random.below(kinds_of[static_cast<size_t>(flavour)]));
}

Program random_program(uint64_t seed, Flavour flavour) {
    Random random(seed);
    Program program;
    program.threads.resize(2 + random.below(2));
    const uint64_t commands_max =
        (program.threads.size() == 2 ? 4 : 3) + (has_mutexes(flavour) ? 1 : 0);
    if (flavour == Flavour::store_buffers) program.options.memory = Memory::tso;
    for (auto& thread : program.threads) {
        thread.resize(1 + random.below(commands_max));
        for (Command& command : thread) {
            command.kind = random_kind(random, flavour);
            command.word = static_cast<unsigned>(random.below(2));
            command.value = static_cast<uint32_t>(random.below(2));
        }
        const bool killable = has_everything(flavour) && random.below(3) == 0;
        program.processes.push_back(killable ? 1 + static_cast<unsigned>(random.below(2)) : 0);
    }
    program.options.keep_going = true;
    if (has_everything(flavour)) {
        program.options.kills_max = static_cast<unsigned>(random.below(3));
        if (flavour == Flavour::mutexes_and_all) program.options.kills_max = 0;
        if (random.below(4) == 0) program.options.memory = Memory::tso;
        program.options.spurious_wakes_max = static_cast<unsigned>(random.below(2));
    }
    return program;
}

std::string text_of(const Program& program) {
    static constexpr std::array names{"load",       "store", "cas",   "add",    "wait",
                                      "timed_wait", "any",   "wake1", "wake",   "choose",
                                      "spin",       "look",  "xchg",  "strong", "fence",
                                      "yield",      "xspin", "lock",  "unlock"};
    std::string text = program.options.memory == Memory::tso ? "tso, " : "";
    text += "kills " + std::to_string(program.options.kills_max) + ", spurious " +
            std::to_string(program.options.spurious_wakes_max);
    for (size_t i = 0; i < program.threads.size(); ++i) {
        text += "; thread of process " + std::to_string(program.processes[i]) + ":";
        for (const Command& command : program.threads[i]) {
            text += std::string(" ") + names[static_cast<size_t>(command.kind)] + "(" +
                    std::to_string(command.word) + "," + std::to_string(command.value) + ")";
        }
    }
    return text;
}

struct Words {
    std::array<Policy::FutexWord, 2> words;
    std::array<ProvenMutex, 2> mutexes;
};

/// Runs one command; what it saw is a number.
uint64_t run_command(const Command& command, Words& shared) {
    auto& words = shared.words;
    Policy::FutexWord& word = words[command.word];
    constexpr auto scope = sync::FutexScope::process_private;
    const sync::Deadline soon = sync::Deadline(std::chrono::steady_clock::time_point{});
    switch (command.kind) {
        case Command::Kind::load:
            return word.load();
        case Command::Kind::store:
            word.store(command.value, std::memory_order_release);
            return 0;
        case Command::Kind::compare_exchange: {
            uint32_t expected = command.value;
            return word.compare_exchange_strong(expected, expected + 1) ? 100 : expected;
        }
        case Command::Kind::add:
            return word.fetch_add(1);
        case Command::Kind::wait:
            return static_cast<uint64_t>(Policy::futex_wait(word, command.value, scope));
        case Command::Kind::timed_wait:
            return static_cast<uint64_t>(Policy::futex_wait(word, command.value, scope, soon));
        case Command::Kind::wait_any: {
            const std::array waits{
                sync::FutexWait<Policy::FutexWord>{&words[0], command.value, scope},
                sync::FutexWait<Policy::FutexWord>{&words[1], command.value, scope}};
            const sync::FutexAnyOutcome outcome = command.word == 0
                                                      ? Policy::futex_wait_any(waits)
                                                      : Policy::futex_wait_any(waits, soon);
            return static_cast<uint64_t>(outcome.outcome) + 10 * outcome.index;
        }
        case Command::Kind::wake_one:
            return Policy::futex_wake(&word, 1, scope);
        case Command::Kind::wake_all:
            return Policy::futex_wake(&word, 8, scope);
        case Command::Kind::choose:
            return explore::choose(2);
        case Command::Kind::spin:
            for (uint64_t turn = 0;; ++turn) {
                if (word.load() == command.value) return turn;
                Policy::spin_wait();
            }
        case Command::Kind::look_killed:
            return process_killed(1 + command.word) ? 1 : 0;
        case Command::Kind::exchange:
            return word.exchange(command.value);
        case Command::Kind::strong_store:
            word.store(command.value);
            return 0;
        case Command::Kind::fence:
            fence();
            return 0;
        case Command::Kind::yield:
            explore::yield();
            return 0;
        case Command::Kind::exchange_spin:
            for (uint64_t turn = 0;; ++turn) {
                if (word.exchange(1) == command.value) return turn;
                Policy::spin_wait();
            }
        case Command::Kind::lock:
            shared.mutexes[command.word].lock();
            return 0;
        case Command::Kind::unlock:
            shared.mutexes[command.word].unlock();
            return 0;
    }
    return 0;
}

struct Seen {
    uint64_t executions = 0;
    uint64_t blocked = 0;
    std::set<Finding> findings;
    std::map<std::string, uint64_t> ends;        ///< What threads saw, the words, the finding.
    std::map<uint64_t, std::string> signatures;  ///< With an execution of each class.
    bool is_complete = false;
};

/// Of one thread, in memory that belongs to the state of the program.
using Log = std::array<char, 8>;

void run_thread(const std::vector<Command>& thread, Words& shared, Log& line) {
    size_t at = 0;
    std::array<bool, 2> held{};
    for (const Command& command : thread) {
        // Whoever does not hold a mutex gives none back.
        bool& holds = held[command.word];
        if (command.kind == Command::Kind::unlock && !holds) continue;
        line[at++] = static_cast<char>('0' + run_command(command, shared));
        if (command.kind == Command::Kind::lock) holds = true;
        if (command.kind == Command::Kind::unlock) holds = false;
    }
}

/// Writes the end of an execution down, before its words are gone.
struct AtEnd {
    std::string* log;
    Words* words;
    std::array<Log, 3>* logs;
    ~AtEnd() {
        for (const Log& line : *logs) log->append(line.data(), line.size());
        *log += '|' + std::to_string(words->words[0].load()) + ',' +
                std::to_string(words->words[1].load());
    }
};

/// With nothing for `reduction`: by states.
Seen explore_program(Program program, std::optional<SourceDpor::Reduction> reduction,
                     uint64_t executions_max) {
    if (!reduction) program.options.method = Method::states;
    Seen seen;
    std::string log;
    Words* words = nullptr;
    const std::function<void(World&)> setup = [&](World& world) {
        words = &world.share<Words>("words");
        log.clear();
        auto& logs = world.share<std::array<Log, 3>>("log");
        for (Log& line : logs) line.fill('.');
        for (size_t i = 0; i < program.threads.size(); ++i) {
            auto body = [&thread = program.threads[i], &line = logs[i], &shared = *words] {
                run_thread(thread, shared, line);
            };
            if (program.processes[i] != 0) {
                world.killable_thread("t", program.processes[i], body);
            } else {
                world.thread("t", body);
            }
        }
        world.share<AtEnd>("end", &log, words, &logs);
    };
    Execution execution(program.options, setup);
    if (reduction) execution.play_endgames();
    Runner runner(program.options, setup);
    std::unique_ptr<SourceDpor> races;
    std::unique_ptr<Chooser> search;
    const auto start_over = [&] {
        seen = Seen{};
        races = reduction ? std::make_unique<SourceDpor>(*reduction) : nullptr;
        search = races == nullptr ? std::make_unique<StateSearch>() : nullptr;
    };
    const auto chooser = [&]() -> Chooser& {
        if (races != nullptr) return *races;
        return *search;
    };
    start_over();
    do {
        Finding finding = execution.run(chooser());
        if (execution.wants_restart()) {
            start_over();
            finding = execution.run(chooser());
        }
        EXPECT_EQ(execution.message().find("again the same way"), std::string::npos);
        if (execution.was_cut_off()) {
            ++seen.blocked;
        } else {
            ++seen.executions;
            seen.findings.insert(finding);
            ++seen.ends[log + ' ' + std::to_string(static_cast<int>(finding))];
            seen.signatures.emplace(races == nullptr ? 0 : races->signature(),
                                    replay_text(execution.decisions()));
        }
        // Whatever was run can be run again.
        if (!execution.was_cut_off() && seen.executions % 16 == 1) {
            const std::string log_before = log;
            const Outcome again = runner.run_once(execution.decisions(), false);
            EXPECT_EQ(again.misfit, -1) << replay_text(execution.decisions());
            EXPECT_EQ(again.finding, finding) << replay_text(execution.decisions());
            EXPECT_EQ(log, log_before) << replay_text(execution.decisions());
        }
        if (seen.executions + seen.blocked >= executions_max) return seen;
    } while (chooser().next());
    seen.is_complete = true;
    return seen;
}

void compare_with_all_interleavings(Flavour flavour, uint64_t seeds) {
#if defined(__SANITIZE_THREAD__)
    seeds /= 10;  // Each switch of fibers takes a hundred times as long.
#endif
    uint64_t compared = 0;
    uint64_t skipped = 0;
    uint64_t failed = 0;
    uint64_t naive_executions = 0;
    uint64_t executions = 0;
    uint64_t blocked = 0;
    uint64_t state_executions = 0;
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        const Program program = random_program(seed, flavour);
        SCOPED_TRACE("seed " + std::to_string(seed) + ": " + text_of(program));
        const Seen naive = explore_program(program, SourceDpor::Reduction::none, 50'000);
        if (!naive.is_complete) {
            ++skipped;
            continue;
        }
        ++compared;
        const Seen reduced = explore_program(program, SourceDpor::Reduction::races, 60'000);
        naive_executions += naive.executions;
        executions += reduced.executions;
        blocked += reduced.blocked;
        ASSERT_TRUE(reduced.is_complete);
        ASSERT_EQ(naive.findings, reduced.findings);
        // Under sanitizers that takes as long as all interleavings, so only some.
        const Seen by_states = states_differ_for_ever() && seed % 8 != 0
                                   ? naive
                                   : explore_program(program, std::nullopt, 60'000);
        state_executions += by_states.executions + by_states.blocked;
        ASSERT_TRUE(by_states.is_complete);
        ASSERT_EQ(naive.findings, by_states.findings);
        for (const auto& [end, count] : naive.ends)
            ASSERT_TRUE(by_states.ends.contains(end)) << "not found by states: " << end;
        ASSERT_EQ(by_states.ends.size(), naive.ends.size());
        // Kills beyond a deadlock are not all looked at: the program has failed.
        if (program.options.kills_max > 0 && naive.findings != std::set{Finding::nothing}) {
            ++failed;
            continue;
        }
        for (const auto& [end, count] : naive.ends)
            ASSERT_TRUE(reduced.ends.contains(end)) << "not found: " << end;
        ASSERT_EQ(reduced.ends.size(), naive.ends.size());
        for (const auto& [signature, replay] : naive.signatures)
            ASSERT_TRUE(reduced.signatures.contains(signature)) << "not found: " << replay;
        ASSERT_EQ(reduced.executions, naive.signatures.size()) << "one per class";
        ASSERT_EQ(naive.blocked, 0u);
    }
    std::printf(
        "%lu compared (%lu by findings), %lu too large; %lu interleavings, %lu classes, "
        "%lu cut off; %lu executions by states\n",
        compared, failed, skipped, naive_executions, executions, blocked, state_executions);
    EXPECT_GT(compared, seeds * 3 / 4);
}

TEST(SourceDpor, FindsEachClassOfInterleavingsOfWordsOnce) {
    compare_with_all_interleavings(Flavour::words, 600);
}

TEST(SourceDpor, FindsEachClassOfInterleavingsWithStoreBuffersOnce) {
    compare_with_all_interleavings(Flavour::store_buffers, 600);
}

TEST(SourceDpor, FindsEachClassOfInterleavingsOfFutexesOnce) {
    compare_with_all_interleavings(Flavour::futexes, 600);
}

TEST(SourceDpor, FindsEachClassWithKillsRestsAndSpuriousReturnsOnce) {
    compare_with_all_interleavings(Flavour::everything, 400);
}

TEST(SourceDpor, FindsEachClassWithSpinsOnExchangesAndFencesOnce) {
    compare_with_all_interleavings(Flavour::and_more, 600);
}

TEST(SourceDpor, FindsEachClassOfInterleavingsOfMutexesOnce) {
    compare_with_all_interleavings(Flavour::mutexes, 2000);
}

TEST(SourceDpor, FindsEachClassOfInterleavingsOfMutexesBesideAllElseOnce) {
    compare_with_all_interleavings(Flavour::mutexes_and_all, 600);
}

}  // namespace
}  // namespace braidway::explore
