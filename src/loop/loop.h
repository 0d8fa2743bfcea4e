// SPDX-License-Identifier: Apache-2.0
// The event loop of one lane: file I/O, sockets, timers, messages from other threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "base/intrusive_list.h"
#include "base/time.h"
#include "loop/operation.h"
#include "loop/timer.h"
#include "sync/mailbox.h"

namespace braidway::loop {

class HelperThread;
class Loop;

/// Which kernel interface a loop is built on.
enum class Backend : uint8_t {
    automatic,  ///< io_uring where the kernel grants it, else epoll.
    io_uring,
    epoll,  ///< epoll for sockets and a pool of worker threads for files.
};

/// Something to do on the lane, sent from any thread or from the lane itself. Owned by the sender
/// until `run` is called, which may delete it.
struct Message : ListNode<> {
    using Run = void (*)(Message& message);
    Run run = nullptr;
};

/// Runs once at the end of the turn it was asked for, after completions, before the loop sleeps.
/// Used to answer a batch of requests with one call.
struct TurnEnd : ListNode<> {
    using Run = void (*)(TurnEnd& hook);
    Run run = nullptr;
    void* owner = nullptr;
};

/// A call that may sleep (open, stat, ioctl, name resolution), run on the lane's helper thread.
/// `work` runs there; then `done` runs on the lane. Owned by the caller until `done`.
struct BlockingCall : Message {
    using Work = void (*)(BlockingCall& call);
    using Done = void (*)(BlockingCall& call);
    Work work = nullptr;
    Done done = nullptr;
    void* owner = nullptr;
    Loop* loop = nullptr;  ///< Set by the loop.
};

/// What a loop did, counted. Read on the lane.
struct LoopCounters {
    uint64_t turns = 0;         ///< Times the loop went round.
    uint64_t sleeps = 0;        ///< Times it waited with nothing to do.
    uint64_t looks = 0;         ///< Times it looked for an answer before it slept.
    uint64_t looks_found = 0;   ///< And it came.
    uint64_t system_calls = 0;  ///< Made by the lane's thread for I/O and waiting.
    uint64_t operations = 0;    ///< Started.
};

/// The event loop of one lane.
///
/// Starting an operation makes no system call of its own under io_uring: a turn's operations go to
/// the kernel together with the wait for the next completion. The file, the buffers and the iovec
/// array named by an operation stay valid until its `done`.
///
/// Errors:  reported to `done` as negative errno values.
/// Threads: all calls on the lane's thread, but for post() and stop(), which any may call. Until
/// the
///          first run() or turn() the loop belongs to whoever made it: it may be made, and given
///          work, on another thread than the one that will run it.
class Loop {
  public:
    /// Makes a loop. Errors: io_uring asked for by name and refused by the kernel; no descriptors.
    static Result<std::unique_ptr<Loop>> create(Backend backend = Backend::automatic);

    /// No operation or blocking call may be in flight: cancel them and turn() until in_flight() is
    /// 0.
    virtual ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    virtual Backend backend() const = 0;
    /// "io_uring (single issuer, deferred task work)", "epoll with 8 workers": for people.
    virtual std::string_view description() const = 0;

    // --- descriptors ---
    /// Makes `fd` known. The caller keeps owning it; sockets must be non-blocking.
    virtual File add_file(int fd) = 0;
    /// Forgets it; no operation on it may be in flight. The caller closes the fd, after this. When
    /// the lane's thread has ended another may call it; the file itself may then stay open until
    /// the loop goes.
    virtual void remove_file(File file) = 0;

    // --- memory ---
    /// Makes a range of memory known to the kernel, which spares it the look-up of pages in each
    /// read and write of files there. Once, before the first turn; the range outlives the loop.
    /// False, and nothing is lost, where there is no such thing or the kernel refuses (memlock).
    virtual bool register_memory(std::byte* /*base*/, size_t /*bytes*/) { return false; }

    // --- files; `result` = bytes, may be short ---
    void read(Operation& operation, File file, const iovec* iov, uint32_t count,
              uint64_t offset_bytes);
    /// `durable` = as with RWF_DSYNC: done means on stable storage.
    void write(Operation& operation, File file, const iovec* iov, uint32_t count,
               uint64_t offset_bytes, bool durable);
    void sync_data(Operation& operation, File file);
    /// As fallocate(2) with `mode`.
    void allocate(Operation& operation, File file, int mode, uint64_t offset_bytes,
                  uint64_t length_bytes);

    // --- sockets ---
    /// Receives what is there, at least one byte; 0 = the peer has closed its side.
    void receive(Operation& operation, File socket, const iovec* iov, uint32_t count);
    /// Sends; waits for room. May end short, with the count sent.
    void send(Operation& operation, File socket, const iovec* iov, uint32_t count);
    /// Accepts one connection, non-blocking and close-on-exec; `result` = its descriptor.
    void accept(Operation& operation, File listener);
    /// Waits for one of `events` (POLLIN, POLLRDHUP, ...), once; `result` = those that came.
    void poll(Operation& operation, File file, int events);

