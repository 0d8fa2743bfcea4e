// SPDX-License-Identifier: Apache-2.0
// The process-shared semaphore under the explorer: the code that ships, in every interleaving, with
// a process killed at every step.
// Long because: one model, and a scene for each who may die.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <new>
#include <optional>
#include <utility>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/sync/shared_rw_semaphore.h"

// What is taken in one function and given up in another, or whose taking is an expectation, is more
// than the analysis can follow.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace braidway::explore {
namespace {

using sync::Deadline;
using sync::FutexOutcome;
using sync::FutexScope;
using sync::Look;
using sync::LookAt;
using sync::ProcessIdentity;

constexpr unsigned processes_max = 3;

// Half a million executions take five seconds, and half a minute under a sanitizer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr unsigned preemptions_of_three = 0;
#else
constexpr unsigned preemptions_of_three = 1;
#endif

unsigned killed_count() {
    unsigned count = 0;
    for (unsigned process = 1; process <= processes_max; ++process) {
        if (process_killed(process)) ++count;
    }
    return count;
}

/// Without deaths: nobody looks, so a lost wake-up is a deadlock that the explorer finds. A timed
/// wait may end at any time.
struct LivingProcesses {
    ProcessIdentity me = 1;

    ProcessIdentity self() const { return me; }
    bool ended(ProcessIdentity /*process*/) const { return false; }
    uint64_t place() const { return 1; }
    Look next_look(const Deadline& deadline, LookAt /*what*/) const {
        return {deadline, !deadline.is_never()};
    }
    template <typename Word>
    Look next_turn_look(const Deadline& deadline, const Word& /*looked*/) const {
        return next_look(deadline, LookAt::turn);
    }
    template <typename Word>
    bool begin_look(Word& /*looked*/) const {
        return true;
    }
};

/// With deaths: periodic looks are endless, and all but those after a death see what the last one
/// saw. So in this model a waiter looks when somebody has died since its last look, and sleeps as
/// long as nobody has.
struct MortalProcesses {
    /// How many deaths this thread has looked at, by LookAt.
    struct Known {
        std::array<unsigned, 2> deaths{};
    };

    ProcessIdentity me = 1;
    Known* known = nullptr;

    ProcessIdentity self() const { return me; }
    bool ended(ProcessIdentity process) const {
        return process_killed(static_cast<unsigned>(process));
    }
    uint64_t place() const { return 1; }
    Look next_look(const Deadline& /*deadline*/, LookAt what) const {
        // A deadline that says where the deaths are counted that were looked at.
        const auto place = reinterpret_cast<intptr_t>(&known->deaths[static_cast<unsigned>(what)]);
        return {Deadline(std::chrono::sys_time<std::chrono::nanoseconds>(
                    std::chrono::nanoseconds(place))),
                false};
    }
    template <typename Word>
    Look next_turn_look(const Deadline& deadline, const Word& /*looked*/) const {
        return next_look(deadline, LookAt::turn);
    }
    template <typename Word>
    bool begin_look(Word& /*looked*/) const {
        return true;
    }
};

/// A sleep with a look times out when somebody has died since this thread's last look.
struct MortalPolicy : Policy {
    static FutexOutcome futex_wait(const FutexWord& word, uint32_t expected, FutexScope /*scope*/,
                                   const Deadline& deadline) {
        unsigned& deaths = *reinterpret_cast<unsigned*>(deadline.nanoseconds());
        for (;;) {
            // Counted first: the word is then what the dead have left.
            const unsigned count = killed_count();
            if (word.load(std::memory_order_relaxed) != expected) return FutexOutcome::changed;
            if (count > deaths) {
                deaths = count;
                return FutexOutcome::timed_out;
            }
            spin_wait();
        }
    }
};

/// What threads share: the semaphore's memory, and holders that nobody destroys, as their threads
/// may be killed.
template <typename SomePolicy, typename Processes>
struct Scene {
    using Semaphore = sync::BasicSharedRwSemaphore<SomePolicy, Processes>;
    using Holder = typename Semaphore::Holder;

