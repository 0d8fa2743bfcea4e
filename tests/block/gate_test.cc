// SPDX-License-Identifier: Apache-2.0
#include "block/gate.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace braidway::block {
namespace {

struct Waiter : GateWaiter {
    std::vector<int>* told;
    int number;
    std::function<void(Waiter&)> then;
    Waiter(std::vector<int>& into, int as) : told(&into), number(as) {
        opened = [](GateWaiter& waiter) {
            auto& self = static_cast<Waiter&>(waiter);
            self.told->push_back(self.number);
            if (self.then) self.then(self);
        };
    }
};

TEST(Gate, TellsWaitersInOrderOnceWhenItOpens) {
    Gate gate;
    std::vector<int> told;
    Waiter first(told, 1);
    Waiter second(told, 2);
    gate.close();
    EXPECT_FALSE(gate.open());
    gate.wait(second);
    gate.wait(first);
    gate.wait(second);
    gate.reopen();
    EXPECT_TRUE(gate.open());
    EXPECT_EQ(told, (std::vector<int>{2, 1}));
    gate.close();
    gate.reopen();
    EXPECT_EQ(told.size(), 2u);
}

TEST(Gate, KeepsTheRestInLineWhenAWaiterClosesItAgain) {
    Gate gate;
    std::vector<int> told;
    Waiter first(told, 1);
    Waiter second(told, 2);
    first.then = [&](Waiter& self) {
        gate.close();
        gate.wait(self);
    };
    gate.close();
    gate.wait(first);
    gate.wait(second);
    gate.reopen();
    EXPECT_FALSE(gate.open());
    EXPECT_EQ(told, (std::vector<int>{1}));
    first.then = nullptr;
    gate.reopen();
    EXPECT_EQ(told, (std::vector<int>{1, 2, 1}));
}

TEST(Gate, DoesNotTellWhoLeft) {
    Gate gate;
    std::vector<int> told;
    Waiter first(told, 1);
    Waiter second(told, 2);
    first.then = [&](Waiter&) { gate.leave(second); };
    gate.close();
    gate.wait(first);
    gate.wait(second);
    gate.reopen();
    EXPECT_EQ(told, (std::vector<int>{1}));
    gate.leave(second);
}

TEST(Gate, AWaiterThatWaitsAgainIsNotToldTwiceAlthoughAnotherLeft) {
    Gate gate;
    std::vector<int> told;
    Waiter first(told, 1);
    Waiter second(told, 2);
    first.then = [&](Waiter& self) {
        gate.leave(second);
        gate.wait(self);
    };
    gate.close();
    gate.wait(first);
    gate.wait(second);
    gate.reopen();
    EXPECT_EQ(told, (std::vector<int>{1}));
    gate.leave(first);
}

}  // namespace
}  // namespace braidway::block
