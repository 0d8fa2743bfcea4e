// SPDX-License-Identifier: Apache-2.0
#include "sync/watch_world.h"

#include <execinfo.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "braidway/sync/policy.h"
#include "sync/watch.h"

#if BRAIDWAY_SYNC_WATCHED

namespace braidway::watch {
namespace {

using lockdep::Chain;
using lockdep::Finding;
using lockdep::Hold;
using lockdep::Lock;
using lockdep::Validator;

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

const char* name_of(const Lock* lock) {
    if (lock == nullptr) return "nothing";
    if (lock->making.name != nullptr) return lock->making.name;
    return lock->traits.type == lockdep::LockType::mutex ? "the mutex" : "the semaphore";
}

const char* remark_of(const Finding& finding) {
    if (finding.remark != nullptr) return finding.remark;
    if (finding.kind != lockdep::FindingKind::hang) return "";
    return finding.chain_count == 1 ? "this thread waits for itself"
                                    : "these threads wait for each other, and none can go on";
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

void Process::found(const Finding& finding) {
    if (const FindingListener listens = listener.load(std::memory_order_acquire)) {
        listens(finding);
        return;
    }
    if (finding.note) return;
    const char* const remark = remark_of(finding);
    std::fprintf(stderr, "braidway: the lock validator found %s%s%s\n", word(finding.kind),
                 *remark != '\0' ? ": " : "", remark);
    for (const Chain& chain : finding.steps()) {
        std::fprintf(stderr, "  thread %u holds %s %p (%s), taken at\n", chain.thread,
                     name_of(chain.holds), address_of(chain.holds),
                     chain.holds_as == Hold::shared ? "reads" : "writes");
        print_stack(validator(), chain.holds_stack);
        if (chain.wants == nullptr) continue;
        std::fprintf(stderr, "  and wants %s %p, at\n", name_of(chain.wants),
                     address_of(chain.wants));
        print_stack(validator(), chain.wants_stack);
    }
    std::abort();
}

}  // namespace

Validator& validator() {
    alignas(Validator) static std::byte room[sizeof(Validator)];
    static Validator* const made = std::construct_at(reinterpret_cast<Validator*>(room), process);
    return *made;
}

FindingListener set_finding_listener(FindingListener listens) noexcept {
    return listener.exchange(listens, std::memory_order_acq_rel);
}

}  // namespace braidway::watch

#else

namespace braidway::watch {

FindingListener set_finding_listener(FindingListener /*listens*/) noexcept {
    return nullptr;
}

}  // namespace braidway::watch

#endif
