// SPDX-License-Identifier: Apache-2.0
// A scripted kernel in the place of the machine: tests say what lies where and what goes wrong,
// and everything that reclaim reads, writes and waits for happens in memory and in virtual time.
//
//     FakeKernel kernel(2);                                  // two nodes of 1 GiB
//     kernel.fill(1, {.pages = 300 * fake::mib, .folio = 16});
//     kernel.world().swap = {.kind = fake::SwapKind::zram, .total = 512 * fake::mib};
//     kernel.at(3s, [](fake::World& world) { world.nodes[1].busy_until = {}; });
//     kernel.fail("/sys/devices/system/node/node1/reclaim", EINTR, 1);
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "memory/reclaim/fake_world.h"
#include "memory/reclaim/machine.h"

namespace braidway::memory {

/// One write that reached the kernel, or was refused.
struct FakeWrite {
    Instant at{};
    std::string path{};
    std::string text{};
    int error = 0;
};

/// Files, answers and time of a kernel that does what the World says.
///
/// Its files behave like those of 6.18 (node reclaim), 6.12 (MGLRU) and 6.1; what a test can turn
/// is in fake::World. Time stands still but in pause() and while the kernel works.
/// Threads: the Machine's functions any; the rest is for one thread while no other is inside.
class FakeKernel : public Machine {
  public:
    explicit FakeKernel(unsigned nodes = 1);

    fake::World& world() { return *world_; }
    fake::Node& node(uint32_t number) { return world_->nodes[number]; }
    /// Adds pages at the young end of the node's lists.
    void fill(uint32_t node, fake::Pages pages) { fake::fill(*world_, node, pages); }
    /// A cgroup below the root; returns its id, for Pages::cgroup.
    uint32_t add_cgroup(std::string path, std::string mems = "", uint64_t protection = 0);
    /// Time passes before the test begins: what was filled is old and the counts are exact.
    void settle();

    /// A file of a fixed text; writing changes it. Stands before all others of its name.
    void set_file(const std::string& path, std::string text);
    /// Every use of the path (or the next `times`) fails with `error`; 0 takes that back.
    void fail(const std::string& path, int error, unsigned times = UINT32_MAX);
    /// Only writes of the path fail.
    void fail_writes(const std::string& path, int error, unsigned times = UINT32_MAX);
    /// Happens once that much time passed from now on; while the kernel works, it happens after.
    void at(Duration later, std::function<void(fake::World&)> what);
    /// cancelled() from that time on; a pause ends there.
    void cancel_after(Duration later);
    /// Called after each write that reached a file, with what it was.
    void on_write(std::function<void(fake::World&, const FakeWrite&)> hook);

    /// All writes in their order.
    std::vector<FakeWrite> writes() const;
    /// Texts that were written to this path.
    std::vector<std::string> writes_to(const std::string& path) const;
    /// How often a path was read.
    unsigned reads_of(const std::string& path) const;
    /// Time that runs spent in pause().
    Duration paused() const { return paused_; }

    Result<std::string> read(const std::string& path) const override;
    Result<void> write(const std::string& path, std::string_view text) override;
    Result<std::vector<std::string>> list(const std::string& path) const override;
    Result<void> writable(const std::string& path) const override;
    uint64_t page_bytes() const override { return fake::page_size; }
    unsigned cpus() const override { return world_->cpus; }
    Instant now() const override;
    bool pause(Duration length) override;
    bool cancelled() const override;

  private:
    /// One file: how it is read and written. Without `write` it is read-only, and so on.
    struct File {
        std::function<std::string()> read{};
        std::function<int(std::string_view)> write{};
    };
    struct Fault {
        int error = 0;
        unsigned times = 0;
    };
    struct Event {
        Instant at{};
        std::function<void(fake::World&)> what{};
    };

    std::unique_ptr<fake::World> world_;
    std::map<std::string, std::string> texts_;
    mutable std::map<std::string, Fault> faults_;
    std::map<std::string, Fault> write_faults_;
    mutable std::map<std::string, unsigned> reads_;
    std::vector<Event> events_;
    std::vector<FakeWrite> writes_;
    std::function<void(fake::World&, const FakeWrite&)> hook_;
    Instant cancel_at_ = never;
    Duration paused_{};
    mutable std::mutex mutex_;

    std::map<std::string, File> files() const;
    void add_node_files(std::map<std::string, File>& files, uint32_t number) const;
    void add_machine_files(std::map<std::string, File>& files) const;
    void add_knobs(std::map<std::string, File>& files) const;
    void add_cgroup_files(std::map<std::string, File>& files) const;
    void add_debug_files(std::map<std::string, File>& files) const;
    static std::optional<int> fault(std::map<std::string, Fault>& faults, const std::string& path);
    int may_write(const std::map<std::string, File>& files, const std::string& path) const;
    void run_events();
};

}  // namespace braidway::memory
