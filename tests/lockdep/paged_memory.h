// SPDX-License-Identifier: Apache-2.0
// Surroundings for tests: memory that is given back, stacks that the test chooses, findings kept.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "lockdep/finding.h"
#include "lockdep/surroundings.h"

namespace braidway::lockdep {

/// Gives pages up to `bytes_max`, answers stacks with `stack`, and keeps copies of what was found.
class TestSurroundings final : public Surroundings {
  public:
    TestSurroundings() = default;
    TestSurroundings(const TestSurroundings&) = delete;
    TestSurroundings& operator=(const TestSurroundings&) = delete;
    ~TestSurroundings() {
        for (void* piece : pieces_) std::free(piece);
    }

    void* pages(size_t bytes) override {
        const std::lock_guard lock(mutex_);
        if (given_bytes + bytes > bytes_max) return nullptr;
        void* const piece = std::aligned_alloc(4096, bytes);
        std::memset(piece, 0, bytes);
        pieces_.push_back(piece);
        given_bytes += bytes;
        return piece;
    }

    size_t capture_stack(std::span<uintptr_t> frames) override {
        const size_t count = std::min(frames.size(), stack.size());
        std::copy_n(stack.begin(), count, frames.begin());
        return count;
    }

    void found(const Finding& finding) override {
        const std::lock_guard lock(mutex_);
        (finding.note ? notes : findings).push_back(finding);
    }

    size_t bytes_max = SIZE_MAX;
    size_t given_bytes = 0;
    std::vector<uintptr_t> stack = {0x1000, 0x2000};
    std::vector<Finding> findings;
    std::vector<Finding> notes;

  private:
    std::mutex mutex_;
    std::vector<void*> pieces_;
};

}  // namespace braidway::lockdep
