// SPDX-License-Identifier: Apache-2.0
#include "export/owned_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace braidway::exports {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(OwnedFd, ClosesOnceWhoeverHasItLast) {
    OwnedFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int fd = first.get();
    {
        const OwnedFd second = std::move(first);
        // What is left behind is what this is about. NOLINTNEXTLINE(bugprone-use-after-move)
        EXPECT_FALSE(first.valid());
        EXPECT_EQ(second.get(), fd);
        first.reset();
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
}

TEST(OwnedFd, AssignmentClosesWhatItHad) {
    OwnedFd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int before = kept.get();
    kept = OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(is_open(before));
    EXPECT_TRUE(is_open(kept.get()));
}

}  // namespace
}  // namespace braidway::exports