    explicit Scene(const Processes& of_visitor) {
        semaphore.emplace(*Semaphore::create(memory.data(), memory.size(), 3, of_visitor));
    }

    Holder& attach(const Processes& processes) {
        auto view = Semaphore::open(memory.data(), memory.size(), processes);
        return *::new (graves[count++].data()) Holder(std::move(*view->attach()));
    }

    struct Grave {
        alignas(Holder) std::array<std::byte, sizeof(Holder)> bytes;
        std::byte* data() { return bytes.data(); }
    };

    alignas(64) std::array<std::byte, 512> memory;
    std::array<Grave, 3> graves;
    unsigned count = 0;
    std::optional<Semaphore> semaphore;
};

/// Who is inside by what the threads themselves have written, which a lock that fails shows. Plain:
/// no step of its own.
struct Inside {
    unsigned readers = 0;
    unsigned writers = 0;
};

void expect_clean(const char* what, Coverage coverage, const Verdict& verdict) {
    std::printf("%s: %s, %llu steps\n", what, verdict.summary().c_str(),
                static_cast<unsigned long long>(verdict.steps));
    EXPECT_TRUE(verdict.clean()) << verdict.message << "\nreplay " << verdict.replay;
    EXPECT_EQ(verdict.coverage, coverage);
}

using LivingScene = Scene<Policy, LivingProcesses>;

/// Writes: alone.
template <typename Holder>
void write(Holder& holder, Inside& inside) {
    holder.lock();
    check(inside.readers == 0 && inside.writers == 0, "a writer is alone");
    ++inside.writers;
    yield();
    --inside.writers;
    holder.unlock();
}

template <typename Holder>
void read(Holder& holder, Inside& inside) {
    holder.lock_shared();
    check(inside.writers == 0, "a reader meets no writer");
    ++inside.readers;
    yield();
    --inside.readers;
    holder.unlock_shared();
}

TEST(SharedRwSemaphoreExplored, TwoWritersExcludeEachOtherAndLoseNoWakeUp) {
    expect_clean("two writers", Coverage::exhaustive, explore({}, [](World& world) {
                     auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
                     auto& inside = world.share<Inside>("inside");
                     for (const char* name : {"one", "two"}) {
                         auto& holder = scene.attach({});
                         world.thread(name, [&] { write(holder, inside); });
                     }
                 }));
}

TEST(SharedRwSemaphoreExplored, AReaderAndAWriterExcludeEachOtherAndLoseNoWakeUp) {
    expect_clean("a reader and a writer", Coverage::exhaustive, explore({}, [](World& world) {
                     auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
                     auto& inside = world.share<Inside>("inside");
                     auto& reader = scene.attach({});
                     auto& writer = scene.attach({});
                     world.thread("reader", [&] { read(reader, inside); });
                     world.thread("writer", [&] { write(writer, inside); });
                 }));
}

/// A deadline that the explorer lets pass whenever it likes.
Deadline some_time() {
    return Deadline(std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(1)));
}

TEST(SharedRwSemaphoreExplored, AWriterWhoGivesUpIsEitherLetInOrGoneAndKeepsNobodyWaiting) {
    expect_clean(
        "a timed writer and a writer", Coverage::exhaustive, explore({}, [](World& world) {
            auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
            auto& inside = world.share<Inside>("inside");
            auto& timed = scene.attach({});
            auto& writer = scene.attach({});
            world.thread("timed", [&] {
                if (!timed.try_lock_until(some_time())) return;
                check(inside.writers == 0, "a writer is alone");
                timed.unlock();
            });
            world.thread("writer", [&] { write(writer, inside); });
            world.finally([&] { check(writer.try_lock(), "nobody holds or waits any more"); });
        }));
}

TEST(SharedRwSemaphoreExplored, AWriterWhoGivesUpLetsTheReaderBehindHimIn) {
    expect_clean("a timed writer between two readers", Coverage::exhaustive,
                 explore({}, [](World& world) {
                     auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
                     auto& first = scene.attach({});
                     auto& timed = scene.attach({});
                     auto& reader = scene.attach({});
                     first.lock_shared();
                     world.thread("timed", [&] {
                         check(!timed.try_lock_until(some_time()), "the first reader stays");
                     });
                     world.thread("reader", [&] { reader.lock_shared(); });
                 }));
}

