// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/settings.h"

#include <gtest/gtest.h>

#include <map>

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

/// The settings that a runtime reads from these.
Settings through_environment(const Settings& settings) {
    std::map<std::string, std::string> environment;
    for (const Variable& each : variables(settings))
        if (each.value) environment[each.name] = *each.value;
    return settings_from([&environment](const char* name) -> const char* {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
    });
}

TEST(LockSettings, ComeThroughTheEnvironmentAsTheyWere) {
    const Settings settings{.json = "/tmp/%p.json",
                            .quiet = true,
                            .suppressions = {"/a.supp", "/b c.supp"},
                            .exit_status = 7,
                            .hang_ends_program = false,
                            .hang_after = 1500ms,
                            .picture = "/tmp/a.svg",
                            .github = true,
                            .assume_writers = true,
                            .generate_suppressions = true,
                            .root = 12,
                            .renderer = "/usr/bin/lockcheck",
                            .state = "/dev/shm/x"};
    const Settings again = through_environment(settings);
    EXPECT_EQ(again.json, settings.json);
    EXPECT_EQ(again.suppressions, settings.suppressions);
    EXPECT_EQ(again.exit_status, 7);
    EXPECT_FALSE(again.hang_ends_program);
    EXPECT_EQ(again.hang_after, 1500ms);
    EXPECT_EQ(again.picture, settings.picture);
    EXPECT_TRUE(again.quiet && again.github && again.assume_writers);
    EXPECT_TRUE(again.generate_suppressions);
    EXPECT_EQ(again.root, 12);
    EXPECT_EQ(again.renderer, settings.renderer);
    EXPECT_EQ(again.state, settings.state);
    const Settings plain = through_environment({});
    EXPECT_FALSE(plain.quiet || plain.github || plain.assume_writers);
    EXPECT_TRUE(plain.hang_ends_program);
    EXPECT_TRUE(plain.suppressions.empty());
    EXPECT_EQ(plain.exit_status, 66);
}

TEST(LockSettings, WhatIsNotWishedIsTakenOutOfTheEnvironment) {
    for (const Variable& each : variables({}))
        if (each.name == "LOCKCHECK_QUIET" || each.name == "LOCKCHECK_JSON") {
            EXPECT_FALSE(each.value) << each.name;
        }
    Settings hasty;
    hasty.hang_after = 1ns;
    EXPECT_EQ(variables(hasty)[6].value, "1") << "never 0, which means something else";
}

TEST(LockSettings, NonsenseKeepsTheDefault) {
    const Settings settings = settings_from([](const char*) { return "x"; });
    EXPECT_EQ(settings.exit_status, 66);
    EXPECT_EQ(settings.hang_after, 3s);
    EXPECT_FALSE(settings.quiet);
}

TEST(LockSettings, TheRuntimeComesFirstAndKeepsWhatWasPreloaded) {
    EXPECT_EQ(preload("/l.so", ""), "/l.so");
    EXPECT_EQ(preload("/l.so", "/jemalloc.so /b.so"), "/l.so:/jemalloc.so /b.so");
    EXPECT_EQ(preload("/l.so", "/l.so:/b.so"), "/l.so:/b.so") << "lockcheck within lockcheck";
}

TEST(LockSettings, PathsBecomeAbsolute) {
    EXPECT_EQ(absolute("a.json", "/tmp"), "/tmp/a.json");
    EXPECT_EQ(absolute("../a", "/tmp/x"), "/tmp/a");
    EXPECT_EQ(absolute("/a/./b", "/tmp"), "/a/b");
}

}  // namespace
}  // namespace braidway::lockcheck
