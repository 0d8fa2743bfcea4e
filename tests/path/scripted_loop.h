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

    void read(loop::Operation& operation, loop::File file, const iovec* iov, uint32_t count,
              uint64_t offset_bytes) override {
        transfer(operation, loop::Operation::Kind::read, file, iov, count, offset_bytes, false);
    }
    void write(loop::Operation& operation, loop::File file, const iovec* iov, uint32_t count,
               uint64_t offset_bytes, bool durable) override {
        transfer(operation, loop::Operation::Kind::write, file, iov, count, offset_bytes, durable);
    }
    void sync_data(loop::Operation& operation, loop::File file) override {
        begin(operation, loop::Operation::Kind::sync_data, file);
        asked.push_back(&operation);
    }
    void allocate(loop::Operation& operation, loop::File file, int mode, uint64_t offset_bytes,
                  uint64_t length_bytes) override {
        begin(operation, loop::Operation::Kind::allocate, file);
        operation.flags = mode;
        operation.offset = offset_bytes;
        operation.length = length_bytes;
        asked.push_back(&operation);
    }
    void receive(loop::Operation&, loop::File, const iovec*, uint32_t) override { no_sockets(); }
    void send(loop::Operation&, loop::File, const iovec*, uint32_t) override { no_sockets(); }
    void accept(loop::Operation&, loop::File) override { no_sockets(); }
    void poll(loop::Operation&, loop::File, int) override { no_sockets(); }
    void cancel(loop::Operation&) override { no_sockets(); }

    /// Ends the oldest operation that was asked for.
    void answer(int32_t result) {
        loop::Operation& operation = *asked.at(0);
        asked.erase(asked.begin());
        finish(operation, result);
    }

    std::vector<loop::Operation*> asked;

  protected:
    void wait(bool, Instant) override { woke_up(); }
    void wake() override {}

  private:
    static void no_sockets() { CHECK(false, "a file needs no sockets"); }
    void transfer(loop::Operation& operation, loop::Operation::Kind kind, loop::File file,
                  const iovec* iov, uint32_t count, uint64_t offset_bytes, bool durable) {
        begin(operation, kind, file);
        operation.iov = iov;
        operation.iov_count = count;
        operation.offset = offset_bytes;
        operation.flags = durable;
        asked.push_back(&operation);
    }
};

}  // namespace braidway::path
