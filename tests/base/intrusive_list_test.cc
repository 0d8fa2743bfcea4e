// SPDX-License-Identifier: Apache-2.0
#include "base/intrusive_list.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "base/random.h"

namespace braidway {
namespace {

struct ByAge;
struct ByName;

struct Item : ListNode<ByAge>, ListNode<ByName> {
    explicit Item(int its_number) : number(its_number) {}
    int number;
};

using Ages = IntrusiveList<Item, ByAge>;
using Names = IntrusiveList<Item, ByName>;

std::vector<int> numbers(Ages& list) {
    std::vector<int> found;
    for (Item* item = list.front(); item != nullptr; item = list.after(*item))
        found.push_back(item->number);
    return found;
}

std::vector<int> numbers_backwards(Ages& list) {
    std::vector<int> found;
    for (Item* item = list.back(); item != nullptr; item = list.before(*item))
        found.push_back(item->number);
    return found;
}

TEST(IntrusiveList, AnEmptyListHasNoEnds) {
    Ages list;
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.size(), 0u);
    EXPECT_EQ(list.front(), nullptr);
    EXPECT_EQ(list.back(), nullptr);
    EXPECT_EQ(list.pop_front(), nullptr);
}

TEST(IntrusiveList, KeepsTheOrderOfInsertion) {
    Ages list;
    Item one(1), two(2), three(3), four(4);
    list.push_back(two);
    list.push_back(four);
    list.push_front(one);
    list.insert_after(two, three);
    EXPECT_EQ(numbers(list), (std::vector{1, 2, 3, 4}));
    EXPECT_EQ(numbers_backwards(list), (std::vector{4, 3, 2, 1}));
    EXPECT_EQ(list.size(), 4u);
    while (list.pop_front() != nullptr) {}
    EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, RemovesFromAnywhere) {
    Ages list;
    Item one(1), two(2), three(3);
    for (Item* item : {&one, &two, &three}) list.push_back(*item);
    list.remove(two);
    EXPECT_EQ(numbers(list), (std::vector{1, 3}));
    list.remove(three);
    list.remove(one);
    EXPECT_TRUE(list.empty());
    EXPECT_FALSE(static_cast<ListNode<ByAge>&>(one).linked());
    list.push_back(two);
    EXPECT_EQ(numbers(list), (std::vector{2}));
    list.remove(two);
}

TEST(IntrusiveList, AnElementIsInListsOfSeveralKindsAtOnce) {
    Ages ages;
    Names names;
    Item one(1);
    ages.push_back(one);
    names.push_back(one);
    ages.remove(one);
    EXPECT_EQ(names.front(), &one);
    names.remove(one);
}

TEST(IntrusiveList, BehavesLikeADequeUnderRandomUse) {
    Random random(7);
    std::deque<Item> items;
    for (int number = 0; number < 32; ++number) items.emplace_back(number);
    Ages list;
    std::vector<int> expected;
    for (int step = 0; step < 5000; ++step) {
        Item& item = items[random.below(items.size())];
        const auto place = std::find(expected.begin(), expected.end(), item.number);
        if (place != expected.end()) {
            list.remove(item);
            expected.erase(place);
        } else if (random.below(2) == 0) {
            list.push_front(item);
            expected.insert(expected.begin(), item.number);
        } else {
            list.push_back(item);
            expected.push_back(item.number);
        }
        ASSERT_EQ(list.size(), expected.size());
        ASSERT_EQ(numbers(list), expected);
    }
    while (list.pop_front() != nullptr) {}
}

TEST(IntrusiveListDeathTest, RefusesToInsertTwiceOrRemoveWhatIsNotThere) {
    Ages list;
    Item one(1);
    EXPECT_DEATH(list.remove(one), "in no list");
    list.push_back(one);
    EXPECT_DEATH(list.push_back(one), "one list of a kind");
    list.remove(one);
}

}  // namespace
}  // namespace braidway