    /// Asks that `operation` end soon: its `done` comes once, with -ECANCELED or, if it was
    /// quicker, its own result. File I/O that the kernel has begun runs to its end.
    virtual void cancel(Operation& operation) = 0;

    // --- without the kernel ---
    /// Puts `operation` on the ready list: `done(operation, result)` runs in this or the next turn.
    void complete_soon(Operation& operation, int32_t result);
    /// Takes `operation` as under way for a layer on top of the loop, which ends it with release():
    /// a stream that needs several operations of the kernel for one of its own.
    void hold(Operation& operation);
    /// Ends an operation that is held: `done(operation, result)` runs in this or the next turn.
    void release(Operation& operation, int32_t result);
    /// Runs `hook` at the end of this turn; asking twice in a turn is asking once.
    void at_turn_end(TurnEnd& hook);
    /// The next thing to happen is probably the one answer that somebody waits for. The next wait,
    /// if it would sleep, looks for limits::look_length whether something comes, unless that has
    /// often been in vain. Only under io_uring, where looking is no system call.
    void look_first() { look_first_ = true; }

    // --- time ---
    /// The time at the beginning of this turn (read once, when first asked for).
    Instant now();
    /// The CPU that the lane ran on when now() was read for this turn.
    uint32_t cpu();
    void arm(Timer& timer, Instant deadline) { timers_.arm(timer, deadline); }
    void arm_after(Timer& timer, Duration delay) { timers_.arm(timer, now() + delay); }
    void disarm(Timer& timer) { timers_.disarm(timer); }

    // --- other threads ---
    /// Has `message.run` called on the lane; messages of one sender in the order they were sent.
    /// Wakes the lane only when it sleeps. Threads: any.
    void post(Message& message);
    /// Runs `call.work` on the helper thread, then `call.done` on the lane. Calls run one after the
    /// other; the caller guards its deadline with a timer of its own.
    void run_blocking(BlockingCall& call);

    // --- life ---
    /// Runs until stop(). The thread that calls it first is the lane's thread.
    void run();
    /// One turn: runs what is ready, starts what was asked for, waits until something happens or
    /// `deadline`; for tests and for draining at shutdown.
    void turn(Instant deadline = never);
    /// Makes run() return at the end of its turn, after the messages that were posted before.
    /// Operations in flight stay in flight. Threads: any.
    void stop();
    /// Operations and blocking calls whose `done` is still to come.
    uint32_t in_flight() const { return in_flight_; }

    const LoopCounters& counters() const { return counters_; }

  protected:
    Loop();

    /// What a backend does first in its destructor, while it can still be woken.
    void shut_down();

    /// What a backend does with an operation that has been filled in: starts it, or queues it.
    virtual void start(Operation& operation) = 0;
    /// What a backend does in a turn: hands to the kernel what was asked for, waits for something
    /// to happen if `block` (until `deadline`; signals do not count), calls woke_up(), delivers.
    virtual void wait(bool block, Instant deadline) = 0;
    /// Makes a wait() that blocks return. Threads: any.
    virtual void wake() = 0;
    /// The time that now() is; a simulation has a clock of its own.
    virtual Instant read_clock() const;
    /// The CPU that cpu() is.
    virtual uint32_t read_cpu() const;

    /// Says that the lane is about to sleep, so that others call wake(). False when something has
    /// come meanwhile and it must not.
    bool fall_asleep();
    /// How long a wait until `deadline` may take from now; nothing = for ever.
    static std::optional<Duration> time_until(Instant deadline);
    /// After the wait, before anything is delivered.
    void woke_up();
    /// Calls wake() if the lane sleeps or is about to. Threads: any.
    void wake_if_asleep();

    /// Ends `operation`, from the loop: calls its `done`.
    void finish(Operation& operation, int32_t result) {
        operation.kind = Operation::Kind::idle;
        --in_flight_;
        operation.done(operation, result);
    }
    /// Ends `operation` by way of the ready list, from anywhere on the lane.
    void finish_soon(Operation& operation, int32_t result);

    TimerHeap timers_;
    LoopCounters counters_;
    bool look_first_ = false;  ///< Asked for, for one wait.

  private:
    friend class HelperThread;
    void begin(Operation& operation, Operation::Kind kind, File file);
    static void name_buffers(Operation& operation, const iovec* iov, uint32_t count);
    void settle();
    unsigned run_ready(unsigned budget);
    void run_turn_ends();
    void run_messages();

    IntrusiveList<Operation> ready_;
    IntrusiveList<TurnEnd> turn_ends_;
    Instant now_;
    uint32_t cpu_ = 0;
    bool now_known_ = false;
    bool turning_ = false;
    uint32_t in_flight_ = 0;
    std::thread::id lane_thread_;
    std::unique_ptr<HelperThread> helper_;
    // Shared with other threads.
    sync::Mailbox<Message> inbox_;
    std::atomic<bool> asleep_ = false;
    std::atomic<bool> stop_ = false;
};

}  // namespace braidway::loop
