// SPDX-License-Identifier: Apache-2.0
#include "sync/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

namespace braidway::sync {
namespace {

struct Letter : ListNode<> {
    Letter(int from, int what) : sender(from), number(what) {}
    int sender;
    int number;
};

TEST(Mailbox, GivesOutTheOldestFirst) {
    Mailbox<Letter> mailbox;
    EXPECT_TRUE(mailbox.empty());
    std::deque<Letter> letters;
    for (int number = 0; number < 5; ++number) mailbox.push(letters.emplace_back(0, number));
    EXPECT_FALSE(mailbox.empty());
    std::vector<int> got;
    EXPECT_EQ(mailbox.take_all([&](Letter& letter) { got.push_back(letter.number); }), 5u);
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_TRUE(mailbox.empty());
    EXPECT_EQ(mailbox.take_all([&](Letter&) { FAIL(); }), 0u);
}

TEST(Mailbox, ALetterMayBePushedAgainWhenItIsReceived) {
    Mailbox<Letter> mailbox;
    Letter letter(0, 0);
    mailbox.push(letter);
    int rounds = 0;
    while (!mailbox.empty()) {
        mailbox.take_all([&](Letter& received) {
            EXPECT_FALSE(received.linked());
            if (++rounds < 3) mailbox.push(received);
        });
    }
    EXPECT_EQ(rounds, 3);
}

TEST(Mailbox, LosesNothingAndKeepsTheOrderOfEachSender) {
    constexpr int senders = 4;
    constexpr int each = 20000;
    Mailbox<Letter> mailbox;
    std::vector<std::thread> threads;
    for (int sender = 0; sender < senders; ++sender) {
        threads.emplace_back([&mailbox, sender] {
            for (int number = 0; number < each; ++number) {
                mailbox.push(*std::make_unique<Letter>(sender, number).release());
            }
        });
    }
    std::array<int, senders> next{};
    int received = 0;
    while (received < senders * each) {
        const unsigned taken = mailbox.take_all([&](Letter& letter) {
            const std::unique_ptr<Letter> owned(&letter);
            EXPECT_EQ(letter.number, next[static_cast<size_t>(letter.sender)]++);
            ++received;
        });
        if (taken == 0) std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(mailbox.empty());
}

}  // namespace
}  // namespace braidway::sync
