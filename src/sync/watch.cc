// SPDX-License-Identifier: Apache-2.0
#include "sync/watch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "braidway/sync/deadline.h"
#include "braidway/sync/futex.h"
#include "braidway/sync/may_sleep.h"
#include "braidway/sync/policy.h"
#include "sync/watch_world.h"

#if BRAIDWAY_SYNC_WATCHED

namespace braidway::watch {
namespace {

using lockdep::Access;
using lockdep::Hold;
using lockdep::KnownStep;
using lockdep::Lock;
using lockdep::LockTraits;
using lockdep::Patience;
using lockdep::Thread;
using lockdep::Validator;
using sync::LockEvent;
using sync::LockKind;
using sync::LockMode;

/// What the short way needs of this thread.
struct Watched {
    /// nullptr: this thread is not known yet, or is inside the validator, where nothing is watched.
    Thread* outside = nullptr;
    /// What it has asked for and does not have; nullptr: nothing, or what nobody can watch.
    const KnownStep* pending = nullptr;
};

/// The rest.
struct Details {
    Thread* thread = nullptr;
    KnownStep step = {};  ///< What `pending` points to after the long way.
    /// The semaphore whose right to upgrade is awaited: it may be a writer that is in the way.
    Lock* read_besides = nullptr;
    bool is_over = false;
};

// Of the library that is there from the start: without a call to find them.
#define BRAIDWAY_NEAR __attribute__((tls_model("initial-exec")))
constinit thread_local Watched watched BRAIDWAY_NEAR;
constinit thread_local Details details BRAIDWAY_NEAR;
#undef BRAIDWAY_NEAR

/// Tells the end of the thread. Locks that are used by destructors that run later go unwatched.
struct AtEnd {
    AtEnd() = default;
    AtEnd(const AtEnd&) = delete;
    AtEnd& operator=(const AtEnd&) = delete;
    ~AtEnd() {
        details.is_over = true;
        if (details.thread == nullptr) return;
        validator().thread_ended(*details.thread, true);
        details.thread = watched.outside = nullptr;
        watched.pending = nullptr;
    }
    bool begun = false;
};
thread_local AtEnd at_end;

/// Goes into the validator, where the locks of this thread are its own affair.
class Inside {
  public:
    Inside() {
        if (watched.outside == nullptr && details.thread == nullptr) begin_thread();
        thread_ = std::exchange(watched.outside, nullptr);
    }
    ~Inside() {
        if (thread_ != nullptr) watched.outside = thread_;
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    /// nullptr: it was inside already, or cannot be watched.
    Thread* thread() const { return thread_; }

  private:
    static void begin_thread() {
        if (details.is_over) return;
        at_end.begun = true;
        watched.outside = details.thread = validator().thread_started(0);
    }

    Thread* thread_;
};

constexpr Hold hold_of(LockMode mode) {
    return mode == LockMode::exclusive ? Hold::exclusive : Hold::shared;
}

/// Where the right to upgrade is, which is watched as a mutex of its own: readers may be beside
/// who has it, and nobody else who wants it.
const void* right_to_upgrade(const void* lock) {
    return static_cast<const std::byte*>(lock) + 8;
}

/// What the validator is told of a lock that is new to it.
struct Description {
    LockTraits traits;
    const char* name = nullptr;
};

constexpr Description the_right_to_upgrade{{.type = lockdep::LockType::mutex},
                                           "the right to upgrade"};

constexpr Description description_of(LockKind kind) {
    return kind == LockKind::mutex ? Description{{.type = lockdep::LockType::mutex}}
                                   : Description{{.type = lockdep::LockType::rwlock, .fair = true}};
}

/// Looks at an acquisition that is about to come. nullptr: the tables are full.
const KnownStep* look(Thread& thread, const void* address, const Description& what, Access access) {
    if (const KnownStep* const known = thread.known_step(address, access, 0)) return known;
    Lock* lock = validator().find(address);
    if (lock == nullptr || lock->traits.type != what.traits.type)
        lock = validator().enlist(thread, address, 1, what.traits,
                                  {.name = what.name, .thread = thread.number()});
    if (lock == nullptr) return nullptr;
    details.step.address = address;
    validator().wants(thread, *lock, access, 0, details.step.pending);
    return details.step.pending.lock == nullptr ? nullptr : &details.step;
}

/// The thread has it: what it waited for, or what it got by a try.
void take(Thread& thread, const void* address, const Description& what, Hold hold) {
    const KnownStep* step = std::exchange(watched.pending, nullptr);
    if (step == nullptr || step->address != address || step->pending.access.hold != hold)
        step = look(thread, address, what, {hold, Patience::bounded});
    if (step != nullptr) thread.acquired(step->pending);
}

void give_back(Thread& thread, const void* address) {
    if (!thread.release_last(address)) validator().released(thread, address, 0);
}

void handle_asked(Thread& thread, LockMode mode, LockKind kind, const void* lock) {
    const KnownStep* step =
        look(thread, lock, description_of(kind), {hold_of(mode), Patience::endless});
    if (mode == LockMode::upgrade) {
        details.read_besides = step == nullptr ? nullptr : step->pending.lock;
        step = look(thread, right_to_upgrade(lock), the_right_to_upgrade,
                    {Hold::exclusive, Patience::endless});
    }
    watched.pending = step;
}

void handle_acquired(Thread& thread, LockMode mode, LockKind kind, const void* lock) {
    if (mode == LockMode::upgrade) {
        take(thread, right_to_upgrade(lock), the_right_to_upgrade, Hold::exclusive);
        details.read_besides = nullptr;
    }
    take(thread, lock, description_of(kind), hold_of(mode));
}

/// The reading ends here, for others and for the thread itself: who waits for its end waits as
/// well for the writer that this one is about to be.
void handle_upgrading(Thread& thread, LockKind kind, const void* lock) {
    give_back(thread, lock);
    watched.pending =
        look(thread, lock, description_of(kind), {Hold::exclusive, Patience::endless});
}

void handle_released(Thread& thread, LockMode mode, const void* lock) {
    const KnownStep* const step = std::exchange(watched.pending, nullptr);
    // After handle_upgrading() only the right is left.
    if (step == nullptr || step->address != lock) give_back(thread, lock);
    if (mode == LockMode::upgrade) give_back(thread, right_to_upgrade(lock));
}

void handle(Thread& thread, LockEvent event, LockMode mode, LockKind kind, const void* lock) {
    switch (event) {
        case LockEvent::asked:
            return handle_asked(thread, mode, kind, lock);
        case LockEvent::acquired:
            return handle_acquired(thread, mode, kind, lock);
        case LockEvent::upgrading:
            return handle_upgrading(thread, kind, lock);
        case LockEvent::released:
            return handle_released(thread, mode, lock);
        case LockEvent::gone:
            validator().destroyed(thread, lock);
            if (kind != LockKind::mutex) validator().destroyed(thread, right_to_upgrade(lock));
            return;
        case LockEvent::wanted:
        case LockEvent::given_up:
            return;
    }
}

/// What may_sleep_here() calls.
void sleep_place(const char* where) {
    if (details.thread == nullptr) return;
    const Inside inside;
    if (inside.thread() != nullptr) validator().may_sleep(*inside.thread(), where, 0);
}

[[maybe_unused]] const sync::MaySleepHook hooked = sync::set_may_sleep_hook(sleep_place);

constinit std::atomic<std::chrono::nanoseconds> hang_look_after{limits::watch_hang_after};

/// The looks of one wait.
class HangLooks {
  public:
    HangLooks() : wanted_(*watched.pending), besides_(details.read_besides) {}
    ~HangLooks() {
        if (looks_ > 0) validator().unblocked(*details.thread);
    }
    HangLooks(const HangLooks&) = delete;
    HangLooks& operator=(const HangLooks&) = delete;

