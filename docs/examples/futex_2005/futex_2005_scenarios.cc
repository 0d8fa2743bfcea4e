// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "braidway/explore/report.h"
#include "futex_2005.h"

namespace futex_2005 {
namespace {

using explore::check;
using explore::Finding;
using explore::Options;
using explore::World;

/// A futex call whose page is missing, and an mmap() in another thread.
template <Cure cure>
void futex_and_mmap(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("futex", [=] { Task(space, cure).futex_call(); });
    world.thread("mmap", [=] { change_map(space); });
}

/// Somebody holds mmap_sem for reading and does not count it, as drivers do.
void uncounted_holder(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("driver", [=] {
        Task task(space, Cure::depth);
        space.mmap_sem.lock_shared();
        task.get_user();
        space.mmap_sem.unlock_shared();
    });
    world.thread("mmap", [=] { change_map(space); });
}

constexpr Names first{"A.mmap_sem", "A.page", "A.map"};
constexpr Names second{"B.mmap_sem", "B.page", "B.map"};

/// A task of process A reads B's memory, while a thread of A calls mmap().
template <Cure cure>
void other_memory(World& world) {
    const AddressSpace a = make_space(world, absent, first);
    const AddressSpace b = make_space(world, 0, second);
    world.thread("A reads B", [=] { Task(a, cure).copy_from(b); });
    world.thread("A's mmap", [=] { change_map(a); });
}

/// Two processes read each other's memory, and each calls mmap() in another thread.
void crosswise(World& world) {
    const AddressSpace a = make_space(world, absent, first);
    const AddressSpace b = make_space(world, absent, second);
    world.thread("A reads B", [=] { Task(a, Cure::depth).copy_from(b); });
    world.thread("B reads A", [=] { Task(b, Cure::depth).copy_from(a); });
    world.thread("A's mmap", [=] { change_map(a); });
    world.thread("B's mmap", [=] { change_map(b); });
}

/// The page is touched before mmap_sem is taken.
template <bool reclaim>
void touch_first(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("futex", [=] {
        Task task(space, Cure::none);
        task.get_user();
        task.futex_call();
    });
    world.thread("mmap", [=] { change_map(space); });
    if (reclaim) world.thread("reclaim", [=] { take_page_away(space); });
}

/// A reader that never faults.
void look_at_map(const AddressSpace& space) {
    space.mmap_sem.lock_shared();
    check(space.map_changes.load() == 0, "nobody changes the map while a reader looks at it");
    space.mmap_sem.unlock_shared();
}

/// A futex call with retry, and mmap().
void retry(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("futex", [=] {
        check(futex_call_with_retry(space), "the futex call succeeds: the page stays");
    });
    world.thread("mmap", [=] { change_map(space); });
}

/// The same, and a reader who never faults.
void retry_and_reader(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("futex", [=] {
        check(futex_call_with_retry(space), "the futex call succeeds: the page stays");
    });
    world.thread("reader", [=] { look_at_map(space); });
    world.thread("mmap", [=] { change_map(space); });
}

/// A futex call with retry, mmap(), and the page goes once at any time.
void retry_and_reclaim(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("futex", [=] {
        check(futex_call_with_retry(space), "the futex call succeeds: the page goes only once");
    });
    world.thread("mmap", [=] { change_map(space); });
    world.thread("reclaim", [=] { take_page_away(space); });
}

/// Three readers, of whom two come back for the page, and two writers.
void retry_three_and_two(World& world) {
    const AddressSpace space = make_space(world, absent);
    for (const std::string_view name : {"futex 1", "futex 2"}) {
        world.thread(name, [=] {
            check(futex_call_with_retry(space), "the futex call succeeds: the page stays");
        });
    }
    world.thread("reader", [=] { look_at_map(space); });
    world.thread("mmap 1", [=] { change_map(space); });
    world.thread("mmap 2", [=] { change_map(space); });
}

/// Whoever brings the page in finds it gone again: an adversary who is always faster.
void adversary(World& world) {
    const AddressSpace space = make_space(world, absent);
    world.thread("futex", [=] {
        unsigned brought_in = 0;
        const auto attempt = [&]() -> sync::UserAttempt<uint32_t> {
            return std::unexpected(
                sync::MissingMemory{&space.page, sizeof(uint32_t), sync::Access::read});
        };
        const auto bring_in = [&](const sync::MissingMemory& /*missing*/) {
            walk_under_lock(space);
            take_page_away(space);
            ++brought_in;
            return sync::FaultInOutcome::present;
        };
        const auto result = sync::with_user_access_shared(space.mmap_sem, attempt, bring_in);
        check(!result && result.error() == sync::UserAccessError::gave_up,
              "the futex call gives up with an error");
        check(brought_in + 1 == sync::user_access_attempts_max,
              "it gives up after its eighth attempt");
    });
    world.thread("mmap", [=] { change_map(space); });
}

/// Spinning before a sleep multiplies the interleavings and shows nothing new.
const Options every{.spin_turns = 0};
const Options one_preemption{
    .method = explore::Method::bounded, .preemptions_max = 1, .spin_turns = 0};
const Options three_preemptions{
    .method = explore::Method::bounded, .preemptions_max = 3, .spin_turns = 0};

constexpr auto deadlock = Finding::deadlock;
constexpr auto nothing = Finding::nothing;

const std::array all{
    Scenario{"original", "The page fault handler takes mmap_sem a second time.", every,
             futex_and_mmap<Cure::none>, deadlock},
    Scenario{"depth", "Depth tracking: a task counts, for each mmap_sem, how often it holds it.",
             every, futex_and_mmap<Cure::depth>, nothing},
    Scenario{"depth-uncounted", "Depth tracking, and one holder that does not count.", every,
             uncounted_holder, deadlock},
    Scenario{"depth-crosswise", "Depth tracking, and two processes that read each other's memory.",
             one_preemption, crosswise, deadlock},
    Scenario{"flag", "Per-task flag: a task knows that it holds an mmap_sem.", every,
             futex_and_mmap<Cure::flag>, nothing},
    Scenario{"flag-other-memory", "Per-task flag, and a task that reads another process's memory.",
             every, other_memory<Cure::flag>, Finding::failed_check},
    Scenario{"spin", "The page fault handler tries until a try succeeds.", every,
             futex_and_mmap<Cure::spin>, deadlock},
    Scenario{"pre-fault", "Pre-fault: the page is touched before mmap_sem is taken.", every,
             touch_first<false>, nothing},
    Scenario{"pre-fault-reclaim", "Pre-fault, and the page is reclaimed before it is read.", every,
             touch_first<true>, deadlock},
    Scenario{"retry", "Atomic access with retry.", every, retry, nothing},
    Scenario{"retry-reclaim", "Atomic access with retry, and the page is reclaimed once.",
             three_preemptions, retry_and_reclaim, nothing},
    Scenario{"retry-readers", "Atomic access with retry: two readers and a writer.",
             three_preemptions, retry_and_reader, nothing},
    Scenario{"retry-adversary", "Atomic access with retry, and the page is gone each time.",
             three_preemptions, adversary, nothing},
    Scenario{"retry-five", "Atomic access with retry: three readers and two writers.",
             one_preemption, retry_three_and_two, nothing},
};

}  // namespace

std::span<const Scenario> scenarios() {
    return all;
}

const Scenario* find_scenario(std::string_view name) {
    const auto found = std::ranges::find(all, name, &Scenario::name);
    return found == all.end() ? nullptr : &*found;
}

std::string output(std::span<const std::string_view> arguments) {
    std::string text;
    if (arguments.empty()) {
        for (const Scenario& scenario : all) {
            text += std::string(scenario.name) + ": " + std::string(scenario.what) + "\n  " +
                    explore::explore(scenario.options, scenario.setup).summary() + "\n";
        }
        return text;
    }
    const bool as_picture = arguments.front() == "--svg";
    for (const std::string_view name : arguments.subspan(as_picture ? 1 : 0)) {
        const Scenario* const scenario = find_scenario(name);
        if (scenario == nullptr) return "futex_2005: no scenario " + std::string(name) + "\n";
        const explore::Verdict verdict = explore::explore(scenario->options, scenario->setup);
        text += as_picture ? explore::trace_svg(verdict, scenario->what)
                           : explore::report_text(verdict, {.detail = false});
    }
    return text;
}

}  // namespace futex_2005
