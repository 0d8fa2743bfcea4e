// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "apps/lockcheck/naming.h"

namespace braidway::lockcheck {
namespace {

constexpr std::array kinds{
    KindWords{"order", "locks are taken in orders that can block each other",
              "Take these locks in the same order everywhere; or take them together "
              "(std::scoped_lock); or let the first go before you wait for the second."},
    KindWords{
        "recursive-read", "a fair lock is taken for read twice by one thread",
        "Take the lock for read once and hand that down; or split the inner function into one "
        "that locks and one that expects the lock to be held."},
    KindWords{"relock", "a thread waits for a lock that it holds itself",
              "Split the function into one that locks and one that expects the lock to be held; a "
              "recursive mutex hides the question who guards what."},
    KindWords{"unlock-unheld", "a lock is unlocked that this thread does not hold",
              "Unlock once for each lock, in the thread that locked; a guard object "
              "(std::lock_guard) does both. To signal another thread use a semaphore or a "
              "condition variable."},
    KindWords{"destroy-held", "a lock is destroyed or its memory goes while it is held",
              "Unlock first, and let nobody use the object any more before it goes."},
    KindWords{"exit-held", "a thread ends and still holds a lock",
              "Unlock on every way out of the thread, also before pthread_exit() and on "
              "cancellation (pthread_cleanup_push(), a guard object)."},
    KindWords{"held-while-wait",
              "a thread waits on a condition and holds a lock that the one who "
              "would wake it needs",
              "Let the other lock go before waiting: the wait gives back only the mutex that it is "
              "called with."},
    KindWords{"held-while-join", "a thread is joined while a lock is held that it needs",
              "Let the lock go before joining."},
    KindWords{"held-while-sleep", "a lock is held where the program said that it may sleep",
              "Let the lock go first, or take one that may be held while sleeping."},
    KindWords{"signal", "a signal's handler takes a lock that the interrupted code may hold",
              "Take no lock in a handler: set a flag, write to a pipe, or use signalfd(); or block "
              "the signal while the lock is held."},
    KindWords{"hang", "threads wait for each other, now",
              "This deadlock has happened. Take these locks in the same order everywhere."},
};

/// "wants_stack" of the chain, or where there is none the other one.
const Stack& act(const Chain& chain) {
    return chain.wants_stack.empty() ? chain.holds_stack : chain.wants_stack;
}

std::string taken(const Chain& chain) {
    return chain.holds_stack.empty()
               ? ""
               : fmt::format(" (taken in {})", short_place(chain.holds_stack));
}

std::string mode_word(std::string_view mode) {
    return mode == "shared" ? " for read" : "";
}

/// The words for the lock that a chain holds, and for the one that it wants.
std::string held(const Finding& finding, const Chain& chain) {
    return lock_word(finding, chain.holds);
}
std::string wanted(const Finding& finding, const Chain& chain) {
    return lock_word(finding, chain.wants);
}

/// The one lock of a finding about one lock.
std::string only_lock(const Finding& finding) {
    if (finding.locks.empty()) return "a lock";
    return lock_word(finding, finding.locks.front().index);
}

/// The locks of a ring; where it goes through classes, whose locks are different ones in each step,
/// the classes.
std::vector<std::string> ring_names(const Finding& finding) {
    const std::vector<Lock> locks = finding.without_also_held().locks;
    const auto same_class = [](const Lock& one, const Lock& other) {
        return one.index == other.index || (one.lock_class && one.lock_class == other.lock_class);
    };
    const auto has_others = [&](const Lock& lock) {
        return std::ranges::any_of(locks, [&](const Lock& other) {
            return other.index != lock.index && same_class(lock, other);
        });
    };
    // Within one class the order is that of its objects.
    const bool one_class = std::ranges::all_of(
        locks, [&](const Lock& lock) { return same_class(locks.front(), lock); });
    std::vector<std::string> names;
    for (size_t at = 0; at < locks.size(); ++at) {
        const Lock& lock = locks[at];
        const std::string word = lock_word(finding, lock.index);
        if (one_class || !has_others(lock)) {
            names.push_back(word);
        } else if (std::none_of(locks.begin(), locks.begin() + static_cast<ptrdiff_t>(at),
                                [&](const Lock& each) { return same_class(each, lock); })) {
            names.push_back(fmt::format("locks of the class of {} ({})", word, describe(lock)));
        }
    }
    return names;
}

std::string explain_ring(const Finding& finding) {
    std::vector<std::string> ways;
    for (const Chain& chain : finding.chains)
        ways.push_back(fmt::format("{} wants {}{} while it holds {}{}", short_place(act(chain)),
                                   wanted(finding, chain), mode_word(chain.wants_mode),
                                   held(finding, chain), mode_word(chain.holds_mode)));
    const std::vector<std::string> names = ring_names(finding);
    const std::string what =
        names.size() == 2
            ? fmt::format("{} and {} are taken in opposite orders", names[0], names[1])
            : fmt::format("{} are taken in a ring", fmt::join(names, ", "));
    return fmt::format("{}: {}", what, fmt::join(ways, "; "));
}

/// Does every thread wait for somebody to wake it, and nobody is left to do so?
bool nobody_holds(const Finding& finding) {
    return std::ranges::none_of(finding.chains,
                                [](const Chain& chain) { return chain.holds.has_value(); });
}

/// Is there a thread that holds something and is not there any more?
bool gone_holder(const Finding& finding) {
    return std::ranges::any_of(finding.chains,
                               [](const Chain& chain) { return !chain.wants.has_value(); });
}

std::string explain_hang(const Finding& finding) {
    std::vector<std::string> ways;
    for (const Chain& chain : finding.chains) {
        if (!chain.wants) {
            // It has ended, or was never in this process.
            ways.push_back(fmt::format("{} has {}{} and cannot let it go", thread_word(chain),
                                       held(finding, chain), taken(chain)));
            continue;
        }
        const std::string holds =
            chain.holds ? fmt::format("holds {} and ", held(finding, chain)) : "";
        ways.push_back(fmt::format("{} {}waits for {} in {}", thread_word(chain), holds,
                                   wanted(finding, chain), short_place(act(chain))));
    }
    const char* who = "threads wait for each other and";
    if (nobody_holds(finding) || gone_holder(finding)) {
        who = finding.chains.size() == 1 ? "the thread waits and" : "the threads wait and";
        if (gone_holder(finding)) who = "a thread waits and";
    } else if (ways.size() == 1) {
        who = "a thread waits for itself and";
    }
    return fmt::format("{} will not go on: {}", who, fmt::join(ways, "; "));
}

/// The chain that waits for a condition or the end of a thread; the first one if there is none.
const Chain& waiter(const Finding& finding) {
    const auto waits = [&finding](const Chain& chain) {
        const Lock* lock = finding.lock(chain.wants);
        return lock != nullptr && (lock->is_condition() || lock->is_thread());
    };
    const auto found = std::ranges::find_if(finding.chains, waits);
    return found == finding.chains.end() ? finding.chains.front() : *found;
}

/// Where somebody else needs the lock that the waiter holds.
std::string who_needs(const Finding& finding) {
    const Chain& waits = waiter(finding);
    const auto other = std::ranges::find_if(
        finding.chains, [&waits](const Chain& each) { return &each != &waits; });
    if (other == finding.chains.end()) return "";
    const std::string takes =
        fmt::format(", which {} takes in {}", thread_word(*other), short_place(act(*other)));
    const Lock* lock = finding.lock(other->holds);
    if (lock == nullptr || !lock->is_condition() || other->holds_stack.empty()) return takes;
    return fmt::format("{} and would wake it in {}", takes, short_place(other->holds_stack));
}

/// The sentence of the kinds that are about what one thread does.
std::string explain_one(const Finding& finding, const Chain& chain) {
    const std::string where = short_place(act(chain));
    const std::string name = chain.holds ? held(finding, chain) : only_lock(finding);
    const std::string& kind = finding.kind;
    if (kind == "recursive-read")
        return fmt::format(
            "{} is taken for read in {} by a thread that already holds it for read{}; a writer "
            "that comes in between blocks both for ever",
            name, where, taken(chain));
    if (kind == "relock") {
        // A remark says what happens instead.
        return fmt::format("{} is locked again in {} by the thread that holds it{}{}", name, where,
                           taken(chain), finding.remark.empty() ? ": it waits for itself" : "");
    }
    if (kind == "unlock-unheld") {
        const bool stranger = finding.chains.size() > 1;
        return fmt::format("{} is unlocked in {} by {}, which does not hold it{}", name, where,
                           thread_word(chain),
                           stranger ? fmt::format("; {} does{}", thread_word(finding.chains[1]),
                                                  taken(finding.chains[1]))
                                    : "");
    }
    const bool acted = !chain.wants_stack.empty();
    const std::string in = acted ? fmt::format(" in {}", where) : "";
    if (kind == "destroy-held")
        return fmt::format("{} goes{} while {} holds it{}", name, in, thread_word(chain),
                           taken(chain));
    if (kind == "exit-held")
        return fmt::format("{} ends while it holds {}{}", thread_word(chain), name, taken(chain));
    if (kind == "held-while-wait")
        return fmt::format("{} waits on a condition{} while it holds {}{}{}", thread_word(chain),
                           in, name, taken(chain), who_needs(finding));
    if (kind == "held-while-join")
        return fmt::format("{} waits{} for a thread to end while it holds {}{}{}",
                           thread_word(chain), in, name, taken(chain), who_needs(finding));
    if (kind == "held-while-sleep")
        return fmt::format("{} may sleep{} while it holds {}{}", thread_word(chain), in, name,
                           taken(chain));
    if (kind == "signal")
        return fmt::format(
            "a signal's handler takes {} in {}, and the code that it interrupts may "
            "hold it{}",
            chain.wants ? wanted(finding, chain) : name, where, taken(chain));
    return "";
}

std::string column_name(const Finding& finding, size_t index, bool distinct) {
    const Chain& chain = finding.chains[index];
    std::string name = distinct ? fmt::format("Thread {}", chain.thread)
                                : fmt::format("Thread {}", static_cast<char>('A' + index % 26));
    if (distinct && chain.thread_name && !chain.thread_name->empty())
        name += fmt::format(" \"{}\"", *chain.thread_name);
    return name;
}

/// The recursive read needs a writer that the run may have shown elsewhere.
Story story_of_recursive_read(const Finding& finding) {
    const Chain& chain = finding.chains.front();
    const std::string name = held(finding, chain);
    Story story;
    story.columns = {column_name(finding, 0, true), "A writer"};
    story.steps = {
        {0, fmt::format("takes {} for read in {}", name, short_place(chain.holds_stack))},
        {1, fmt::format("wants {} for write: waits for the reader", name)},
        {0, fmt::format("wants {} for read again in {}: waits behind the writer", name,
                        short_place(act(chain)))}};
    story.end = "The reader waits for the writer, and the writer for the reader.";
    return story;
}

std::string waiting_step(const Finding& finding, const Chain& chain) {
    if (!chain.wants) return fmt::format("never lets {} go", held(finding, chain));
    const std::string in = short_place(act(chain));
    const Lock* lock = finding.lock(chain.wants);
    if (lock != nullptr && lock->is_condition()) return fmt::format("waits in {} to be woken", in);
    if (lock == nullptr || lock->is_thread())
        return fmt::format("waits in {} for another thread to end", in);
    const Lock* holds = finding.lock(chain.holds);
    return fmt::format("wants {}{} in {}: waits{}", wanted(finding, chain),
                       mode_word(chain.wants_mode), in,
                       holds != nullptr && holds->is_condition() ? ", and wakes nobody" : "");
}

Story story_of_ring(const Finding& finding) {
    std::set<uint64_t> threads;
    for (const Chain& chain : finding.chains) threads.insert(chain.thread);
    const bool distinct = threads.size() == finding.chains.size();
    Story story;
    for (size_t at = 0; at < finding.chains.size(); ++at) {
        const Chain& chain = finding.chains[at];
        story.columns.push_back(column_name(finding, at, distinct));
        const Lock* lock = finding.lock(chain.holds);
        // Nobody takes a condition or a thread's end.
        if (lock == nullptr || lock->is_condition() || lock->is_thread()) continue;
        story.steps.push_back(
            {at, fmt::format("takes {}{} in {}", held(finding, chain), mode_word(chain.holds_mode),
                             short_place(chain.holds_stack))});
    }
    for (size_t at = 0; at < finding.chains.size(); ++at)
        story.steps.push_back({at, waiting_step(finding, finding.chains[at])});
    const bool now = finding.kind == "hang";
    if (now && nobody_holds(finding))
        story.end = "Nobody is left to wake any of them.";
    else if (now && gone_holder(finding))
        story.end = "Who could let it go is not there.";
    else if (finding.chains.size() == 1)
        story.end = fmt::format("Nobody else can let the lock go: it {} on.",
                                now ? "never goes" : "would never go");
    else
        story.end = fmt::format("Each waits for what another one holds: none {} on.",
                                now ? "goes" : "would go");
    if (!distinct)
        story.end += fmt::format(
            " (In this run one thread, {}, went these ways in turn; two threads may at once.)",
            thread_word(finding.chains.front()));
    return story;
}

}  // namespace

const KindWords* kind_words(std::string_view kind) {
    const auto found = std::ranges::find(kinds, kind, &KindWords::kind);
    return found == kinds.end() ? nullptr : &*found;
}

std::string explain(const Finding& finding) {
    const auto wants = [](const Chain& chain) { return chain.wants.has_value(); };
    std::string sentence;
    if (finding.chains.empty())
        sentence = "";
    else if (finding.kind == "hang")
        sentence = explain_hang(finding);
    else if (finding.kind == "order" && std::ranges::all_of(finding.chains, wants))
        sentence = explain_ring(finding);
    else
        sentence = explain_one(finding, waiter(finding));
    if (!sentence.empty())
        return finding.remark.empty() ? sentence : fmt::format("{} ({})", sentence, finding.remark);
    if (!finding.message.empty()) return finding.message;
    const KindWords* words = kind_words(finding.kind);
    return std::string(words != nullptr ? words->meaning : "something about locks");
}

std::optional<Story> story(const Finding& finding) {
    if (finding.chains.empty()) return std::nullopt;
    if (finding.kind == "recursive-read" && finding.chains.size() == 1)
        return story_of_recursive_read(finding);
    const bool waits = std::ranges::any_of(
        finding.chains, [](const Chain& chain) { return chain.wants.has_value(); });
    if (!waits || finding.kind == "unlock-unheld" || finding.kind == "destroy-held")
        return std::nullopt;
    return story_of_ring(finding);
}

}  // namespace braidway::lockcheck