TEST(SharedRwSemaphoreExplored, TheUpgraderWaitsForTheReaderAndNobodyIsLost) {
    expect_clean("an upgrader and a reader", Coverage::exhaustive, explore({}, [](World& world) {
                     auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
                     auto& inside = world.share<Inside>("inside");
                     auto& upgrader = scene.attach({});
                     auto& reader = scene.attach({});
                     reader.lock_shared();
                     ++inside.readers;
                     world.thread("upgrader", [&] {
                         upgrader.lock_upgrade();
                         upgrader.unlock_upgrade_and_lock();
                         check(inside.readers == 0, "the writer is alone");
                         upgrader.unlock();
                     });
                     world.thread("reader", [&] {
                         --inside.readers;
                         reader.unlock_shared();
                     });
                 }));
}

TEST(SharedRwSemaphoreExplored, TwoWhoAttachGetTwoSlots) {
    expect_clean("two attach", Coverage::exhaustive, explore({}, [](World& world) {
                     auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
                     auto& slots = world.share<std::array<unsigned, 2>>("slots");
                     for (const unsigned i : {0U, 1U}) {
                         world.thread(i == 0 ? "one" : "two", [&, i] {
                             auto holder = *scene.semaphore->attach();
                             slots[i] = holder.slot() + 1;
                             const unsigned other = slots[1 - i];
                             check(other != holder.slot() + 1, "a slot has one owner");
                             slots[i] = 0;
                         });
                     }
                 }));
}

TEST(SharedRwSemaphoreExplored, TwoReadersAndAWriterWithFewPreemptions) {
    Options options;
    options.method = Method::bounded;
    options.preemptions_max = preemptions_of_three + 1;
    expect_clean("two readers and a writer", Coverage::bounded, explore(options, [](World& world) {
                     auto& scene = world.share<LivingScene>("semaphore", LivingProcesses{3});
                     auto& inside = world.share<Inside>("inside");
                     for (const char* name : {"one", "two"}) {
                         auto& reader = scene.attach({});
                         world.thread(name, [&] { read(reader, inside); });
                     }
                     auto& writer = scene.attach({});
                     world.thread("writer", [&] { write(writer, inside); });
                 }));
}

using MortalScene = Scene<MortalPolicy, MortalProcesses>;
using MortalHolder = MortalScene::Holder;

/// A mortal process, one or two others, and what must be so in the end. The holders of those who
/// live are used once; each of their locks begins with no knowledge of deaths.
void mortals(World& world, unsigned mortal_count, unsigned living_count,
             void (*mortal_body)(MortalHolder&), void (*living_body)(MortalHolder&, Inside&)) {
    auto& known = world.share<std::array<MortalProcesses::Known, 4>>("known");
    auto& scene = world.share<MortalScene>("semaphore", MortalProcesses{9, &known[3]});
    auto& inside = world.share<Inside>("inside");
    auto& done = world.share<unsigned>("done", 0U);
    MortalHolder* last = nullptr;
    constexpr std::array<const char*, 3> names{"one", "two", "three"};
    for (unsigned i = 0; i < mortal_count + living_count; ++i) {
        auto& holder = scene.attach({i + 1, &known[i]});
        last = &holder;
        if (i < mortal_count) {
            world.killable_thread(names[i], i + 1, [&holder, mortal_body] { mortal_body(holder); });
            continue;
        }
        world.thread(names[i], [&, living_body] {
            living_body(holder, inside);
            ++done;
        });
    }
    world.finally([&, living_count, mortal_count, last] {
        check(done == living_count, "whoever lives got its turn");
        scene.semaphore->release_dead();
        known[mortal_count + living_count - 1] = {};
        check(last->try_lock(), "nothing is left of the dead");
        for (unsigned slot = 0; slot < 3; ++slot) {
            const ProcessIdentity owner = scene.semaphore->slot(slot).owner;
            check(owner == 0 || !process_killed(static_cast<unsigned>(owner)),
                  "the slots of the dead are free");
        }
    });
}

