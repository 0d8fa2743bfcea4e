// SPDX-License-Identifier: Apache-2.0
#include "daemon/host_identity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace braidway::daemon {
namespace {

TEST(HostIdentity, IsTheMachinesIdAndElseTheHostsName) {
    const std::string file = testing::TempDir() + "/machine-id-" + std::to_string(getpid());
    std::ofstream(file) << "0123456789abcdef0123456789abcdef\n";
    EXPECT_EQ(host_identity(file), "0123456789abcdef0123456789abcdef");
    char name[256] = {};
    ASSERT_EQ(gethostname(name, sizeof name - 1), 0);
    std::ofstream(file) << "uninitialized\n";
    EXPECT_EQ(host_identity(file), name);
    unlink(file.c_str());
    EXPECT_EQ(host_identity(file), name) << "there is no such file in many containers";
}

}  // namespace
}  // namespace braidway::daemon
