// SPDX-License-Identifier: Apache-2.0
// Shared semaphores for tests, between real processes and between toy ones that die on demand.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "braidway/sync/shared_rw_semaphore.h"

// What is taken in one function and given up in another, or whose taking is an expectation, is more
// than the analysis can follow.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace braidway::sync {

/// Processes that live and die as the test says; looks come after a millisecond, or an hour.
struct ToyProcesses {
    static constexpr unsigned count = 8;
    static inline std::array<std::atomic<bool>, count> dead{};
    /// Looks after an hour, so that nothing but being woken helps.
    static inline std::array<std::atomic<bool>, count> is_patient{};
    /// Its deadline has come.
    static inline std::array<std::atomic<bool>, count> is_told{};

    ProcessIdentity me = 1;

    ProcessIdentity self() const { return me; }
    bool ended(ProcessIdentity process) const { return process >= count || dead[process]; }
    uint64_t place() const { return 42; }
    // Each waiter looks at every turn of its own.
    Look next_turn_look(const Deadline& deadline, const std::atomic<uint64_t>& /*looked*/) const {
        return next_look(deadline, LookAt::turn);
    }
    bool begin_look(std::atomic<uint64_t>& /*looked*/) const { return true; }
    Look next_look(const Deadline& deadline, LookAt) const {
        const bool waits_long = me < count && is_patient[me];
        const Deadline look =
            Deadline::after(std::chrono::milliseconds(waits_long ? 3'600'000 : 1));
        if (me < count && is_told[me] && !deadline.is_never())
            return {Deadline::after(std::chrono::milliseconds(0)), true};
        if (deadline.is_never() || deadline.nanoseconds() > look.nanoseconds()) {
            return {look, false};
        }
        return {deadline, true};
    }
};

/// A semaphore between toy processes.
using ToySemaphore = BasicSharedRwSemaphore<SystemPolicy, ToyProcesses>;

/// The looks of the real ones; each question whether somebody lives is counted.
struct CountedProcesses : SystemProcesses {
    static inline std::atomic<uint64_t> questions = 0;

    ProcessIdentity me = 1;

    ProcessIdentity self() const { return me; }
    bool ended(ProcessIdentity /*process*/) const {
        ++questions;
        return false;
    }
};

/// A semaphore whose questions whether somebody lives are counted.
using CountedSemaphore = BasicSharedRwSemaphore<SystemPolicy, CountedProcesses>;

/// A holder of the semaphore; it must have a slot left.
template <typename Semaphore>
typename Semaphore::Holder attached(const Semaphore& semaphore) {
    auto holder = semaphore.attach();
    EXPECT_TRUE(holder.has_value()) << holder.error().message;
    return std::move(*holder);
}

/// Waits until it is so, 20 s at most.
inline void until(const std::function<bool()>& is_so) {
    const int64_t end_ns = monotonic_now().ns + 20'000'000'000;
    while (!is_so()) {
        ASSERT_LT(monotonic_now().ns, end_ns) << "it never came";
        std::this_thread::yield();
    }
}

inline constexpr size_t room_bytes = 64 + 32 * 1025;

/// Memory for a semaphore of any size.
struct Room {
    alignas(64) std::array<std::byte, room_bytes> bytes{};
};

/// A semaphore with eight slots in memory of this process.
class SharedRwSemaphoreTest : public testing::Test {
  protected:
    using Holder = SharedRwSemaphore::Holder;

    SharedRwSemaphoreTest() : semaphore_(make()) {}

    SharedRwSemaphore make() {
        return *SharedRwSemaphore::create(room_.bytes.data(), room_.bytes.size(), 8);
    }
    Holder attach() { return attached(semaphore_); }
    void until_state(const Holder& holder, SlotState state) {
        until([&] { return semaphore_.slot(holder.slot()).state == state; });
    }

    Room room_;
    SharedRwSemaphore semaphore_;
};

/// The same over toy processes: what happens when one dies.
class SharedRwDeathTest : public testing::Test {
  protected:
    using Holder = ToySemaphore::Holder;

    SharedRwDeathTest()
        : semaphore_(*ToySemaphore::create(room_.bytes.data(), room_.bytes.size(), 8)) {
        for (auto* const flags :
             {&ToyProcesses::dead, &ToyProcesses::is_patient, &ToyProcesses::is_told}) {
            for (std::atomic<bool>& flag : *flags) flag = false;
        }
    }

    ToySemaphore view(ProcessIdentity process) {
        return *ToySemaphore::open(room_.bytes.data(), room_.bytes.size(), ToyProcesses{process});
    }
    Holder attach(ProcessIdentity process) { return attached(view(process)); }
    /// Kills a process; its holders' destructors do not run.
    void kill(ProcessIdentity process, std::vector<Holder*> holders) {
        for (Holder* const holder : holders) {
            alignas(Holder) static std::array<std::byte, sizeof(Holder)> grave;
            ::new (grave.data()) Holder(std::move(*holder));
        }
        ToyProcesses::dead[process] = true;
    }
    SharedRwHeader<SystemPolicy>& header() {
        return *reinterpret_cast<SharedRwHeader<SystemPolicy>*>(room_.bytes.data());
    }

    Room room_;
    ToySemaphore semaphore_;
};

}  // namespace braidway::sync
