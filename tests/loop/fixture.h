// SPDX-License-Identifier: Apache-2.0
// What the tests of the loop share: every test runs on both backends.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "loop/loop.h"

namespace braidway::loop {

/// An operation that remembers how it ended.
struct Probe : Operation {
    Probe() {
        done = [](Operation& operation, int32_t value) {
            auto& self = static_cast<Probe&>(operation);
            self.result = value;
            ++self.ended;
        };
    }
    int ended = 0;
};

class LoopTest : public testing::TestWithParam<Backend> {
  protected:
    void SetUp() override {
        auto made = Loop::create(GetParam());
        ASSERT_TRUE(made.has_value()) << made.error().message;
        loop_ = std::move(*made);
    }

    /// Turns the loop until `probe` has ended once more than before.
    int32_t finish(Probe& probe) {
        const Instant give_up = monotonic_now() + std::chrono::seconds(20);
        const int before = probe.ended;
        while (probe.ended == before && monotonic_now() < give_up) loop_->turn(give_up);
        EXPECT_EQ(probe.ended, before + 1) << "the operation has not ended";
        return probe.result;
    }

    /// Turns the loop until `condition`.
    template <typename Condition>
    void turn_until(Condition condition) {
        const Instant give_up = monotonic_now() + std::chrono::seconds(20);
        while (!condition() && monotonic_now() < give_up) loop_->turn(give_up);
        EXPECT_TRUE(condition()) << "this has not come about";
    }

    std::unique_ptr<Loop> loop_;
};

inline std::string backend_name(const testing::TestParamInfo<Backend>& info) {
    return info.param == Backend::io_uring ? "io_uring" : "epoll";
}

/// A file of the lane that is closed at the end of the block.
class OpenFile {
  public:
    OpenFile(Loop& loop, int fd) : loop_(loop), file_(loop.add_file(fd)) { EXPECT_GE(fd, 0); }
    ~OpenFile() { close(); }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    void close() {
        if (!file_.valid()) return;
        loop_.remove_file(file_);
        ::close(file_.fd);
        file_ = File{};
    }
    operator File() const { return file_; }  // NOLINT(google-explicit-constructor)
    int fd() const { return file_.fd; }

  private:
    Loop& loop_;
    File file_;
};

/// A file without a name.
inline int temporary_file() {
    std::string name = testing::TempDir() + "loop_test_XXXXXX";
    const int fd = mkostemp(name.data(), O_CLOEXEC);
    unlink(name.c_str());
    return fd;
}

/// A connected pair of non-blocking stream sockets.
struct SocketPair {
    explicit SocketPair(int family = AF_UNIX) {
        if (family == AF_UNIX) {
            EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
            return;
        }
        const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(bind(listener, generic, length), 0);
        EXPECT_EQ(getsockname(listener, generic, &length), 0);
        EXPECT_EQ(listen(listener, 1), 0);
        fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(connect(fds[0], generic, length), 0);
        fds[1] = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        EXPECT_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
        ::close(listener);
    }
    int fds[2];
};

}  // namespace braidway::loop

/// Runs the tests of `suite` on each backend.
#define ON_BOTH_BACKENDS(suite)                                                                 \
    INSTANTIATE_TEST_SUITE_P(                                                                   \
        Backends, suite,                                                                        \
        testing::Values(::braidway::loop::Backend::io_uring, ::braidway::loop::Backend::epoll), \
        ::braidway::loop::backend_name)
