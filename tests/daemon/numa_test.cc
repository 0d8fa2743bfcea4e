// SPDX-License-Identifier: Apache-2.0
#include "daemon/numa.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace braidway::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class NumaTest : public testing::Test {
  protected:
    void SetUp() override { std::filesystem::create_directories(folder_); }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    void write(const std::string& name, const std::string& text) {
        const std::filesystem::path file = folder_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text << '\n';
    }

    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / fmt::format("braidway-numa-{}", getpid());
};

TEST_F(NumaTest, TheNodeOfEachCpuIsReadFromTheMasksOfTheNodes) {
    write("node0/cpumap", "00000005");
    write("node10/cpumap", "00000001,0000000a");
    write("online", "0,10");
    write("nodes/cpumap", "ff");
    const std::vector<uint32_t> nodes = node_of_cpu(folder_);
    ASSERT_EQ(nodes.size(), 33u);
    EXPECT_THAT(std::vector(nodes.begin(), nodes.begin() + 4), ElementsAre(0, 10, 0, 10));
    EXPECT_EQ(nodes[32], 10u);
}

TEST_F(NumaTest, WhatCannotBeReadIsNode0) {
    write("node1/cpumap", "nonsense");
    write("node2/cpulist", "0-3");
    EXPECT_THAT(node_of_cpu(folder_), IsEmpty());
    EXPECT_THAT(node_of_cpu(folder_ / "missing"), IsEmpty());
}

}  // namespace
}  // namespace braidway::daemon
