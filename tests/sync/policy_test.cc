// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/policy.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>

namespace braidway::sync {
namespace {

/// Binds the calling thread to the first processor it may use, as long as it lives.
class BoundToOneProcessor {
  public:
    BoundToOneProcessor() {
        CPU_ZERO(&before_);
        bound_ = sched_getaffinity(0, sizeof(before_), &before_) == 0 && bind();
    }
    ~BoundToOneProcessor() { sched_setaffinity(0, sizeof(before_), &before_); }
    BoundToOneProcessor(const BoundToOneProcessor&) = delete;
    BoundToOneProcessor& operator=(const BoundToOneProcessor&) = delete;

    bool bound() const { return bound_; }
    int processors_before() const { return CPU_COUNT(&before_); }

  private:
    bool bind() {
        cpu_set_t one;
        CPU_ZERO(&one);
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (!CPU_ISSET(cpu, &before_)) continue;
            CPU_SET(cpu, &one);
            return sched_setaffinity(0, sizeof(one), &one) == 0;
        }
        return false;
    }

    cpu_set_t before_;
    bool bound_ = false;
};

TEST(SystemPolicyDeathTest, DoesNotSpinInAProgramStartedOnOneProcessor) {
    // "threadsafe" starts the program anew, and with our processors.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const BoundToOneProcessor here;
    if (!here.bound()) GTEST_SKIP() << "sched_setaffinity() is not allowed here";
    EXPECT_EXIT(std::_Exit(SystemPolicy::spin_turns() == 0 ? 0 : 1), testing::ExitedWithCode(0),
                "");
}

TEST(SystemPolicyDeathTest, SpinsThoughTheFirstThreadThatAsksIsBoundToOneProcessor) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto asked_when_bound = [] {
        const BoundToOneProcessor here;
        const bool right = here.processors_before() == 1 || SystemPolicy::spin_turns() > 0;
        std::_Exit(here.bound() && right ? 0 : 1);
    };
    EXPECT_EXIT(asked_when_bound(), testing::ExitedWithCode(0), "");
}

TEST(SystemPolicyDeathTest, MisuseOfALockEndsTheProcessWithALine) {
    GTEST_FLAG_SET(death_test_style, "fast");
    EXPECT_DEATH(lock_misused("unlock() of a lamp", nullptr), "braidway: unlock.. of a lamp .at ");
}

TEST(SystemPolicy, HintsAndWaitsReturn) {
    SystemPolicy::spin_hint();
    SystemPolicy::spin_wait();
    SystemPolicy::observe(LockEvent::wanted, LockMode::shared, nullptr);
}

}  // namespace
}  // namespace braidway::sync