    void look() {
        const Inside inside;
        if (inside.thread() == nullptr) return;
        Thread& thread = *inside.thread();
        // Who waits for the right to upgrade may wait for the one who has it or for a writer: two
        // looks for the one, two for the other, and so on.
        if (looks_ == 0 || (besides_ != nullptr && looks_ % 2 == 0)) {
            if (besides_ != nullptr && looks_ % 4 != 0) {
                validator().blocks(thread, *besides_, {Hold::shared, Patience::endless});
            } else {
                validator().blocks(thread, *wanted_.pending.lock, wanted_.pending.access);
            }
            signature_ = 0;
        }
        ++looks_;
        const Validator::Hang hang = validator().hung(thread);
        const bool is_certain = hang.certain && hang.all_threads == 0;
        if (is_certain && hang.signature == signature_) validator().report_hang(thread);
        signature_ = is_certain ? hang.signature : 0;
    }

  private:
    const KnownStep wanted_;
    Lock* const besides_;
    unsigned looks_ = 0;
    uint64_t signature_ = 0;  ///< Of a hang that the last look saw.
};

}  // namespace

std::chrono::nanoseconds set_hang_look_after(std::chrono::nanoseconds wait) noexcept {
    return hang_look_after.exchange(wait, std::memory_order_relaxed);
}

size_t locks_held() noexcept {
    return details.thread == nullptr ? 0 : details.thread->held_count();
}

[[gnu::noinline]] void lock_event(LockEvent event, LockMode mode, LockKind kind,
                                  const void* lock) noexcept {
    // Where that one lives another may live tomorrow, and a lock that survives its holders has no
    // end that could be told.
    if (kind == LockKind::shared_rw_semaphore) return;
    const Inside inside;
    if (inside.thread() != nullptr) handle(*inside.thread(), event, mode, kind, lock);
}

void lock_asked(LockMode mode, LockKind kind, const void* lock) noexcept {
    Thread* const thread = watched.outside;
    if (thread != nullptr && mode != LockMode::upgrade) [[likely]] {
        const KnownStep* const step = thread->hot_step(lock, {hold_of(mode), Patience::endless}, 0);
        if (step != nullptr) [[likely]] {
            watched.pending = step;
            return;
        }
    }
    lock_event(LockEvent::asked, mode, kind, lock);
}

void lock_acquired(LockMode mode, LockKind kind, const void* lock) noexcept {
    const KnownStep* const step = watched.pending;
    Thread* const thread = watched.outside;
    if (step != nullptr && thread != nullptr && step->address == lock &&
        step->pending.access.hold == hold_of(mode) && mode != LockMode::upgrade) [[likely]] {
        watched.pending = nullptr;
        thread->acquired(step->pending);
        return;
    }
    lock_event(LockEvent::acquired, mode, kind, lock);
}

void lock_released(LockMode mode, LockKind kind, const void* lock) noexcept {
    Thread* const thread = watched.outside;
    if (thread != nullptr && mode != LockMode::upgrade && thread->release_last(lock)) [[likely]]
        return;
    lock_event(LockEvent::released, mode, kind, lock);
}

sync::FutexOutcome futex_wait(const std::atomic<uint32_t>& word, uint32_t expected,
                              sync::FutexScope scope) noexcept {
    if (watched.outside == nullptr || watched.pending == nullptr)
        return sync::futex_wait(word, expected, scope);
    const std::chrono::nanoseconds first = hang_look_after.load(std::memory_order_relaxed);
    const std::chrono::nanoseconds next = std::min(first, limits::watch_look_interval);
    HangLooks looks;
    for (std::chrono::nanoseconds wait = first;; wait = next) {
        const sync::FutexOutcome outcome =
            sync::futex_wait(word, expected, scope, sync::Deadline::after(wait));
        if (outcome != sync::FutexOutcome::timed_out) return outcome;
        looks.look();
    }
}

}  // namespace braidway::watch

#else

namespace braidway::watch {

std::chrono::nanoseconds set_hang_look_after(std::chrono::nanoseconds /*wait*/) noexcept {
    return {};
}

size_t locks_held() noexcept {
    return 0;
}

}  // namespace braidway::watch

#endif
