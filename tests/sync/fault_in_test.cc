// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/fault_in.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "braidway/sync/may_sleep.h"
#include "braidway/sync/user_access.h"
#include "braidway/sync/with_user_access.h"
#include "sync/user_memory.h"

namespace braidway::sync {
namespace {

std::string steps;

/// A lock that writes down what happens to it, and that is never held twice.
struct NotedLock {
    void lock() { note("lock "); }
    void unlock() { note("unlock "); }
    void lock_shared() { note("lock_shared "); }
    void unlock_shared() { note("unlock_shared "); }
    static void note(const char* what) { steps += what; }
};

/// Puts a hook in for one test.
class NotedSleep {
  public:
    NotedSleep()
        : before_(
              set_may_sleep_hook([](const char* where) { steps += std::string(where) + " "; })) {
        steps.clear();
    }
    NotedSleep(const NotedSleep&) = delete;
    NotedSleep& operator=(const NotedSleep&) = delete;
    ~NotedSleep() { set_may_sleep_hook(before_); }

  private:
    MaySleepHook before_;
};

bool resident(const void* address) {
    unsigned char vector = 0;
    return mincore(const_cast<void*>(address), page, &vector) == 0 && (vector & 1) != 0;
}

TEST(FaultIn, BringsPagesInForEitherAccessAndChangesNothing) {
    for (const Access access : {Access::read, Access::write}) {
        const CutMemory memory(3);
        const NotedSleep noted;
        memory.data()[page] = std::byte{5};
        ASSERT_FALSE(resident(memory.data() + 2 * page));
        EXPECT_EQ(fault_in({memory.data() + 10, 2 * page, access}), FaultInOutcome::present);
        EXPECT_TRUE(resident(memory.data()));
        EXPECT_TRUE(resident(memory.data() + 2 * page));
        EXPECT_EQ(memory.data()[page], std::byte{5});
        EXPECT_EQ(steps, "fault_in ");
    }
}

TEST(FaultIn, IsFinalWhereTheFileWasCutOff) {
    const CutMemory memory(2);
    memory.truncate(1);
    EXPECT_EQ(fault_in({memory.data(), page, Access::read}), FaultInOutcome::present);
    EXPECT_EQ(fault_in({memory.data() + page - 1, 2, Access::read}), FaultInOutcome::fault);
    EXPECT_EQ(fault_in({memory.data() + page, 1, Access::write}), FaultInOutcome::fault);
}

TEST(FaultIn, KnowsThatAPageToReadIsNoPageToWrite) {
    const CutMemory memory(1);
    memory.protect(0, 1, PROT_READ);
    EXPECT_EQ(fault_in({memory.data(), 8, Access::read}), FaultInOutcome::present);
    EXPECT_EQ(fault_in({memory.data(), 8, Access::write}), FaultInOutcome::fault);
    memory.protect(0, 1, PROT_NONE);
    EXPECT_EQ(fault_in({memory.data(), 8, Access::read}), FaultInOutcome::fault);
}

TEST(FaultIn, TouchesNothingOutsideOfAWindow) {
    const CutMemory memory(1, false);
    EXPECT_EQ(fault_in({memory.data(), 8, Access::read}), FaultInOutcome::fault);
    EXPECT_FALSE(resident(memory.data()));
    EXPECT_EQ(fault_in({nullptr, SIZE_MAX, Access::read}), FaultInOutcome::fault);
}

/// An attempt that finds its memory on the `succeeding` run.
auto attempt_until(unsigned succeeding, unsigned& runs) {
    return [succeeding, &runs]() -> UserAttempt<int> {
        NotedLock::note("try ");
        if (++runs < succeeding)
            return std::unexpected(MissingMemory{&runs, sizeof(runs), Access::read});
        return 42;
    };
}

TEST(WithUserAccess, BringsMemoryInWithNoLockHeldAndStartsOver) {
    NotedLock lock;
    unsigned runs = 0;
    steps.clear();
    const auto bring_in = [](const MissingMemory&) {
        NotedLock::note("bring_in ");
        return FaultInOutcome::present;
    };
    const auto result = with_user_access(lock, attempt_until(2, runs), bring_in);
    EXPECT_EQ(result, 42);
    EXPECT_EQ(steps, "lock try unlock bring_in lock try unlock ");
    steps.clear();
    runs = 0;
    EXPECT_EQ(with_user_access_shared(lock, attempt_until(2, runs), bring_in), 42);
    EXPECT_EQ(steps, "lock_shared try unlock_shared bring_in lock_shared try unlock_shared ");
}

TEST(WithUserAccess, GivesUpOnMemoryThatKeepsVanishing) {
    NotedLock lock;
    unsigned runs = 0;
    unsigned brought_in = 0;
    const auto result =
        with_user_access(lock, attempt_until(1000, runs), [&](const MissingMemory&) {
            ++brought_in;
            return FaultInOutcome::present;
        });
    EXPECT_EQ(result.error(), UserAccessError::gave_up);
    EXPECT_EQ(runs, user_access_attempts_max);
    EXPECT_EQ(brought_in, user_access_attempts_max - 1);
    runs = 0;
    EXPECT_EQ(with_user_access(lock, attempt_until(user_access_attempts_max, runs),
                               [](const MissingMemory&) { return FaultInOutcome::present; }),
              42);
}

TEST(WithUserAccess, StopsAtOnceWhenTheMemoryWillNotCome) {
    NotedLock lock;
    unsigned runs = 0;
    EXPECT_EQ(with_user_access(lock, attempt_until(9, runs),
                               [](const MissingMemory&) { return FaultInOutcome::fault; })
                  .error(),
              UserAccessError::fault);
    EXPECT_EQ(with_user_access(lock, attempt_until(9, runs),
                               [](const MissingMemory&) { return FaultInOutcome::gave_up; })
                  .error(),
              UserAccessError::gave_up);
    EXPECT_EQ(runs, 2U);
}

TEST(WithUserAccess, HoldsNoLockAfterAnExceptionOfTheAttempt) {
    NotedLock lock;
    steps.clear();
    EXPECT_THROW(
        (void)with_user_access(lock, []() -> UserAttempt<void> { throw std::runtime_error("x"); }),
        std::runtime_error);
    EXPECT_EQ(steps, "lock unlock ");
}

// The example of docs/user-access.md.
struct Request {
    uint64_t offset_bytes;
    uint32_t length_bytes;
    uint32_t tag;
};

std::expected<Request, UserAccessError> next_request(NotedLock& lock, const Request* descriptor) {
    return with_user_access(lock, [&]() -> UserAttempt<Request> {
        const auto copy = try_copy_object(descriptor);
        if (!copy)
            return std::unexpected(MissingMemory{descriptor, sizeof(*descriptor), Access::read});
        return *copy;
    });
}

TEST(WithUserAccess, WorksOnTheRealMachine) {
    const CutMemory memory(2);
    NotedLock lock;
    *memory.at<Request>(page) = {.offset_bytes = 512, .length_bytes = 4096, .tag = 7};
    const auto request = next_request(lock, memory.at<Request>(page));
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(request->tag, 7U);
    memory.truncate(1);
    const NotedSleep noted;
    EXPECT_EQ(next_request(lock, memory.at<Request>(page)).error(), UserAccessError::fault);
    EXPECT_EQ(steps, "lock unlock fault_in ");
}

}  // namespace
}  // namespace braidway::sync
