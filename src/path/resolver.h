// SPDX-License-Identifier: Apache-2.0
// Names of hosts to numeric addresses, without keeping the lane.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "loop/loop.h"

namespace braidway::path {

/// Looks one name up at a time, on the lane's helper thread; numeric ones need none.
///
/// Threads: one lane.
class Resolver {
  public:
    /// "10.0.0.1:3260", "[fe80::1%2]:3260", in the order in which they are to be tried.
    using Done = std::function<void(Result<std::vector<std::string>>)>;

    explicit Resolver(loop::Loop& loop);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Looks `host` up; `done` is called from the loop, never inside. While an earlier call is
    /// still under way, for whichever name, its answer is waited for first.
    /// Errors: "cannot find host 'x': Name or service not known".
    void resolve(const std::string& host, uint16_t port, Done done);
    /// `done` is not called any more.
    void cancel() { done_ = nullptr; }
    /// The helper thread has nothing of it.
    bool quiet() const { return !looking_ && next_.idle(); }

  private:
    struct Call : loop::BlockingCall {
        std::string host;
        uint16_t port = 0;
        std::vector<std::string> found;
        int error = 0;
    };

    void look_up();
    void looked_up();

    loop::Loop& loop_;
    Call call_;
    std::string host_;
    uint16_t port_ = 0;
    Done done_;
    bool looking_ = false;
    loop::Operation next_;
};

}  // namespace braidway::path
