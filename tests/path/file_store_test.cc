// SPDX-License-Identifier: Apache-2.0
#include "path/file_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "path/temporary_file.h"

namespace braidway::path {
namespace {

TEST(FileStores, OneIdentityIsOneStoreAsLongAsSomebodyHasIt) {
    const TemporaryFile file(4096);
    const int fd = open(file.name().c_str(), O_RDWR | O_CLOEXEC);
    FileStores stores;
    auto first = stores.find_or_lock(fd, {1, 2}, false, "f");
    auto again = stores.find_or_lock(fd, {1, 2}, false, "f");
    ASSERT_TRUE(first && again);
    EXPECT_EQ(*first, *again);
    (*first)->holes.add(0, 4096);
    first->reset();
    again->reset();
    auto fresh = stores.find_or_lock(fd, {1, 2}, false, "f");
    ASSERT_TRUE(fresh.has_value());
    EXPECT_FALSE((*fresh)->holes.covers(0, 1)) << "nothing outlives the last path";
    close(fd);
}

TEST(FileStores, AForeignLockIsRefusedWithItsReason) {
    const TemporaryFile file(4096);
    const int fd = open(file.name().c_str(), O_RDWR | O_CLOEXEC);
    const int foreign = open(file.name().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(foreign, LOCK_SH), 0);
    FileStores stores;
    auto refused = stores.find_or_lock(fd, {1, 2}, false, "disk");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, EWOULDBLOCK);
    EXPECT_EQ(refused.error().message.find("disk: in use by another process"), 0u);
    auto reader = stores.find_or_lock(fd, {1, 2}, true, "disk");
    ASSERT_TRUE(reader.has_value());
    EXPECT_FALSE(stores.find_or_lock(fd, {1, 2}, false, "disk").has_value())
        << "a writer cannot join readers of two processes";
    // The readers' lock is still there.
    EXPECT_EQ(flock(foreign, LOCK_EX | LOCK_NB), -1);
    close(foreign);
    EXPECT_TRUE(stores.find_or_lock(fd, {1, 2}, false, "disk").has_value());
    close(fd);
}

}  // namespace
}  // namespace braidway::path
