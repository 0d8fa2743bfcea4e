// SPDX-License-Identifier: Apache-2.0
// What tests of whole runs share: a scripted kernel, a request, and means and guards that tests
// script.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/node_reclaim.h"
#include "memory/reclaim/node_run.h"

namespace braidway::memory {

inline constexpr uint64_t mib_bytes = 1 << 20;
inline const std::string reclaim_file0 = "/sys/devices/system/node/node0/reclaim";

/// A mechanism that a test makes up.
class ScriptedMechanism final : public Mechanism {
  public:
    struct Script {
        std::string name = "scripted";
        KindSet kinds{};
        Reach reach = Reach::node;
        Result<void> usable{};
        bool takes_mapped = false;
        uint64_t chunk = 64 * mib_bytes;
        std::function<Answer(const Ask&)> reclaim{};
    };
    explicit ScriptedMechanism(Script script) : script_(std::move(script)) {}
    std::string_view name() const override { return script_.name; }
    KindSet kinds() const override { return script_.kinds; }
    Reach reach() const override { return script_.reach; }
    Result<void> probe() const override { return script_.usable; }
    uint64_t chunk_bytes_max(Kind) const override { return script_.chunk; }
    bool takes_mapped() const override { return script_.takes_mapped; }
    Answer reclaim(const Ask& ask) override { return script_.reclaim(ask); }

  private:
    Script script_;
};

/// Locks the mapped page cache of a scripted node, as mlock() does.
class ScriptedGuard final : public PageGuard {
  public:
    ScriptedGuard(FakeKernel& kernel, uint32_t node) : kernel_(kernel), node_(node) {}
    Result<void> hold_mapped(GuardScope scope) override {
        scopes.push_back(scope);
        if (error != 0) return fail("nothing could be locked", error);
        for (fake::Pages& run : kernel_.node(node_).lru)
            if (run.what == fake::What::file && run.mapped && !run.mlocked) {
                run.mlocked = true;
                held_ += run.pages;
            }
        return {};
    }
    void release_mapped() override {
        ++releases;
        if (held_ == 0) return;
        for (fake::Pages& run : kernel_.node(node_).lru)
            if (run.mapped) run.mlocked = false;
        held_ = 0;
    }
    uint64_t bytes() const override { return held_ * fake::page_size; }
    std::string missed() const override { return {}; }

    std::vector<GuardScope> scopes{};
    unsigned releases = 0;
    int error = 0;

  private:
    FakeKernel& kernel_;
    uint32_t node_;
    uint64_t held_ = 0;
};

/// One node of 1 GiB, node reclaim, and a request that each test fills in.
class RunTest : public testing::Test {
  protected:
    FakeKernel kernel{};
    Request request{.kinds = {Kind::page_cache}, .budget = std::chrono::minutes(5)};
    std::vector<ScriptedMechanism::Script> means{};  ///< After node reclaim.
    bool node_reclaim = true;
    std::function<void(NodeTools&)> more_tools{};
    std::vector<std::string> waited{};
    std::vector<std::pair<uint64_t, uint64_t>> progress{};

    /// Clean, unmapped page cache that was read a while ago.
    void cache(uint64_t mib, uint64_t folio = 1) {
        kernel.fill(0, {.pages = mib * fake::mib, .folio = folio});
    }
    void swap(uint64_t mib, fake::SwapKind kind = fake::SwapKind::file) {
        kernel.world().swap = {.kind = kind, .total = mib * fake::mib};
    }
    NodeReport run(uint64_t mib) {
        request.bytes = mib * mib_bytes;
        return run_as_it_is();
    }
    NodeReport run_as_it_is() {
        NodeTools tools{.machine = kernel};
        if (node_reclaim) tools.mechanisms.push_back(std::make_unique<NodeReclaim>(kernel, 0));
        for (const ScriptedMechanism::Script& each : means)
            tools.mechanisms.push_back(std::make_unique<ScriptedMechanism>(each));
        tools.progressed = [this](uint64_t freed, uint64_t goal) {
            progress.emplace_back(freed, goal);
        };
        tools.waiting = [this](std::string_view why) { waited.emplace_back(why); };
        if (more_tools) more_tools(tools);
        return NodeRun(std::move(tools), 0, request).run();
    }
    /// Pages of a sort that are on the node now. MiB, rounded.
    uint64_t left(const std::function<bool(const fake::Pages&)>& sort) {
        uint64_t pages = 0;
        for (const fake::Pages& run : kernel.node(0).lru)
            if (sort(run)) pages += run.pages;
        return (pages + fake::mib / 2) / fake::mib;
    }
    uint64_t file_left() {
        return left([](const fake::Pages& run) { return run.what == fake::What::file; });
    }
    std::vector<std::string> asked() const { return kernel.writes_to(reclaim_file0); }
    unsigned asked_for(std::string_view swappiness) const {
        return static_cast<unsigned>(std::ranges::count_if(
            asked(), [&](const std::string& text) { return text.ends_with(swappiness); }));
    }
    /// Frees the node's own slab, as a shrinker would.
    ScriptedMechanism::Script slab_means() {
        return {.name = "shrinkers",
                .kinds = KindSet().add(Kind::slab),
                .reclaim = [this](const Ask& ask) -> Answer {
                    uint64_t& slab = kernel.node(0).slab_reclaimable;
                    slab -= std::min(slab, ask.bytes / fake::page_size);
                    return {.error = slab == 0 ? EAGAIN : 0, .exhausted = slab == 0};
                }};
    }
};

/// The scripted kernel takes up to a batch more than it is told, as the real one does.
inline constexpr uint64_t batch_bytes = 256 << 10;

/// `bytes` are that many MiB, give or take a batch or what is said.
inline void expect_about(uint64_t bytes, uint64_t mib, uint64_t within_bytes = batch_bytes) {
    EXPECT_GE(bytes + within_bytes, mib * mib_bytes);
    EXPECT_LE(bytes, mib * mib_bytes + within_bytes);
}

inline void expect_freed(const NodeReport& report, uint64_t mib,
                         uint64_t within_bytes = batch_bytes) {
    SCOPED_TRACE(report.reason);
    expect_about(report.freed.total(), mib, within_bytes);
}

}  // namespace braidway::memory
