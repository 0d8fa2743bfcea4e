// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/writeback.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/clock.h"
#include "memory/reclaim/cancel.h"
#include "memory/reclaim/real_machine.h"
#include "memory/reclaim/temporary_tree.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

std::vector<std::string> paths_of(std::string_view mountinfo) {
    std::vector<std::string> paths;
    for (const MountPoint& mount : parse_mounts(mountinfo)) paths.push_back(mount.path);
    return paths;
}

TEST(Writeback, FindsFilesystemsThatHaveStorage) {
    const auto mounts = parse_mounts(
        "22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
        "23 28 0:22 / /proc rw - proc proc rw\n"
        "28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "30 28 0:26 / /dev/shm rw - tmpfs tmpfs rw\n"
        "31 28 0:27 / /ram rw - ramfs /dev/none rw\n"
        "32 28 0:28 / /dev rw - devtmpfs /dev/udev rw\n"
        "40 28 0:45 / /nfs rw - nfs4 server:/export rw,vers=4.2\n"
        "41 28 0:46 / /lustre rw - lustre 10.0.0.1@tcp:/fs rw\n"
        "42 28 0:47 / /host rw - virtiofs hostshare rw\n"
        "43 28 0:48 / /pool rw - zfs tank/data rw,xattr\n"
        "44 28 0:49 / /box rw - overlay overlay rw,lowerdir=/l,upperdir=/u\n");
    ASSERT_EQ(mounts.size(), 5u);
    EXPECT_EQ(mounts[0].path, "/");
    EXPECT_EQ(mounts[0].type, "ext4");
    EXPECT_EQ(mounts[0].device, "254:0");
    EXPECT_EQ(mounts[1].path, "/nfs");
    EXPECT_EQ(mounts[2].path, "/lustre");
    EXPECT_EQ(mounts[3].path, "/host");
    EXPECT_EQ(mounts[4].path, "/pool");
}

TEST(Writeback, LeavesReadOnlyFilesystemsOut) {
    EXPECT_THAT(paths_of("1 0 8:1 / /a ro,relatime - ext4 /dev/sda1 rw\n"
                         "2 0 8:2 / /b rw - ext4 /dev/sda2 ro\n"
                         "3 0 8:3 / /c rw - ext4 /dev/sda3 rw,errors=remount-ro\n"
                         "4 0 7:0 / /snap ro - squashfs /dev/loop0 ro\n"),
                ElementsAre("/c"));
}

TEST(Writeback, TakesAFilesystemOnceHoweverOftenItIsMounted) {
    EXPECT_THAT(paths_of("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                         "2 1 8:1 /srv /mnt/bind rw - ext4 /dev/sda1 rw\n"
                         "3 1 8:2 / /home rw - ext4 /dev/sda2 rw\n"),
                ElementsAre("/", "/home"));
    // A bind mount that is read-only hides nothing of the one that is not.
    EXPECT_THAT(paths_of("2 1 8:1 /srv /mnt/bind ro - ext4 /dev/sda1 rw\n"
                         "1 0 8:1 / /data rw - ext4 /dev/sda1 rw\n"),
                ElementsAre("/data"));
}

TEST(Writeback, ReadsEscapedNamesAndOptionalFields) {
    EXPECT_THAT(
        paths_of("1 0 8:1 / /my\\040disk rw - ext4 /dev/sda1 rw\n"
                 "2 0 8:2 / /a\\011b\\134c\\012 rw shared:1 master:2 propagate_from:3 - xfs "
                 "/dev/sdb rw\n"
                 "3 0 8:3 / /odd\\9x\\04 rw - ext4 /dev/sdc rw"),
        ElementsAre("/my disk", "/a\tb\\c\n", "/odd\\9x\\04"));
}

TEST(Writeback, SurvivesHostileTexts) {
    for (const char* text :
         {"", "\n", "-", "- - - - - - - -", "1 2 3 4 5 6 -", "1 2 3 4 5 6 - ext4", "\\", "\\040",
          "1 0 8:1 / /x rw ext4 /dev/sda1 rw", "1 0 8:1 / /x rw - ext4 /dev/sda1",
          "a b c d e f g h i j"})
        EXPECT_THAT(paths_of(text), IsEmpty()) << text;
}

struct WritebackRun : testing::Test {
    TemporaryTree tree{};
    Cancel cancel{};
    RealMachine machine{cancel, tree.root()};
};

TEST_F(WritebackRun, WritesTheFilesystemsOfPaths) {
    const auto written = write_back(machine, {tree.root(), "/tmp"});
    ASSERT_TRUE(written.has_value()) << written.error().message;
    EXPECT_EQ(*written, "2 filesystems written back");
}

TEST_F(WritebackRun, NamesThePathThatIsNotThere) {
    const auto written = write_back(machine, {tree.root(), tree.root() + "/no/such", "/nor/this"});
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().message,
              "writing back " + tree.root() + "/no/such: No such file or directory");
    EXPECT_EQ(written.error().code, EIO);
}

TEST_F(WritebackRun, WritesAllThatAreMounted) {
    tree.put("/proc/self/mountinfo", "1 0 8:1 / " + tree.root() +
                                         " rw - ext4 /dev/sda1 rw\n2 0 0:9 / /x rw - tmpfs t rw\n");
    const auto written = write_back(machine, {});
    ASSERT_TRUE(written.has_value()) << written.error().message;
    EXPECT_EQ(*written, "1 filesystem written back");
    std::filesystem::remove(tree.root() + "/proc/self/mountinfo");
    EXPECT_FALSE(write_back(machine, {}).has_value());
}

TEST_F(WritebackRun, EndsWhenCancelledOrLate) {
    // A name that opens but never comes to an end of its own would take a dead server; here the
    // wait ends before the thread can have begun.
    FakeKernel kernel;
    kernel.cancel_after(0s);
    const auto cancelled = write_back(kernel, {tree.root()});
    if (!cancelled) {
        EXPECT_EQ(cancelled.error().code, EINTR);
    }
    FakeKernel late;
    const auto over = write_back(late, {tree.root()}, late.now());
    if (!over) {
        EXPECT_EQ(over.error().code, ETIMEDOUT);
    }
    EXPECT_TRUE(!cancelled || !over) << "syncfs was faster than two looks at a flag";
}

}  // namespace
}  // namespace braidway::memory
