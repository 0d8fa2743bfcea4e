// SPDX-License-Identifier: Apache-2.0
// Which backend is taken when the kernel, or a container's filter of system calls, says no.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "loop/loop.h"

namespace braidway::loop {
namespace {

/// Has io_uring_setup answer `code` in this process from now on.
bool forbid_io_uring(int code) {
    const auto refused = static_cast<uint32_t>(SECCOMP_RET_ERRNO) | static_cast<uint32_t>(code);
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, refused),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{std::size(steps), steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// Runs `body` in a child process; gives its exit code.
template <typename Body>
int in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class LoopBackend : public testing::TestWithParam<int> {};

TEST_P(LoopBackend, AutomaticFallsBackToEpollAndSaysWhy) {
    const int code = GetParam();
    EXPECT_EQ(0, in_child([code] {
                  if (!forbid_io_uring(code)) return 1;
                  auto made = Loop::create(Backend::automatic);
                  if (!made) return 2;
                  if ((*made)->backend() != Backend::epoll) return 3;
                  const std::string_view text = (*made)->description();
                  return text.find(errno_text(code)) == std::string_view::npos ? 4 : 0;
              }));
}

TEST_P(LoopBackend, IoUringByNameIsRefusedWithTheReason) {
    const int code = GetParam();
    EXPECT_EQ(0, in_child([code] {
                  if (!forbid_io_uring(code)) return 1;
                  auto made = Loop::create(Backend::io_uring);
                  if (made) return 2;
                  if (made.error().code != code) return 3;
                  return made.error().message.find("io_uring") == std::string::npos ? 4 : 0;
              }));
}

INSTANTIATE_TEST_SUITE_P(Refusals, LoopBackend, testing::Values(EPERM, ENOSYS, ENOMEM));

TEST(LoopBackendHere, AutomaticIsIoUringWhereTheKernelGrantsIt) {
    auto by_name = Loop::create(Backend::io_uring);
    if (!by_name) GTEST_SKIP() << by_name.error().message;
    auto made = Loop::create();
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)->backend(), Backend::io_uring);
}

}  // namespace
}  // namespace braidway::loop
