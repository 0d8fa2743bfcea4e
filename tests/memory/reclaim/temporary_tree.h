// SPDX-License-Identifier: Apache-2.0
// A directory in place of a machine's root, gone at the end of the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::memory {

class TemporaryTree {
  public:
    TemporaryTree() {
        std::string folder = testing::TempDir() + "braidway-memory-XXXXXX";
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        root_ = folder;
        std::filesystem::create_directory(root_ + "/run");
    }
    ~TemporaryTree() { std::filesystem::remove_all(root_); }
    TemporaryTree(const TemporaryTree&) = delete;
    TemporaryTree& operator=(const TemporaryTree&) = delete;

    const std::string& root() const { return root_; }
    void put(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path, std::ios::trunc) << text;
    }
    std::string get(const std::string& path) const {
        std::ifstream file(root_ + path);
        return {std::istreambuf_iterator<char>(file), {}};
    }

  private:
    std::string root_;
};

/// A scripted kernel whose locks are in a directory of the test's own, so that tests do not meet
/// each other or runs of this machine there.
class RootedKernel : public FakeKernel {
  public:
    RootedKernel(unsigned nodes, std::string root) : FakeKernel(nodes), root_(std::move(root)) {}
    std::string root() const override { return root_; }

  private:
    std::string root_;
};

}  // namespace braidway::memory
