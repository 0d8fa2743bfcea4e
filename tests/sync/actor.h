// SPDX-License-Identifier: Apache-2.0
// Threads whose sleeps a test sees and ends, so that it puts them into an order without guessing.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "braidway/sync/policy.h"
#include "braidway/sync/rw_queue.h"
#include "support/until.h"

namespace braidway::sync {

/// A thread that waits for locks of WatchedPolicy. The test joins it by leaving the block.
class Actor {
  public:
    template <typename Body>
    explicit Actor(Body body)
        : handler_(catch_signal()), thread_([this, body = std::move(body)] {
              current = this;
              id_ = gettid();
              body();
              done_ = true;
          }) {}
    ~Actor() {
        if (thread_.joinable()) thread_.join();
    }
    Actor(const Actor&) = delete;
    Actor& operator=(const Actor&) = delete;

    /// True when it has gone to sleep `times` times, as it does in the queue of a lock, and sleeps.
    bool sleeps(int times = 1) const {
        const bool called = holds_soon([&] { return sleeps_ >= times || done_; });
        return called && holds_soon([&] { return is_asleep() || done_; }) && !done_;
    }
    bool ends() const {
        return holds_soon([this] { return done_.load(); });
    }
    /// Now its deadlines have passed. Returns when it knows: a signal ends its sleep, for a wake or
    /// a short sleep would hide that one was forgotten.
    void give_up() {
        gives_up_ = true;
        EXPECT_TRUE(holds_soon([this] {
            if (gave_up_ || done_) return true;
            pthread_kill(thread_.native_handle(), SIGUSR1);
            return false;
        }));
    }
    /// Runs on its thread, once, before it wakes the next thread.
    void before_wake(std::function<void()> what) { before_wake_ = std::move(what); }

  private:
    friend struct WatchedPolicy;

    /// The kernel says so: between the call and the sleep a change would be seen without a wake.
    bool is_asleep() const {
        std::ifstream stat("/proc/self/task/" + std::to_string(id_) + "/stat");
        std::string text;
        std::getline(stat, text);
        const size_t name_end = text.rfind(')');
        return name_end != std::string::npos && text.substr(name_end + 1, 3) == " S ";
    }

    static bool catch_signal() {
        struct sigaction action{};
        action.sa_handler = [](int) {};
        return sigaction(SIGUSR1, &action, nullptr) == 0;
    }

    inline static thread_local Actor* current = nullptr;
    std::atomic<pid_t> id_ = 0;
    std::atomic<int> sleeps_ = 0;
    std::atomic<bool> gives_up_ = false;
    std::atomic<bool> gave_up_ = false;
    std::atomic<bool> done_ = false;
    std::function<void()> before_wake_;
    const bool handler_;
    std::thread thread_;
};

/// The real machine, where a deadline passes when Actor::give_up() says so, and nobody spins.
struct WatchedPolicy : SystemPolicy {
    inline static std::atomic<int> wakes = 0;  ///< Calls of futex_wake() so far.

    static unsigned spin_turns() noexcept { return 0; }

    static FutexOutcome futex_wait(const FutexWord& word, uint32_t expected, FutexScope scope,
                                   const Deadline& deadline = Deadline::never()) {
        Actor* const actor = Actor::current;
        if (actor == nullptr) return SystemPolicy::futex_wait(word, expected, scope, deadline);
        ++actor->sleeps_;
        const bool timed = !deadline.is_never();
        while (true) {
            if (timed && actor->gives_up_) {
                actor->gave_up_ = true;
                return FutexOutcome::timed_out;
            }
            const FutexOutcome outcome = SystemPolicy::futex_wait(word, expected, scope);
            if (!timed || outcome != FutexOutcome::interrupted) return outcome;
        }
    }
    static unsigned futex_wake(const FutexWord* word, unsigned count, FutexScope scope) {
        ++wakes;
        Actor* const actor = Actor::current;
        if (actor != nullptr && actor->before_wake_) std::exchange(actor->before_wake_, nullptr)();
        return SystemPolicy::futex_wake(word, count, scope);
    }
};

/// The lock inside the queue is not watched: a thread that sleeps for it is not in the queue.
template <>
struct Unobserved<WatchedPolicy> : SystemPolicy {};

}  // namespace braidway::sync