Options one_kill_bounded(unsigned preemptions) {
    Options options;
    options.method = Method::bounded;
    options.preemptions_max = preemptions;
    options.kills_max = 1;
    return options;
}

TEST(SharedRwSemaphoreExplored, AWriterIsKilledAtEveryStepAndTheOtherGetsItsTurn) {
    expect_clean("two writers, one killed", Coverage::bounded,
                 explore(one_kill_bounded(2), [](World& world) {
                     mortals(
                         world, 1, 1,
                         [](MortalHolder& holder) {
                             holder.lock();
                             holder.unlock();
                         },
                         [](MortalHolder& holder, Inside& inside) { write(holder, inside); });
                 }));
}

TEST(SharedRwSemaphoreExplored, AReaderIsKilledAtEveryStepAndTheWriterGetsItsTurn) {
    expect_clean("a reader killed, a writer", Coverage::bounded,
                 explore(one_kill_bounded(2), [](World& world) {
                     mortals(
                         world, 1, 1,
                         [](MortalHolder& holder) {
                             holder.lock_shared();
                             holder.unlock_shared();
                         },
                         [](MortalHolder& holder, Inside& inside) { write(holder, inside); });
                 }));
}

TEST(SharedRwSemaphoreExplored, AnUpgraderIsKilledAtEveryStepAndTheReaderGetsItsTurn) {
    expect_clean("an upgrader killed, a reader", Coverage::bounded,
                 explore(one_kill_bounded(2), [](World& world) {
                     mortals(
                         world, 1, 1,
                         [](MortalHolder& holder) {
                             holder.lock_upgrade();
                             holder.unlock_upgrade_and_lock();
                             holder.downgrade();
                             holder.unlock_shared();
                         },
                         [](MortalHolder& holder, Inside& inside) { read(holder, inside); });
                 }));
}

TEST(SharedRwSemaphoreExplored, TwoWritersLiveOnAndExcludeEachOtherWhenAWriterIsKilled) {
    expect_clean("a writer killed, two writers", Coverage::bounded,
                 explore(one_kill_bounded(preemptions_of_three), [](World& world) {
                     mortals(
                         world, 1, 2,
                         [](MortalHolder& holder) {
                             holder.lock();
                             holder.unlock();
                         },
                         [](MortalHolder& holder, Inside& inside) { write(holder, inside); });
                 }));
}

TEST(SharedRwSemaphoreExplored, AReaderLivesOnWhenTwoWritersAreKilled) {
    Options options = one_kill_bounded(0);
    options.kills_max = 2;
    expect_clean("two writers killed, a reader", Coverage::bounded,
                 explore(options, [](World& world) {
                     mortals(
                         world, 2, 1,
                         [](MortalHolder& holder) {
                             holder.lock();
                             holder.unlock();
                         },
                         [](MortalHolder& holder, Inside& inside) { read(holder, inside); });
                 }));
}

TEST(SharedRwSemaphoreExplored, ASupervisorReleasesAKilledWriterBesideAWaiter) {
    expect_clean("a writer killed, a waiter, a supervisor", Coverage::bounded,
                 explore(one_kill_bounded(1), [](World& world) {
                     auto& known = world.share<std::array<MortalProcesses::Known, 3>>("known");
                     auto& scene =
                         world.share<MortalScene>("semaphore", MortalProcesses{9, &known[2]});
                     auto& inside = world.share<Inside>("inside");
                     auto& mortal = scene.attach({1, &known[0]});
                     auto& other = scene.attach({2, &known[1]});
                     world.killable_thread("mortal", 1, [&] {
                         mortal.lock();
                         mortal.unlock();
                     });
                     world.thread("other", [&] { write(other, inside); });
                     world.thread("supervisor", [&] { scene.semaphore->release_dead(); });
                 }));
}

}  // namespace
}  // namespace braidway::explore
