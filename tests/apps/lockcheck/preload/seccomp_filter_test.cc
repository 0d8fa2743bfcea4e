// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/seccomp_filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace braidway::lockcheck {
namespace {

using Program = std::vector<sock_filter>;

constexpr uint16_t load = BPF_LD | BPF_W | BPF_ABS;
constexpr uint16_t give = BPF_RET | BPF_K;
constexpr sock_filter the_number{load, 0, 0, offsetof(seccomp_data, nr)};
constexpr sock_filter allow{give, 0, 0, SECCOMP_RET_ALLOW};
constexpr sock_filter refuse{give, 0, 0, SECCOMP_RET_ERRNO | EPERM};

sock_filter jump(int test, uint32_t k, uint8_t yes, uint8_t no) {
    return {static_cast<uint16_t>(BPF_JMP | test), yes, no, k};
}

bool says_yes(Program program, const FilteredCall& call) {
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return allows(filter, call);
}

TEST(SeccompFilter, LetsThroughWhatItNames) {
    const Program only_reads{the_number, jump(BPF_JEQ | BPF_K, SYS_read, 0, 1), allow, refuse};
    EXPECT_TRUE(says_yes(only_reads, {SYS_read}));
    EXPECT_FALSE(says_yes(only_reads, {SYS_write}));
    const Program all_but_reads{the_number, jump(BPF_JEQ | BPF_K, SYS_read, 1, 0), allow, refuse};
    EXPECT_FALSE(says_yes(all_but_reads, {SYS_read}));
    EXPECT_TRUE(says_yes(all_but_reads, {SYS_write}));
}

TEST(SeccompFilter, KnowsWhichVerdictsLetACallThrough) {
    for (const uint32_t verdict : {SECCOMP_RET_ALLOW, SECCOMP_RET_LOG})
        EXPECT_TRUE(says_yes({{give, 0, 0, verdict}}, {SYS_read})) << verdict;
    for (const uint32_t verdict :
         {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
          SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE})
        EXPECT_FALSE(says_yes({{give, 0, 0, verdict}}, {SYS_read})) << verdict;
    EXPECT_FALSE(says_yes({{BPF_RET | BPF_A, 0, 0, 0}}, {SYS_read}));
    EXPECT_TRUE(says_yes({{BPF_LD | BPF_IMM, 0, 0, SECCOMP_RET_ALLOW}, {BPF_RET | BPF_A, 0, 0, 0}},
                         {SYS_read}));
}

TEST(SeccompFilter, LooksAtArgumentsAndTheMachine) {
    const uint32_t second = offsetof(seccomp_data, args) + 8;
    const Program large{{load, 0, 0, second}, jump(BPF_JGT | BPF_K, 100, 0, 1), allow, refuse};
    EXPECT_TRUE(says_yes(large, {SYS_read, {0, 101}}));
    EXPECT_FALSE(says_yes(large, {SYS_read, {0, 100}}));
    // The upper half, as its own word.
    const Program upper{{load, 0, 0, second + 4}, jump(BPF_JEQ | BPF_K, 7, 0, 1), allow, refuse};
    EXPECT_TRUE(says_yes(upper, {SYS_read, {0, uint64_t{7} << 32}}));
    const Program native{{load, 0, 0, offsetof(seccomp_data, arch)},
                         jump(BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 1),
                         allow,
                         refuse};
    EXPECT_FALSE(says_yes(native, {SYS_read}));
}

/// What stands in the accumulator after `steps`, one bit at a time.
uint32_t computed(Program steps) {
    uint32_t value = 0;
    for (uint32_t bit = 0; bit < 32; ++bit) {
        Program program = steps;
        program.push_back(jump(BPF_JSET | BPF_K, 1u << bit, 0, 1));
        program.push_back(allow);
        program.push_back(refuse);
        if (says_yes(program, {SYS_read})) value |= 1u << bit;
    }
    return value;
}

TEST(SeccompFilter, ComputesAsTheKernelDoes) {
    const sock_filter six{BPF_LD | BPF_IMM, 0, 0, 6};
    const auto with = [&](int operation, uint32_t k) {
        return computed({six, {static_cast<uint16_t>(BPF_ALU | BPF_K | operation), 0, 0, k}});
    };
    EXPECT_EQ(with(BPF_ADD, 3), 9u);
    EXPECT_EQ(with(BPF_SUB, 7), ~0u);
    EXPECT_EQ(with(BPF_MUL, 4), 24u);
    EXPECT_EQ(with(BPF_DIV, 4), 1u);
    EXPECT_EQ(with(BPF_AND, 3), 2u);
    EXPECT_EQ(with(BPF_OR, 1), 7u);
    EXPECT_EQ(with(BPF_XOR, 5), 3u);
    EXPECT_EQ(with(BPF_LSH, 3), 48u);
    EXPECT_EQ(with(BPF_RSH, 1), 3u);
    EXPECT_EQ(with(BPF_NEG, 0), ~0u - 5);
    // Through a word of memory, and the index register.
    EXPECT_EQ(computed({six,
                        {BPF_ST, 0, 0, 3},
                        {BPF_LDX | BPF_MEM, 0, 0, 3},
                        {BPF_ALU | BPF_MUL | BPF_X, 0, 0, 0}}),
              36u);
    EXPECT_EQ(computed({six,
                        {BPF_MISC | BPF_TAX, 0, 0, 0},
                        {BPF_LD | BPF_IMM, 0, 0, 1},
                        {BPF_MISC | BPF_TXA, 0, 0, 0}}),
              6u);
    EXPECT_EQ(computed({{BPF_LD | BPF_LEN, 0, 0, 0}}), sizeof(seccomp_data));
}

TEST(SeccompFilter, AllowsNothingWhereTheProgramIsNone) {
    EXPECT_FALSE(says_yes({}, {SYS_read}));
    EXPECT_FALSE(says_yes({the_number}, {SYS_read}));
    EXPECT_FALSE(says_yes({{load, 0, 0, sizeof(seccomp_data)}, allow}, {SYS_read}));
    EXPECT_FALSE(says_yes({{load, 0, 0, 2}, allow}, {SYS_read}));
    EXPECT_FALSE(says_yes({{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, allow}, {SYS_read}));
    EXPECT_FALSE(says_yes({{BPF_LD | BPF_MEM, 0, 0, 16}, allow}, {SYS_read}));
    EXPECT_FALSE(says_yes({jump(BPF_JA, 0xffffffff, 0, 0), allow}, {SYS_read}));
}

/// Does the kernel let getpid() and getppid() through?
int by_kernel(Program program) {
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    const pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
            _exit(9);
        _exit((syscall(SYS_getpid) > 0 ? 1 : 0) + (syscall(SYS_getppid) > 0 ? 2 : 0));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SeccompFilter, SaysWhatTheKernelSays) {
    for (const int forbidden : {SYS_getpid, SYS_getppid}) {
        const Program program{the_number,
                              jump(BPF_JEQ | BPF_K, static_cast<uint32_t>(forbidden), 1, 0), allow,
                              refuse};
        const int expected = by_kernel(program);
        if (expected == 9) GTEST_SKIP() << "this kernel takes no filters";
        EXPECT_EQ(
            (says_yes(program, {SYS_getpid}) ? 1 : 0) + (says_yes(program, {SYS_getppid}) ? 2 : 0),
            expected);
    }
}

}  // namespace
}  // namespace braidway::lockcheck
