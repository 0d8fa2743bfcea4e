// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/own_descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <utility>
#include <vector>

namespace braidway::lockcheck {
namespace {

using Ranges = std::vector<std::pair<unsigned, unsigned>>;

Ranges ranges_around(unsigned first, unsigned last) {
    Ranges ranges;
    around_own_descriptors(first, last, [&](unsigned from, unsigned to) {
        ranges.emplace_back(from, to);
        return true;
    });
    return ranges;
}

TEST(OwnDescriptors, AreKeptMovedAndPassedAround) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    EXPECT_EQ(ranges_around(3, 9), (Ranges{{3, 9}}));
    EXPECT_EQ(kept_descriptor(OwnDescriptor::text), -1);
    ASSERT_TRUE(keep_descriptor(OwnDescriptor::text, null));
    const int kept = kept_descriptor(OwnDescriptor::text);
    ASSERT_GT(kept, null);
    EXPECT_TRUE(is_own_descriptor(kept));
    EXPECT_FALSE(is_own_descriptor(null));
    EXPECT_FALSE(is_own_descriptor(-1));
    const auto at = static_cast<unsigned>(kept);
    EXPECT_EQ(ranges_around(3, at + 5), (Ranges{{3, at - 1}, {at + 1, at + 5}}));
    EXPECT_EQ(ranges_around(at, at + 5), (Ranges{{at + 1, at + 5}}));
    EXPECT_EQ(ranges_around(at, at), Ranges{});
    EXPECT_EQ(ranges_around(3, at), (Ranges{{3, at - 1}}));
    EXPECT_EQ(ranges_around(3, ~0u), (Ranges{{3, at - 1}, {at + 1, ~0u}}));

    move_own_descriptor(kept);
    const int moved = kept_descriptor(OwnDescriptor::text);
    EXPECT_NE(moved, kept);
    EXPECT_TRUE(is_own_descriptor(moved));
    EXPECT_FALSE(is_own_descriptor(kept));
    close(kept);
    close(moved);
    close(null);
}

TEST(OwnDescriptors, AreGoneWhenAnotherFileHasTheNumber) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ASSERT_TRUE(keep_descriptor(OwnDescriptor::document, null));
    const int kept = kept_descriptor(OwnDescriptor::document);
    const int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
    ASSERT_EQ(dup2(zero, kept), kept);
    EXPECT_EQ(kept_descriptor(OwnDescriptor::document), -1);
    EXPECT_FALSE(is_own_descriptor(kept));
    for (const int fd : {null, kept, zero}) close(fd);
}

TEST(OwnDescriptors, KeepTheRoot) {
    keep_root();
    const int root = kept_descriptor(OwnDescriptor::root);
    EXPECT_GE(root, 0);
    go_to_kept_root();  // It is there.
    close(root);
    EXPECT_EQ(kept_descriptor(OwnDescriptor::root), -1);
}

}  // namespace
}  // namespace braidway::lockcheck
