// SPDX-License-Identifier: Apache-2.0
// What the backends have in common: the order of a turn, the ready list, messages, stopping.
#include "loop/loop.h"

#include <sched.h>
#include <sys/uio.h>

#include <algorithm>
#include <climits>

#include "base/clock.h"
#include "base/limits.h"
#include "loop/epoll_loop.h"
#include "loop/helper_thread.h"
#include "loop/uring_loop.h"

namespace braidway::loop {

namespace {

/// Completions may ask for the end of the turn and hooks may complete: so often in one turn.
constexpr int settle_rounds_max = 4;

}  // namespace

Result<std::unique_ptr<Loop>> Loop::create(Backend backend) {
    if (backend == Backend::epoll) return EpollLoop::create("");
    auto made = UringLoop::create();
    if (made || backend == Backend::io_uring) return made;
    return EpollLoop::create(made.error().message);
}

Loop::Loop() = default;

Loop::~Loop() = default;

void Loop::shut_down() {
    CHECK(in_flight_ == 0, "a loop goes after its operations have ended");
    helper_.reset();
}

void Loop::run() {
    do {
        turn();
    } while (!stop_.load(std::memory_order_acquire));
    // stop() may have come after this turn looked at its messages.
    run_messages();
    stop_.store(false, std::memory_order_relaxed);
}

void Loop::turn(Instant deadline) {
    CHECK(!turning_, "a turn cannot be taken inside a turn");
    if (lane_thread_ == std::thread::id()) lane_thread_ = std::this_thread::get_id();
    DEBUG_CHECK(lane_thread_ == std::this_thread::get_id(), "a loop runs on one thread only");
    turning_ = true;
    ++counters_.turns;

    const bool block = ready_.empty() && turn_ends_.empty();
    wait(block, std::min(deadline, timers_.next_deadline()));
    if (timers_.next_deadline() != never) timers_.fire_due(now());
    run_messages();
    settle();

    now_known_ = false;
    turning_ = false;
}

/// Completes what is ready, then runs the hooks; again while they make each other work.
void Loop::settle() {
    unsigned budget = limits::ready_per_turn_max;
    for (int round = 0; round < settle_rounds_max; ++round) {
        budget -= run_ready(budget);
        if (turn_ends_.empty()) return;
        run_turn_ends();
    }
}

unsigned Loop::run_ready(unsigned budget) {
    unsigned count = 0;
    while (count < budget) {
        Operation* operation = ready_.pop_front();
        if (operation == nullptr) break;
        finish(*operation, operation->result);
        ++count;
    }
    return count;
}

/// Runs the hooks there are now; those asked for meanwhile run in the next round.
void Loop::run_turn_ends() {
    for (size_t left = turn_ends_.size(); left > 0; --left) {
        TurnEnd* hook = turn_ends_.pop_front();
        if (hook == nullptr) break;
        hook->run(*hook);
    }
}

void Loop::run_messages() {
    inbox_.take_all([](Message& message) { message.run(message); });
}

void Loop::name_buffers(Operation& operation, const iovec* iov, uint32_t count) {
    DEBUG_CHECK(count > 0, "a transfer has at least one buffer");
    operation.iov = iov;
    operation.iov_count = std::min<uint32_t>(count, IOV_MAX);
}

void Loop::read(Operation& operation, File file, const iovec* iov, uint32_t count,
                uint64_t offset_bytes) {
    begin(operation, Operation::Kind::read, file);
    name_buffers(operation, iov, count);
    operation.offset = offset_bytes;
    start(operation);
}

void Loop::write(Operation& operation, File file, const iovec* iov, uint32_t count,
                 uint64_t offset_bytes, bool durable) {
    begin(operation, Operation::Kind::write, file);
    name_buffers(operation, iov, count);
    operation.offset = offset_bytes;
    operation.flags = durable ? RWF_DSYNC : 0;
    start(operation);
}

void Loop::sync_data(Operation& operation, File file) {
    begin(operation, Operation::Kind::sync_data, file);
    start(operation);
}

void Loop::allocate(Operation& operation, File file, int mode, uint64_t offset_bytes,
                    uint64_t length_bytes) {
    begin(operation, Operation::Kind::allocate, file);
    operation.flags = mode;
    operation.offset = offset_bytes;
    operation.length = length_bytes;
    start(operation);
}

void Loop::receive(Operation& operation, File socket, const iovec* iov, uint32_t count) {
    begin(operation, Operation::Kind::receive, socket);
    name_buffers(operation, iov, count);
    start(operation);
}

void Loop::send(Operation& operation, File socket, const iovec* iov, uint32_t count) {
    begin(operation, Operation::Kind::send, socket);
    name_buffers(operation, iov, count);
    start(operation);
}

void Loop::accept(Operation& operation, File listener) {
    begin(operation, Operation::Kind::accept, listener);
    start(operation);
}

void Loop::poll(Operation& operation, File file, int events) {
    begin(operation, Operation::Kind::poll, file);
    operation.flags = events;
    start(operation);
}

void Loop::complete_soon(Operation& operation, int32_t result) {
    begin(operation, Operation::Kind::ready, File{});
    finish_soon(operation, result);
}

void Loop::hold(Operation& operation) {
    begin(operation, Operation::Kind::held, File{});
}

void Loop::release(Operation& operation, int32_t result) {
    CHECK(operation.kind == Operation::Kind::held, "only what is held is released, and once");
    finish_soon(operation, result);
}

void Loop::finish_soon(Operation& operation, int32_t result) {
    operation.kind = Operation::Kind::ready;
    operation.result = result;
    ready_.push_back(operation);
}

void Loop::begin(Operation& operation, Operation::Kind kind, File file) {
    CHECK(operation.idle(), "an operation in flight cannot be started again");
    DEBUG_CHECK(operation.done != nullptr, "an operation tells somebody when it is done");
    operation.kind = kind;
    operation.cancelled = false;
    operation.waiting = false;
    operation.registered = operation.quick = false;
    operation.file = file;
    ++in_flight_;
    ++counters_.operations;
}

void Loop::at_turn_end(TurnEnd& hook) {
    if (!hook.linked()) turn_ends_.push_back(hook);
}

Instant Loop::now() {
    if (!now_known_) {
        now_ = read_clock();
        cpu_ = read_cpu();
        now_known_ = turning_;
    }
    return now_;
}

uint32_t Loop::cpu() {
    now();
    return cpu_;
}

Instant Loop::read_clock() const {
    return monotonic_now();
}

uint32_t Loop::read_cpu() const {
    return static_cast<uint32_t>(std::max(::sched_getcpu(), 0));
}

void Loop::post(Message& message) {
    inbox_.push(message);
    wake_if_asleep();
}

void Loop::stop() {
    stop_.store(true);
    wake_if_asleep();
}

void Loop::run_blocking(BlockingCall& call) {
    if (helper_ == nullptr) helper_ = std::make_unique<HelperThread>();
    ++in_flight_;
    call.loop = this;
    helper_->run(call);
}

// Falling asleep and waking: the lane writes asleep_, then looks at what others write; they write,
// then look at asleep_. All of it sequentially consistent: at least one side sees the other.

bool Loop::fall_asleep() {
    asleep_.store(true);
    if (inbox_.empty() && !stop_.load()) {
        ++counters_.sleeps;
        return true;
    }
    asleep_.store(false, std::memory_order_relaxed);
    return false;
}

std::optional<Duration> Loop::time_until(Instant deadline) {
    if (deadline == never) return {};
    return std::max(deadline - monotonic_now(), Duration::zero());
}

void Loop::woke_up() {
    if (asleep_.load(std::memory_order_relaxed)) asleep_.store(false, std::memory_order_relaxed);
    now_known_ = false;
}

void Loop::wake_if_asleep() {
    if (asleep_.load() && asleep_.exchange(false)) wake();
}

}  // namespace braidway::loop
