// SPDX-License-Identifier: Apache-2.0
// Looks at the paths of one map, whether there is I/O or not.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "loop/loop.h"
#include "multipath/verdict_sink.h"
#include "path/path.h"

namespace braidway::monitor {

/// What the last check of a path said, and what is going on.
enum class CheckState : uint8_t {
    unchecked,  ///< No check has ended yet.
    ready,      ///< The last check was good. Left by a check that fails or times out.
    ghost,      ///< The last check was answered, by a port that serves no I/O until its group is
                ///< activated. Counts as good: the hardware handler keeps I/O off it till then.
    faulty,     ///< The last check got an error. Left by a good check.
    timeout,    ///< The check has had no answer within its deadline and may still be out. Left
                ///< when the answer comes and the next check ends.
};
std::string_view check_state_name(CheckState state);

/// How often a path is checked, and how long a check may take.
struct CheckConfig {
    bool enabled = true;
    Duration polling_interval = limits::polling_interval_default;
    Duration max_polling_interval = limits::max_polling_interval_default;
    Duration timeout = limits::checker_timeout_default;

    friend bool operator==(const CheckConfig&, const CheckConfig&) = default;
};

/// A checker as it is shown to people.
struct CheckStatus {
    CheckState state = CheckState::unchecked;
    bool under_way = false;
    std::string
        message;  ///< "read of the first block: 0.2 ms", "read of the first block: transport".
    std::optional<Instant> ended_at;
    Instant next_at = never;
};

/// What a look at a path has found: `ready`, `ghost` or `faulty`; `unchecked` = nothing can be said
/// now, and the next look is soon.
struct Sight {
    CheckState state = CheckState::unchecked;
    std::string message;
};

/// Looks at a path in another way than by reading its first block. Goes with its checker.
class Looker {
  public:
    using Done = std::function<void(Sight)>;
    virtual ~Looker() = default;
    /// Whether it can look at the path as it is now; else its first block is read.
    virtual bool able() const = 0;
    /// `done` is called once, from the loop, never inside. The checker has the deadline; it starts
    /// no other look before this one has ended.
    virtual void look(Done done) = 0;
    /// The path is leaving, and whoever made this, too; only `done` is still called.
    virtual void abandon() {}
};

/// Makes a path usable that was not: opens its device again. Asked before the check of a path whose
/// device answers `offline`; calls back on the lane, once, and then the check goes on.
class Reviver {
  public:
    using Done = std::function<void(Result<void>)>;
    /// Whether there is something to do.
    virtual bool needed() const = 0;
    virtual void revive(Done done) = 0;
    /// The path is leaving: what comes back is thrown away; only `done` is still called.
    virtual void abandon() {}
    virtual ~Reviver() = default;
};

/// The checker of one path: reads its first block through all its layers, or has a Looker look,
/// with a deadline.
///
/// A good path is looked at after polling_interval, then twice as long, up to max_polling_interval;
/// a failed one every polling_interval. A check without an answer is a bad verdict at its deadline;
/// the next one starts only when the late answer has come, so that at most one read and one buffer
/// are with the kernel. Checks own their requests and memory: held I/O cannot use them up.
///
/// Threads: one lane.
class Checker final : private block::CompletionStage {
  public:
    Checker(loop::Loop& loop, path::Path& path, std::unique_ptr<Reviver> reviver,
            const CheckConfig& config, uint32_t path_index, multipath::VerdictSink& sink);
    ~Checker();

    /// Looks now, unless a check is under way.
    void check_now();
    /// I/O or an operator failed the path: the next look is polling_interval away, and the back-off
    /// starts anew.
    void path_failed();
    void set_looker(std::unique_ptr<Looker> looker) { looker_ = std::move(looker); }
    void set_path_index(uint32_t path_index) { path_index_ = path_index; }
    uint32_t path_index() const { return path_index_; }
    void configure(const CheckConfig& config);
    const CheckConfig& config() const { return config_; }
    const CheckStatus& status() const { return status_; }
    /// No more checks. When quiet() it may be destroyed.
    void stop();
    bool quiet() const { return !request_out_ && !reviving_ && !looking_; }
    path::Path& path() { return path_; }

  private:
    void begin();
    void look();
    bool came_late();
    void read_first_block();
    void completed(block::Request& request) override;
    void timed_out();
    void verdict(CheckState state, std::string message);
    void schedule(Duration delay);

    loop::Loop& loop_;
    path::Path& path_;
    std::unique_ptr<Reviver> reviver_;
    std::unique_ptr<Looker> looker_;  ///< Null = the first block is read.
    CheckConfig config_;
    uint32_t path_index_;
    multipath::VerdictSink& sink_;
    CheckStatus status_;
    Duration interval_;
    Instant begun_;
    bool request_out_ = false;
    bool reviving_ = false;
    bool looking_ = false;
    bool stopped_ = false;
    bool failed_since_ = false;  ///< By I/O or an operator, since the last good check.
    bool late_ = false;          ///< The check under way has passed its deadline.
    block::Request request_;
    std::unique_ptr<std::byte, void (*)(void*)> memory_;
    iovec data_{};
    loop::Timer next_;
    loop::Timer deadline_;
};

/// The checkers of one map's paths.
///
/// Threads: one lane.
class Monitor final : public multipath::FailureListener {
  public:
    explicit Monitor(loop::Loop& loop) : loop_(loop) {}

    void add(path::Path& path, std::unique_ptr<Reviver> reviver, const CheckConfig& config,
             uint32_t path_index, multipath::VerdictSink& sink);
    /// The checker of `path`, or nullptr.
    Checker* find(const path::Path& path) const;
    /// Stops the checker of `path` and hands it over: its owner keeps it until it is quiet.
    std::unique_ptr<Checker> remove(const path::Path& path);
    void path_failed(uint32_t path_index) override;
    const std::vector<std::unique_ptr<Checker>>& checkers() const { return checkers_; }

  private:
    loop::Loop& loop_;
    std::vector<std::unique_ptr<Checker>> checkers_;
};

}  // namespace braidway::monitor
