// SPDX-License-Identifier: Apache-2.0
// A small pure world for selectors: paths that serve I/Os one by one and answer after a delay.
#pragma once

#include <algorithm>
#include <memory>
#include <queue>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "multipath/selector.h"

namespace braidway::multipath {

/// One path: each I/O takes `service` for itself, one after the other, and then `delay`, all of
/// them together.
struct WorldPath {
    Duration service{};
    Duration delay{};
    Duration service_per_kib{};
    bool silent = false;  ///< Answers nothing any more.
};

/// Keeps `depth` I/Os in flight: each answer is followed by the next request.
class SelectorWorld {
  public:
    SelectorWorld(std::unique_ptr<Selector> selector, std::vector<WorldPath> start_paths,
                  uint64_t seed)
        : paths(std::move(start_paths)),
          selector_(std::move(selector)),
          free_at_(paths.size(), now_),
          counts_(paths.size()),
          random_(seed) {}

    std::vector<WorldPath> paths;       ///< May change between runs.
    std::vector<uint64_t> sizes{4096};  ///< Of the I/Os, in turn.

    /// Starts `count` I/Os, `depth` at a time; those that are out at the end stay out.
    void run(size_t count, size_t depth) {
        std::fill(counts_.begin(), counts_.end(), 0);
        started_at_ = now_;
        for (size_t done = 0; done < count; ++done) {
            while (out_.size() + lost_ >= depth && !out_.empty()) answer();
            if (out_.size() + lost_ >= depth) return;
            start();
        }
    }
    /// Answers all that is out.
    void drain() {
        while (!out_.empty()) answer();
    }
    void wait(Duration length) { now_ = now_ + length; }

    /// Of the last run: the part of I/Os that `path` got, and I/Os per second.
    double share(size_t path) const {
        double all = 0;
        for (const size_t count : counts_) all += static_cast<double>(count);
        return static_cast<double>(counts_[path]) / all;
    }
    double throughput() const {
        double all = 0;
        for (const size_t count : counts_) all += static_cast<double>(count);
        return all * 1e9 / static_cast<double>((now_ - started_at_).count());
    }
    size_t count(size_t path) const { return counts_[path]; }
    Instant now() const { return now_; }
    Selector& selector() { return *selector_; }

  private:
    struct Io {
        Instant answer_at;
        uint64_t number;
        uint32_t path;
        uint64_t bytes;
        Instant started_at;

        friend bool operator>(const Io& one, const Io& other) {
            return one.answer_at != other.answer_at ? one.answer_at > other.answer_at
                                                    : one.number > other.number;
        }
    };

    std::unique_ptr<Selector> selector_;
    Instant now_{1'000'000'000'000};
    Instant started_at_ = now_;
    std::vector<Instant> free_at_;
    std::vector<size_t> counts_;
    std::priority_queue<Io, std::vector<Io>, std::greater<>> out_;
    size_t lost_ = 0;  ///< In flight on silent paths.
    uint64_t number_ = 0;
    Random random_;

    void start() {
        const uint64_t bytes = sizes[number_ % sizes.size()];
        const auto picked = selector_->pick({.length_bytes = bytes}, now_);
        ASSERT_TRUE(picked.has_value());
        selector_->started(*picked, bytes, now_);
        ++counts_[*picked];
        ++number_;
        const WorldPath& path = paths[*picked];
        if (path.silent) {
            ++lost_;
            return;
        }
        // 10 % jitter, evenly spread around the middle.
        const int64_t middle =
            (path.service + path.service_per_kib * static_cast<int64_t>(bytes / 1024)).count();
        const auto permille = 900 + static_cast<int64_t>(random_.below(201));
        const Instant from = std::max(now_, free_at_[*picked]);
        free_at_[*picked] = from + Duration(middle * permille / 1000);
        out_.push({free_at_[*picked] + path.delay, number_, *picked, bytes, now_});
    }

    void answer() {
        const Io io = out_.top();
        out_.pop();
        now_ = std::max(now_, io.answer_at);
        selector_->ended(io.path, io.bytes, io.started_at, now_);
    }
};

}  // namespace braidway::multipath
