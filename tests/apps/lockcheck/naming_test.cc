// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/naming.h"

#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

TEST(Naming, FunctionsLoseWhatASentenceDoesNotNeed) {
    EXPECT_EQ(short_function("main"), "main");
    EXPECT_EQ(short_function("Map<int, std::less<int> >::put(int) const"), "Map::put");
    EXPECT_EQ(short_function("void std::__invoke<int (*)(int)>(int (*)(int))"), "std::__invoke");
    EXPECT_EQ(short_function("bank::(anonymous namespace)::pay(int)"),
              "bank::(anonymous namespace)::pay");
    EXPECT_EQ(short_function("main::{lambda()#1}::operator()() const"),
              "main::{lambda()#1}::operator()");
    EXPECT_EQ(short_function("Account::operator<(Account const&) const"), "Account::operator<");
    EXPECT_EQ(short_function("Account::operator->()"), "Account::operator->");
    EXPECT_EQ(short_function("pay(int) [clone .cold]"), "pay");
    EXPECT_EQ(short_function(""), "");
    EXPECT_EQ(short_function(")"), ")");
    EXPECT_EQ(short_function("<>"), "<>");
}

TEST(Naming, TheSiteIsTheInnermostFrameOfTheProgram) {
    Stack stack{made::library_frame("std::mutex::lock()"), made::frame("pay", 12)};
    EXPECT_EQ(site(stack)->function, "pay");
    EXPECT_EQ(short_place(stack), "pay (bank.c:12)");
    stack.pop_back();
    EXPECT_EQ(site(stack)->function, "std::mutex::lock()") << "nothing else is there";
    EXPECT_EQ(site({}), nullptr);
    EXPECT_EQ(short_place(Stack{}), "an unknown place");
}

TEST(Naming, PlacesSayWhatIsKnown) {
    Frame frame;
    frame.address = 0x1234;
    EXPECT_EQ(short_place(frame), "0x1234");
    frame.module = "/usr/lib/libbank.so";
    frame.offset = 0x34;
    EXPECT_EQ(short_place(frame), "libbank.so+0x34");
    EXPECT_EQ(full_place(frame), "/usr/lib/libbank.so+0x34");
    frame.function = "pay(int)";
    EXPECT_EQ(short_place(frame), "pay (libbank.so)");
    EXPECT_EQ(full_place(frame), "pay(int) (/usr/lib/libbank.so+0x34)");
    frame.file = "/src/bank.cc";
    frame.line = 7;
    EXPECT_EQ(full_place(frame), "pay(int) (/src/bank.cc:7)");
}

TEST(Naming, LibrariesAreKnownByFileFunctionAndHeader) {
    Frame frame = made::frame("pay", 1);
    EXPECT_FALSE(is_library(frame));
    frame.module = "/lib/x86_64-linux-gnu/libc.so.6";
    EXPECT_TRUE(is_library(frame));
    frame = made::frame("void std::__invoke<int>(int)", 1);
    EXPECT_TRUE(is_library(frame));
    frame = made::frame("lock", 1);
    frame.file = "/usr/include/c++/12/bits/std_mutex.h";
    EXPECT_TRUE(is_library(frame));
    frame = made::frame("lockcheck_wants", 1);
    frame.file = "/usr/include/braidway/lockcheck.h";
    EXPECT_TRUE(is_library(frame));
    frame = made::frame("pay", 1);
    frame.module = "/opt/libcurl.so.4";
    EXPECT_FALSE(is_library(frame));
}

TEST(Naming, OwnFramesGo) {
    Stack stack{made::frame("pthread_mutex_lock", 1), made::frame("pay", 2)};
    stack[0].module = "/opt/lib/liblockcheck.so";
    mark_libraries(stack);
    ASSERT_EQ(stack.size(), 1u);
    EXPECT_EQ(stack[0].function, "pay");
}

TEST(Naming, LocksAreDescribedByTheirPlace) {
    Lock lock = made::lock(0, "");
    lock.place = "heap";
    lock.offset = 40;
    lock.size = 80;
    EXPECT_EQ(describe(lock), "mutex at byte 40 of an 80-byte block");
    lock.created = Creation{2, {made::frame("make_pair", 12, "pair.c")}};
    EXPECT_EQ(describe(lock), "mutex at byte 40 of an 80-byte block made in make_pair (pair.c:12)");
    lock.size = 64;
    EXPECT_EQ(describe(lock), "mutex at byte 40 of a 64-byte block made in make_pair (pair.c:12)");
    lock.place = "stack";
    EXPECT_EQ(describe(lock), "mutex on the stack of thread 2, made in make_pair (pair.c:12)");
    lock.place = "mapped";
    lock.created.reset();
    EXPECT_EQ(describe(lock), "mutex at 0x7000 in mapped memory");
    EXPECT_EQ(describe(made::lock(0, "account")), "static mutex");
}

TEST(Naming, LocksOfOneNameAreToldApart) {
    Finding finding = made::order();
    EXPECT_EQ(lock_word(finding, 0), "account");
    finding.locks[1].name = "account";
    EXPECT_EQ(lock_word(finding, 0), "account (A)");
    EXPECT_EQ(lock_word(finding, 1), "account (B)");
    finding.locks[1].name.reset();
    EXPECT_EQ(lock_word(finding, 1), "mutex B");
    EXPECT_EQ(lock_word(finding, 9), "a lock");
    EXPECT_EQ(lock_word(finding, std::nullopt), "a lock");
}

TEST(Naming, ThreadsHaveTheirNames) {
    Chain chain = made::chain(2, 0, 1, 10);
    EXPECT_EQ(thread_word(chain), "thread 2");
    chain.thread_name = "worker";
    EXPECT_EQ(thread_word(chain), "thread 2 \"worker\"");
}

TEST(Naming, WhatTheLibraryMadeHasNoPlaceOfMaking) {
    Lock lock = made::lock(0, "");
    lock.place = "heap";
    lock.offset = 8;
    lock.size = 80;
    lock.created.emplace().stack = {made::frame("std::make_unique", 7)};
    mark_libraries(lock.created->stack);
    EXPECT_EQ(describe(lock), "mutex at byte 8 of an 80-byte block");
    lock.created->stack.push_back(made::frame("open_account", 9));
    EXPECT_EQ(describe(lock),
              "mutex at byte 8 of an 80-byte block made in open_account (bank.c:9)");
}

}  // namespace
}  // namespace braidway::lockcheck
