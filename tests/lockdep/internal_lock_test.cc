// SPDX-License-Identifier: Apache-2.0
#include "lockdep/internal_lock.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

namespace braidway::lockdep {
namespace {

TEST(InternalLock, LetsInOneAtATimeAndKeepsErrno) {
    InternalLock lock;
    int count = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            errno = 77;
            for (int turn = 0; turn < 20'000; ++turn) {
                const InternalGuard guard(lock);
                ++count;
            }
            EXPECT_EQ(errno, 77);
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(count, 80'000);
}

}  // namespace
}  // namespace braidway::lockdep
