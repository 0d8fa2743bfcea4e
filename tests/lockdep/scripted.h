// SPDX-License-Identifier: Apache-2.0
// A validator that tests drive in few words.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "lockdep/paged_memory.h"
#include "lockdep/validator.h"

namespace braidway::lockdep {

inline constexpr LockTraits a_mutex{};
inline constexpr LockTraits a_recursive_mutex{.recursive = true};
inline constexpr LockTraits a_robust_mutex{.robust = true};
inline constexpr LockTraits a_fair_rwlock{.type = LockType::rwlock, .fair = true};
inline constexpr LockTraits an_unfair_rwlock{.type = LockType::rwlock};
inline constexpr LockTraits a_condition{.type = LockType::condition};

inline constexpr Access to_write{};
inline constexpr Access to_read{.hold = Hold::shared};
inline constexpr Access to_try{.patience = Patience::bounded};
inline constexpr Access to_try_to_read{.hold = Hold::shared, .patience = Patience::bounded};

/// A validator with objects and threads for it. Locks are named by the address of a byte of
/// `memory`; sites are numbers.
class Scripted {
  public:
    /// The lock at `object`, made known when it is not; of the class `class_key` or its own.
    Lock& lock(const void* object, LockTraits traits = a_mutex, uint64_t class_key = 0) {
        Lock* known = validator.find(object);
        if (known == nullptr)
            known = validator.enlist(*main, object, 8, traits, {.class_key = class_key});
        return *known;
    }

    /// As a watched program does it; always succeeds.
    void take(Thread& thread, Lock& lock, Access access = to_write, uintptr_t site = 1) {
        Pending pending;
        const void* const address = lock.address.load();
        if (!thread.wants_known(address, access, site, pending))
            validator.wants(thread, lock, access, site, pending);
        thread.acquired(pending);
    }
    void want(Thread& thread, Lock& lock, Access access = to_write, uintptr_t site = 1) {
        Pending pending;
        validator.wants(thread, lock, access, site, pending);
    }
    bool give(Thread& thread, const Lock& lock, uintptr_t site = 2) {
        const void* const address = lock.address.load();
        return thread.release_last(address) || validator.released(thread, address, site);
    }

    /// One thread takes the locks in this order and gives them back.
    void take_all(Thread& thread, std::initializer_list<Lock*> locks) {
        for (Lock* each : locks) take(thread, *each);
        for (auto each = std::rbegin(locks); each != std::rend(locks); ++each) give(thread, **each);
    }

    /// The kinds of the findings so far, in words, with blanks between.
    std::string kinds() const {
        std::string all;
        for (const Finding& finding : world.findings)
            all += (all.empty() ? "" : " ") + std::string(word(finding.kind));
        return all;
    }

    TestSurroundings world;
    Validator validator{world};
    Thread* main = validator.thread_started(0);
    char memory[4096] = {};
};

}  // namespace braidway::lockdep
