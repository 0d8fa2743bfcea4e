// SPDX-License-Identifier: Apache-2.0
// The event loop on io_uring.
#pragma once

#include <liburing.h>

#include <string>
#include <vector>

#include "loop/lookout.h"
#include "loop/loop.h"

namespace braidway::loop {

/// A Loop on one io_uring. Operations become entries of the submission queue when they are started;
/// one call per turn submits them all and waits.
///
/// The ring is made disabled and enabled by the first turn, because the kernel's single-issuer mode
/// binds it to the thread that does so. Operations for which there is no entry wait in a backlog.
///
/// What a turn sends goes to the kernel before what it wants to receive: the peer is to begin. A
/// small send that is patient is quick: it is tried while it is submitted, its success takes no
/// completion, and so the call that submits it can wait for the answer.
class UringLoop final : public Loop {
  public:
    /// Errors: the kernel refuses io_uring (code = its errno), or is older than 5.11.
    static Result<std::unique_ptr<Loop>> create();
    ~UringLoop() override;

    Backend backend() const override { return Backend::io_uring; }
    std::string_view description() const override { return description_; }

    bool register_memory(std::byte* base, size_t bytes) override;
    File add_file(int fd) override;
    void remove_file(File file) override;

    void cancel(Operation& operation) override;

  protected:
    void start(Operation& operation) override;
    void wait(bool block, Instant deadline) override;
    void wake() override;

  private:
    UringLoop() = default;
    Result<void> set_up();
    int set_up_ring();
    void make_file_table();
    void enable();
    void queue(Operation& operation);
    void queue_list(IntrusiveList<Operation>& list);
    void queue_wake_read();
    io_uring_sqe* take_entry();
    void enter(bool block, Instant deadline);
    bool look(Instant deadline);
    bool something_came() const;
    int enter_and_wait(Instant deadline);
    void end_quick();
    void deliver();
    void completed(Operation& operation, int32_t result);

    io_uring ring_{};
    bool ring_made_ = false;
    bool enabled_ = false;
    bool quick_sends_ = false;  ///< The kernel knows how.
    int wake_fd_ = -1;
    File wake_file_;
    std::vector<int> free_slots_;
    std::byte* registered_ = nullptr;
    size_t registered_bytes_ = 0;
    IntrusiveList<Operation> backlog_;
    IntrusiveList<Operation> receives_;  ///< Of this turn.
    IntrusiveList<Operation> quick_;     ///< Quick sends whose failure is not known of.
    bool quick_left_ = false;            ///< Some of them may have ended.
    Lookout lookout_;
    std::string description_;
};

}  // namespace braidway::loop
