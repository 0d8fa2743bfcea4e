// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/execute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "apps/lockcheck/folder.h"

namespace braidway::lockcheck {
namespace {

using testing::ElementsAre;

/// The status with which the program ends when it is executed in a child.
int status_of(const Start& start) {
    const pid_t child = fork();
    if (child == 0) _exit(execute(start) == ENOENT ? 200 : 201);
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Execute, TheEnvironmentIsChangedAndKeptInOrder) {
    const std::array<const char*, 5> before{"A=1", "B=2", "LD_PRELOAD=x", "C=a=b", nullptr};
    EXPECT_THAT(
        changed_environment(before.data(), {{"LD_PRELOAD", "y"}, {"B", std::nullopt}, {"D", "4"}}),
        ElementsAre("A=1", "C=a=b", "LD_PRELOAD=y", "D=4"));
}

TEST(Execute, TheProgramHasItsWordsAndVariables) {
    EXPECT_EQ(status_of({"/bin/sh", {"sh", "-c", "exit $X"}, {{"X", "7"}}}), 7);
}

TEST(Execute, LinesWithoutAnInterpreterGoToTheShell) {
    const Folder folder;
    const std::string lines = folder.program("lines", "exit $1\n");
    EXPECT_EQ(status_of({lines, {"lines", "9"}, {}}), 9);
}

TEST(Execute, WhatCannotBeStartedSaysWhy) {
    EXPECT_EQ(status_of({"/nowhere/x", {"x"}, {}}), 200);
    EXPECT_EQ(status_of({"/", {"/"}, {}}), 201);
}

}  // namespace
}  // namespace braidway::lockcheck
