// SPDX-License-Identifier: Apache-2.0
// One way to the storage: a stack of devices, its deadline and its statistics.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/slot_pool.h"
#include "base/time.h"
#include "block/block_device.h"
#include "loop/timer.h"
#include "memory/buffer_pool.h"

namespace braidway::path {

/// What a path has done since it was made.
struct PathCounters {
    uint64_t reads = 0;  ///< Completed, with or without error; so are the others.
    uint64_t writes = 0;
    uint64_t others = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    std::array<uint64_t, io_statuses> outcomes{};
    uint32_t in_flight = 0;
    uint64_t in_flight_bytes = 0;
    uint32_t abandoned = 0;  ///< Given up, but still with the kernel.
};

/// Told that I/O on a path is not answered in time. The map implements it.
class StallListener {
  public:
    virtual void path_stalled(size_t path_index, Duration waited) = 0;
    /// Of the writes that were given up none is left with the kernel: none can happen any more.
    virtual void path_settled(size_t path_index) = 0;

  protected:
    ~StallListener() = default;
};

/// One path: the top of its devices. Each request travels as a try of its own, so that a try can be
/// given up while the kernel still has it.
///
/// At `io_timeout` a try that can safely be repeated (read, flush, block_status, cache) ends with
/// IoStatus::timeout; memory that the kernel may still write into stays with the try (quarantine)
/// and the request is moved to a fresh buffer. A write, discard or write_zeroes is reported to the
/// StallListener and waits on, because a copy of it sent on another path could be overtaken by the
/// first; after a second io_timeout it ends with IoStatus::timeout and outcome_unknown.
///
/// Shapes:  tries_max requests in flight, abandoned ones included; more wait in line, no longer
/// than
///          io_timeout. Data is in one piece, or in an iovec array that outlives the path.
/// Errors:  those of the devices, and timeout.
/// Threads: one lane. No allocation per request.
class Path final : public block::BlockDevice, private block::CompletionStage {
  public:
    struct Options {
        std::string name;
        std::optional<Duration> io_timeout;
        uint32_t tries_max = limits::volume_requests_default + 64;
    };

    Path(loop::Loop& loop, memory::BufferPool& pool, std::unique_ptr<block::BlockDevice> devices,
         Options options);
    ~Path() override;

    const std::string& name() const { return options_.name; }
    const block::Geometry& geometry() const override { return devices_->geometry(); }
    void begin(block::Request& request) override;

    /// The devices themselves, for checks: they own their requests and have their own deadlines.
    block::BlockDevice& devices() { return *devices_; }
    /// Puts `make(devices so far)` on top, under running I/O: what is on its way below stays there.
    template <typename Make>
    void add_layer(Make make) {
        devices_ = make(std::move(devices_));
    }
    const PathCounters& counters() const { return counters_; }
    void set_stall_listener(StallListener* listener, size_t path_index);
    /// The device below says so: no write that it ended with outcome_unknown can happen any more.
    void device_settled();
    /// Nothing is in flight, not even abandoned tries: the path may be destroyed.
    bool quiet() const { return tries_.in_use() == 0 && waiting_.empty(); }

  private:
    struct Try : ListNode<> {
        block::Request request;
        block::Request* parent = nullptr;  ///< Null once abandoned.
        iovec memory{};
        Instant started;
        bool stalled = false;
    };

    void start(block::Request& parent);
    block::Request& take_waiting();
    void completed(block::Request& request) override;
    void account(const block::Request& request, IoStatus status);
    void check_deadlines(Instant now);
    void give_up(Try& late);
    bool move_to_fresh_buffer(Try& late);
    void arm_deadline();

    loop::Loop& loop_;
    memory::BufferPool& pool_;
    std::unique_ptr<block::BlockDevice> devices_;
    Options options_;
    PathCounters counters_;
    uint32_t abandoned_writes_ = 0;
    SlotPool<Try> tries_;
    IntrusiveList<Try> in_flight_;  ///< By start.
    IntrusiveList<Try> stalled_;    ///< Writes past their first deadline, by start.
    /// For a free try; since when is in a frame of this path.
    IntrusiveList<block::Request> waiting_;
    loop::Timer deadline_;
    StallListener* listener_ = nullptr;
    size_t index_ = 0;
};

}  // namespace braidway::path
