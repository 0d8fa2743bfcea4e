// SPDX-License-Identifier: Apache-2.0
// The whole library under small programs: what it finds, and what stays as it is without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "apps/lockcheck/preload/playing.h"

namespace braidway::lockcheck {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int found = 66;

/// Nothing is found, and the program ends as it would.
void expect_clean(const char* scene, int status = 0) {
    const Played played = play({.scene = scene});
    EXPECT_EQ(played.status, status) << scene << ": " << played.errors;
    EXPECT_THAT(played.kinds(), IsEmpty()) << scene << ": " << played.errors;
    EXPECT_EQ(played.errors, "lockcheck: nothing found\n") << scene;
}

/// One thing is found, and the exit status says so.
void expect_found(const char* scene, const char* kind) {
    const Played played = play({.scene = scene});
    EXPECT_EQ(played.status, found) << scene << ": " << played.errors;
    EXPECT_THAT(played.kinds(), ElementsAre(kind)) << scene << ": " << played.errors;
    EXPECT_THAT(played.errors, HasSubstr(std::string("lockcheck: ") + kind)) << scene;
}

TEST(Lockcheck, LeavesAProgramWithoutFaultsAlone) {
    expect_clean("nothing", 5);
    expect_clean("order_of_trylock");
    expect_clean("many_held");
}

TEST(Lockcheck, FindsWhatOneThreadDoesToItsLocks) {
    expect_found("order", "order");
    expect_found("spin_order", "order");
    expect_found("c11_order", "order");
    expect_found("read_twice_with_writer", "recursive-read");
    expect_found("unlock_unheld", "unlock-unheld");
    expect_found("destroy_held", "destroy-held");
}

TEST(Lockcheck, SaysWhoHeldAndWantedWhatWithStacks) {
    const Played played = play({.scene = "order"});
    ASSERT_EQ(played.documents.size(), 1u);
    const auto& document = played.documents[0];
    EXPECT_EQ(document["state"], "exited");
    EXPECT_EQ(document["process"]["arguments"][1], "order");
    const auto& finding = document["findings"][0];
    EXPECT_EQ(finding["printed"], true);
    EXPECT_EQ(finding["locks"].size(), 2u);
    EXPECT_EQ(finding["locks"][0]["type"], "mutex");
    EXPECT_EQ(finding["locks"][0]["place"], "static");
    ASSERT_EQ(finding["chains"].size(), 2u);
    for (const auto& chain : finding["chains"]) {
        EXPECT_EQ(chain["thread"], 1);
        EXPECT_NE(chain["holds"], chain["wants"]);
        for (const char* stack : {"holds_stack", "wants_stack"}) {
            ASSERT_GE(chain[stack].size(), 2u);
            EXPECT_THAT(chain[stack][0]["module"], testing::EndsWith("lockcheck_scenes"));
            EXPECT_THAT(chain[stack][0]["offset"], testing::StartsWith("0x"));
        }
    }
}

TEST(Lockcheck, PassesTheAnswersOfTheCLibraryOn) {
    const Played played = play({.scene = "answers", .is_root = false});
    EXPECT_EQ(played.status, 0) << played.errors;
}

TEST(Lockcheck, SeesLocksThatAProgramDeclares) {
    expect_found("declared", "order");
    expect_found("sleeps_with_lock", "held-while-sleep");
}

TEST(Lockcheck, ChangesTheStatusOfTheProcessThatItStartedOnly) {
    const Played other = play({.scene = "order", .is_root = false});
    EXPECT_EQ(other.status, 5);
    EXPECT_THAT(other.kinds(), ElementsAre("order"));
    const Played chosen = play({.scene = "order", .environment = {"LOCKCHECK_EXIT_STATUS=3"}});
    EXPECT_EQ(chosen.status, 3);
}

TEST(Lockcheck, KeepsDeathBySignalAndWhatWasFoundBefore) {
    const Played played = play({.scene = "order_and_abort"});
    EXPECT_EQ(played.status, 100 + SIGABRT);
    ASSERT_THAT(played.kinds(), ElementsAre("order"));
    EXPECT_EQ(played.documents[0]["state"], "running");
}

TEST(Lockcheck, SeesTheEndOfThreadsAfterTheirDestructors) {
    expect_found("exit_held", "exit-held");
    expect_clean("unlocked_by_destructor");
    expect_clean("robust_owner_dies");
    expect_clean("many_threads");
    expect_clean("c11_threads");
}

TEST(Lockcheck, NeedsNoMoreStackThanTheSmallest) {
    expect_found("small_stack", "order");
}

TEST(Lockcheck, KeepsTheMutexOfAWaitThatIsCancelled) {
    expect_clean("cancelled_wait");
    expect_clean("notified");
}

TEST(Lockcheck, FindsAfterTheMainThreadHasGone) {
    expect_found("main_thread_exits", "order");
}

TEST(Lockcheck, ShowsProgramsTheirOwnSignalHandlers) {
    expect_found("lock_in_signal_handler", "signal");
    expect_clean("vfork_resets_handlers");
}

TEST(Lockcheck, ForgetsHandlersThatWereLeftByAJump) {
    expect_clean("handler_jumps");
}

TEST(Lockcheck, WritesADocumentForEachProcess) {
    const Played played = play({.scene = "child_finds"});
    EXPECT_EQ(played.status, found) << played.errors;
    ASSERT_EQ(played.documents.size(), 2u);
    EXPECT_NE(played.documents[0]["process"]["id"], played.documents[1]["process"]["id"]);
    EXPECT_THAT(played.kinds(), ElementsAre("order"));
}

TEST(Lockcheck, WatchesProgramsThatAreStartedWithoutAnEnvironment) {
    for (const char* scene :
         {"runs_order_without_environment", "spawns_order_without_environment"}) {
        const Played played = play({.scene = scene});
        EXPECT_EQ(played.status, found) << scene << ": " << played.errors;
        EXPECT_THAT(played.kinds(), ElementsAre("order")) << scene;
    }
}

TEST(Lockcheck, KeepsWhatWasFoundBeforeAProgramBecameAnother) {
    const Played played = play({.scene = "finds_and_becomes_another"});
    EXPECT_EQ(played.status, found) << played.errors;
    ASSERT_EQ(played.documents.size(), 2u);
    EXPECT_EQ(played.documents[0]["state"], "ended");
    EXPECT_EQ(played.documents[1]["state"], "exited");
    EXPECT_THAT(played.kinds(), ElementsAre("order"));
}

TEST(Lockcheck, EndsADeadlockThatHappens) {
    const Played relock = play({.scene = "relock", .is_root = false});
    EXPECT_EQ(relock.status, found) << relock.errors;
    EXPECT_THAT(relock.kinds(), ElementsAre("relock", "hang"));
    ASSERT_EQ(relock.documents.size(), 1u);
    EXPECT_EQ(relock.documents[0]["state"], "ended");
    const Played deadlock = play({.scene = "deadlock"});
    EXPECT_EQ(deadlock.status, found) << deadlock.errors;
    EXPECT_THAT(deadlock.kinds(), ElementsAre("order", "hang"));
    const Played join = play({.scene = "join_with_lock"});
    EXPECT_EQ(join.status, found) << join.errors;
    EXPECT_THAT(join.kinds(), Contains("hang"));
    EXPECT_THAT(join.errors, HasSubstr("the end of thread 2"));
}

TEST(Lockcheck, LetsADeadlockHangWhenItShallOnlyReport) {
    const Played played =
        play({.scene = "deadlock", .environment = {"LOCKCHECK_ON_HANG=report"}, .alarm_s = 3});
    EXPECT_EQ(played.status, 100 + SIGALRM) << played.errors;
    EXPECT_THAT(played.kinds(), ElementsAre("order", "hang"));
}

TEST(Lockcheck, SeesEveryWayOut) {
    expect_found("underscore_exit", "order");
    expect_found("exit_quickly", "order");
    const Played printed = play({.scene = "prints_and_finds"});
    EXPECT_EQ(printed.status, found);
    EXPECT_EQ(printed.output, "not flushed yet");
}

TEST(Lockcheck, WritesWhenTheProgramHasClosedEverything) {
    expect_found("closes_everything", "order");
}

}  // namespace
}  // namespace braidway::lockcheck
