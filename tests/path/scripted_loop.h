// SPDX-License-Identifier: Apache-2.0
// A loop without a kernel: the test sees each operation and decides its result.
#pragma once

#include <vector>

#include "base/check.h"
#include "loop/loop.h"

namespace braidway::path {

class ScriptedLoop final : public loop::Loop {
  public:
    ~ScriptedLoop() override { shut_down(); }
    loop::Backend backend() const override { return loop::Backend::automatic; }
    std::string_view description() const override { return "scripted"; }
    loop::File add_file(int fd) override { return {fd, -1}; }
    void remove_file(loop::File) override {}

    void cancel(loop::Operation&) override { no_sockets(); }

    /// Ends the oldest operation that was asked for.
    void answer(int32_t result) {
        loop::Operation& operation = *asked.at(0);
        asked.erase(asked.begin());
        finish(operation, result);
    }

    std::vector<loop::Operation*> asked;

  protected:
    void start(loop::Operation& operation) override { asked.push_back(&operation); }
    void wait(bool, Instant) override { woke_up(); }
    void wake() override {}

  private:
    static void no_sockets() { CHECK(false, "a file needs no sockets"); }
};

}  // namespace braidway::path
