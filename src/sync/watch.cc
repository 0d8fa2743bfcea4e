// SPDX-License-Identifier: Apache-2.0
#include "sync/watch.h"

#include <execinfo.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "braidway/sync/may_sleep.h"
#include "braidway/sync/policy.h"

#if BRAIDWAY_SYNC_WATCHED

namespace braidway::watch {
namespace {

using lockdep::Access;
using lockdep::Chain;
using lockdep::Finding;
using lockdep::Hold;
using lockdep::Lock;
using lockdep::Patience;
using lockdep::Pending;
using lockdep::Validator;
using sync::LockEvent;
using sync::LockMode;

constinit std::atomic<FindingListener> listener = nullptr;

void print_stack(Validator& validator, lockdep::StackId id) {
    std::array<uintptr_t, 32> room{};
    std::array<void*, 32> frames{};
    const auto stack = validator.stack(id, room);
    const size_t count = std::min(stack.size(), frames.size());
    for (size_t i = 0; i < count; ++i) {
        frames[i] = reinterpret_cast<void*>(stack[i]);  // NOLINT(performance-no-int-to-ptr)
    }
    backtrace_symbols_fd(frames.data(), static_cast<int>(count), STDERR_FILENO);
}

const void* address_of(const Lock* lock) {
    return lock == nullptr ? nullptr : lock->address.load(std::memory_order_relaxed);
}

/// The world of this process.
class Process final : public lockdep::Surroundings {
  public:
    void* pages(size_t bytes) override {
        void* const memory =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return memory == MAP_FAILED ? nullptr : memory;
    }

    size_t capture_stack(std::span<uintptr_t> frames) override {
        // The first ones are the validator's, and are the same in every stack.
        constexpr int own_frames = 4;
        std::array<void*, 40> raw{};
        const int count = backtrace(raw.data(), static_cast<int>(raw.size()));
        const size_t kept =
            std::min<size_t>(count > own_frames ? count - own_frames : 0, frames.size());
        for (size_t i = 0; i < kept; ++i) {
            frames[i] = reinterpret_cast<uintptr_t>(raw[i + own_frames]);
        }
        return kept;
    }

    void found(const Finding& finding) override;
};

Process process;

/// Made at the first lock; never destroyed, because locks are used until the very end.
Validator& validator() {
    alignas(Validator) static std::byte room[sizeof(Validator)];
    static Validator* const made = std::construct_at(reinterpret_cast<Validator*>(room), process);
    return *made;
}

void Process::found(const Finding& finding) {
    if (const FindingListener listens = listener.load(std::memory_order_acquire)) {
        listens(finding);
        return;
    }
    if (finding.note) return;
    std::fprintf(stderr, "braidway: the lock validator found %s%s%s\n", word(finding.kind),
                 finding.remark != nullptr ? ": " : "",
                 finding.remark != nullptr ? finding.remark : "");
    for (const Chain& chain : finding.steps()) {
        std::fprintf(stderr, "  thread %u holds %p (%s), taken at\n", chain.thread,
                     address_of(chain.holds), chain.holds_as == Hold::shared ? "reads" : "writes");
        print_stack(validator(), chain.holds_stack);
        if (chain.wants == nullptr) continue;
        std::fprintf(stderr, "  and wants %p, at\n", address_of(chain.wants));
        print_stack(validator(), chain.wants_stack);
    }
    std::abort();
}

/// What is kept of this thread.
struct Watched {
    lockdep::Thread* thread = nullptr;
    Pending pending = {};
    const void* pending_address = nullptr;
    bool inside = false;
};

constinit thread_local Watched watched;
constinit thread_local bool is_over = false;

/// Tells the end of the thread. Locks that are used by destructors that run later go unwatched.
struct AtEnd {
    AtEnd() = default;
    AtEnd(const AtEnd&) = delete;
    AtEnd& operator=(const AtEnd&) = delete;
    ~AtEnd() {
        is_over = true;
        if (watched.thread == nullptr) return;
        validator().thread_ended(*watched.thread, true);
        watched.thread = nullptr;
    }
    bool begun = false;
};
thread_local AtEnd at_end;

bool begin_thread() {
    if (is_over) return false;
    at_end.begun = true;
    watched.thread = validator().thread_started(0);
    return watched.thread != nullptr;
}

uintptr_t caller() {
    return reinterpret_cast<uintptr_t>(__builtin_return_address(0));
}

/// The long way before an acquisition. False: the tables are full.
bool ask(const void* address, Access access, Pending& pending) {
    Lock* lock = validator().find(address);
    if (lock == nullptr) {
        lock = validator().enlist(*watched.thread, address, 1,
                                  {.type = lockdep::LockType::rwlock, .fair = true},
                                  {.thread = watched.thread->number()});
    }
    if (lock == nullptr) return false;
    validator().wants(*watched.thread, *lock, access, caller(), pending);
    return true;
}

void prepare(const void* address, Access access) {
    watched.pending_address = address;
    if (watched.thread->wants_known(address, access, 0, watched.pending)) return;
    if (!ask(address, access, watched.pending)) watched.pending_address = nullptr;
}

void handle(LockEvent event, LockMode mode, const void* lock) {
    const Hold hold = mode == LockMode::exclusive ? Hold::exclusive : Hold::shared;
    switch (event) {
        case LockEvent::asked:
            prepare(lock, {hold, Patience::endless});
            return;
        case LockEvent::acquired:
            if (watched.pending_address != lock || watched.pending.access.hold != hold) {
                prepare(lock, {hold, Patience::bounded});
            }
            if (watched.pending_address == lock) watched.thread->acquired(watched.pending);
            watched.pending_address = nullptr;
            return;
        case LockEvent::released:
            if (!watched.thread->release_last(lock)) {
                validator().released(*watched.thread, lock, 0);
            }
            return;
        case LockEvent::gone:
            validator().destroyed(*watched.thread, lock);
            return;
        case LockEvent::wanted:
        case LockEvent::given_up:
            return;
    }
}

/// What may_sleep_here() calls.
void sleep_place(const char* where) {
    if (watched.thread == nullptr || watched.inside) return;
    watched.inside = true;
    validator().may_sleep(*watched.thread, where, caller());
    watched.inside = false;
}

[[maybe_unused]] const sync::MaySleepHook hooked = sync::set_may_sleep_hook(sleep_place);

}  // namespace

FindingListener set_finding_listener(FindingListener listens) noexcept {
    return listener.exchange(listens, std::memory_order_acq_rel);
}

size_t locks_held() noexcept {
    return watched.thread == nullptr ? 0 : watched.thread->held_count();
}

void lock_event(LockEvent event, LockMode mode, const void* lock) noexcept {
    if (watched.inside || (watched.thread == nullptr && !begin_thread())) return;
    watched.inside = true;
    handle(event, mode, lock);
    watched.inside = false;
}

}  // namespace braidway::watch

#else

namespace braidway::watch {

FindingListener set_finding_listener(FindingListener /*listens*/) noexcept {
    return nullptr;
}

size_t locks_held() noexcept {
    return 0;
}

}  // namespace braidway::watch

#endif
