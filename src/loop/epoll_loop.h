// SPDX-License-Identifier: Apache-2.0
// The event loop on epoll and worker threads, for where io_uring is forbidden.
#pragma once

#include <sys/epoll.h>

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "loop/worker_pool.h"

namespace braidway::loop {

/// A Loop on one epoll instance, edge-triggered. An operation on a socket is tried at once where
/// it may succeed, else when the kernel says so; file I/O is given to the workers at the end of the
/// turn in one batch.
///
/// What the loop knows of a socket saves tries: one that gave less than was asked for is empty
/// until the next edge, unless the peer has hung up, for which there is no further edge.
class EpollLoop final : public Loop {
  public:
    /// `reason` says why it is not io_uring, for description(); may be empty.
    /// Errors: no descriptors.
    static Result<std::unique_ptr<Loop>> create(const std::string& reason);
    ~EpollLoop() override;

    Backend backend() const override { return Backend::epoll; }
    std::string_view description() const override { return description_; }

    File add_file(int fd) override;
    void remove_file(File file) override;

    void cancel(Operation& operation) override;

  protected:
    void start(Operation& operation) override;
    void wait(bool block, Instant deadline) override;
    void wake() override;

  private:
    /// What is known of one descriptor. Its index is File::slot.
    struct Watch {
        int fd = -1;
        uint32_t events = 0;   ///< What epoll watches for; 0 = epoll does not know it.
        bool readable = true;  ///< A try may give something; false = only after an edge.
        bool writable = true;
        bool hung_up = false;  ///< The peer has: no edge announces what remains to be read.
        IntrusiveList<Operation> waiting;
    };
    /// What a try gives: nothing when the operation has to wait.
    using Outcome = std::optional<int32_t>;

    EpollLoop();
    Result<void> set_up();
    Watch& watch_of(File file);
    void start_file(Operation& operation);
    void start_socket(Operation& operation);
    Outcome attempt(Watch& watch, Operation& operation);
    Outcome attempt_receive(Watch& watch, Operation& operation);
    Outcome attempt_send(Watch& watch, Operation& operation);
    Outcome attempt_accept(Watch& watch);
    Outcome attempt_poll(Watch& watch, const Operation& operation);
    int watch_for(Watch& watch, File file, uint32_t events);
    void watch_room_no_longer(Watch& watch, uint32_t slot);
    int wait_for_events(std::span<epoll_event> events, bool block, Instant deadline);
    int wait_once(std::span<epoll_event> events, std::optional<Duration> timeout);
    void happened(uint32_t slot, uint32_t events);

    int epoll_fd_ = -1;
    int wake_fd_ = -1;
    bool precise_ = true;  ///< epoll_pwait2() is there: timeouts in nanoseconds.
    std::string description_;
    std::deque<Watch> watches_;
    std::vector<int> free_slots_;
    IntrusiveList<Operation> for_workers_;
    // Shared with the workers.
    sync::Mailbox<Operation> finished_;
    WorkerPool workers_;
};

}  // namespace braidway::loop
