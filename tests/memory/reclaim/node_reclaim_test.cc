// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_reclaim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/limits.h"
#include "memory/reclaim/fake_kernel.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;

const std::string file1 = "/sys/devices/system/node/node1/reclaim";

struct NodeReclaimTest : testing::Test {
    FakeKernel kernel{2};
    NodeReclaim reclaim{kernel, 1};
};

TEST_F(NodeReclaimTest, WritesTheKernelsGrammar) {
    kernel.fill(1, {.pages = 300 * fake::mib});
    kernel.settle();
    EXPECT_EQ(reclaim.reclaim({.node = 1, .kind = Kind::page_cache, .bytes = 1 << 20}).error, 0);
    EXPECT_EQ(reclaim.reclaim({.node = 1, .kind = Kind::mapped_page_cache, .bytes = 131073}).error,
              0);
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 64 * fake::mib};
    kernel.fill(1, {.what = fake::What::anonymous, .pages = 10 * fake::mib});
    EXPECT_EQ(reclaim.reclaim({.node = 1, .kind = Kind::anonymous, .bytes = 1 << 20}).error, 0);
    EXPECT_THAT(kernel.writes_to(file1), ElementsAre("1048576 swappiness=0", "131073 swappiness=0",
                                                     "1048576 swappiness=max"));
    EXPECT_EQ(kernel.writes().size(), 3u) << "no other node is touched";
}

TEST_F(NodeReclaimTest, NeverAsksForLessThanABatch) {
    for (const uint64_t bytes : {1u, 4095u, 4096u, 131071u, 131072u})
        (void)reclaim.reclaim({.node = 1, .kind = Kind::page_cache, .bytes = bytes});
    for (const std::string& text : kernel.writes_to(file1)) EXPECT_EQ(text, "131072 swappiness=0");
    EXPECT_EQ(kernel.writes_to(file1).size(), 5u);
}

TEST_F(NodeReclaimTest, HandsTheErrnoOn) {
    for (const int error : {EAGAIN, EINTR, EACCES, ENOENT, EIO}) {
        kernel.fail(file1, error);
        EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 1}).error, error);
    }
}

TEST_F(NodeReclaimTest, SaysWhatIsMissing) {
    EXPECT_TRUE(reclaim.probe().has_value());
    kernel.node(1).reclaim_file = false;
    EXPECT_EQ(reclaim.probe().error().message, file1 + " is not there: it came with Linux 6.17");
    EXPECT_EQ(reclaim.probe().error().code, ENOENT);
    kernel.node(1).reclaim_file = true;
    kernel.world().privileged = false;
    EXPECT_EQ(reclaim.probe().error().message, "writing " + file1 + " needs root");
    EXPECT_EQ(reclaim.probe().error().code, EACCES);
    kernel.fail(file1, EPERM);
    EXPECT_EQ(reclaim.probe().error().code, EACCES) << "one code for a privilege";
    kernel.fail(file1, EROFS);
    EXPECT_EQ(reclaim.probe().error().code, EROFS);
    EXPECT_TRUE(kernel.writes().empty()) << "probing writes nothing";
}

TEST_F(NodeReclaimTest, TakesCacheAndAnonymousMemoryInChunks) {
    EXPECT_EQ(format_kinds(reclaim.kinds()), "page-cache,mapped-page-cache,anonymous");
    EXPECT_EQ(reclaim.reach(), Reach::node);
    EXPECT_TRUE(reclaim.takes_mapped());
    EXPECT_EQ(reclaim.chunk_bytes_max(Kind::page_cache), limits::reclaim_file_chunk);
    EXPECT_EQ(reclaim.chunk_bytes_max(Kind::anonymous), limits::reclaim_anon_chunk);
}

}  // namespace
}  // namespace braidway::memory
