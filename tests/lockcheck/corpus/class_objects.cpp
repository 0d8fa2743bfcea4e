// SPDX-License-Identifier: Apache-2.0
// Objects of one class that are held at once: a ring is one of objects.
// case: array_of_mutexes_both_ways | order | two mutexes of one array, both orders
// case: same_pair_twice | order | the same two objects of one class, in both orders
// case: dining_philosophers | order | a ring of five objects of one class
// case: philosophers_on_the_heap | order | the same with forks by new
// case: transfer_both_ways | order | transfer(a, b) and transfer(b, a)
// case: transfer_in_a_ring | order | transfer(a, b), (b, c), (c, a)
// case: first_lock_of_a_locked_pair | order | the same two objects under different callers
// case: parent_and_child | silent | nested within the class, parent first
// case: hand_over_hand | silent | a list walked twice, hand over hand
// case: ordered_by_address | silent | transfers both ways, the lower address first
// case: philosopher_who_turns | silent | the last philosopher takes the lower fork first
// case: transfer_down_a_chain | silent | transfer(a, b), (b, c), (c, d)
// case: array_of_mutexes_by_index | silent | mutexes of one array, the lower index first
// case: tree_of_depth_four | silent | four nodes of a tree held at once, from the root down
// case: made_apart_parent_first | silent | nested within one type, whose objects are made in two functions
// case: made_apart_by_address | silent | objects made in two functions, the lower address first
// case: opposite_pairs_of_one_class | open | x then y, and v then u, of one class, nothing says who is the parent
#include <algorithm>
#include <memory>
#include <mutex>

#include "corpus.h"
#include "nest.h"

namespace {

struct Fork {
    std::mutex mutex;
};
Fork forks[5];
template <int I, int J>
void eat() {
    nest(forks[I].mutex, forks[J].mutex);
}
void dining_philosophers() {
    RUN(in_threads, (eat<0, 1>), (eat<1, 2>), (eat<2, 3>), (eat<3, 4>), (eat<4, 0>));
}
void philosopher_who_turns() {
    RUN(in_threads, (eat<0, 1>), (eat<1, 2>), (eat<2, 3>), (eat<3, 4>), (eat<0, 4>));
}
void same_pair_twice() {
    RUN(in_turn, (eat<0, 1>), (eat<1, 0>));
}

std::unique_ptr<Fork> laid[5];
template <int I>
void eat_laid() {
    nest(laid[I]->mutex, laid[(I + 1) % 5]->mutex);
}
void philosophers_on_the_heap() {
    for (auto& fork : laid) fork = std::make_unique<Fork>();
    RUN(in_threads, eat_laid<0>, eat_laid<1>, eat_laid<2>, eat_laid<3>, eat_laid<4>);
}

struct Purse {
    std::mutex mutex;
    int money = 100;
};
Purse purses[4];
__attribute__((noinline)) void transfer(Purse& from, Purse& to) {
    std::lock_guard hold_from(from.mutex);
    meet(0);
    std::lock_guard hold_to(to.mutex);
    --from.money;
    ++to.money;
}
template <int I, int J>
void pay() {
    transfer(purses[I], purses[J]);
}
void transfer_both_ways() {
    RUN(in_threads, (pay<0, 1>), (pay<1, 0>));
}
void transfer_in_a_ring() {
    RUN(in_threads, (pay<0, 1>), (pay<1, 2>), (pay<2, 0>));
}
void transfer_down_a_chain() {
    RUN(in_threads, (pay<0, 1>), (pay<1, 2>), (pay<2, 3>));
}
__attribute__((noinline)) void pay_rent() {
    pay<2, 3>();
}
__attribute__((noinline)) void pay_back() {
    pay<3, 2>();
}
void first_lock_of_a_locked_pair() {
    RUN(in_turn, pay_rent, pay_back);
}

template <int I, int J>
void pay_by_address() {
    nest(purses[std::min(I, J)].mutex, purses[std::max(I, J)].mutex);
}
void ordered_by_address() {
    RUN(in_threads, (pay_by_address<0, 1>), (pay_by_address<1, 0>));
}

std::mutex buckets[8];
template <int I, int J>
void move_between() {
    nest(buckets[I], buckets[J]);
}
void array_of_mutexes_both_ways() {
    RUN(in_threads, (move_between<2, 5>), (move_between<5, 2>));
}
void array_of_mutexes_by_index() {
    RUN(in_threads, (move_between<2, 5>), (move_between<0, 2>), (move_between<5, 7>));
}

struct Node {
    std::mutex mutex;
    std::unique_ptr<Node> next;
};
std::unique_ptr<Node> list;
void make_list(int length) {
    for (int i = 0; i < length; ++i) {
        auto node = std::make_unique<Node>();
        node->next = std::move(list);
        list = std::move(node);
    }
}
void walk() {
    Node* node = list.get();
    node->mutex.lock();
    while (Node* next = node->next.get()) {
        meet(0);
        next->mutex.lock();
        node->mutex.unlock();
        node = next;
    }
    node->mutex.unlock();
}
void hand_over_hand() {
    make_list(10);
    RUN(in_threads, walk, walk);
}
void first_two() {
    nest(list->mutex, list->next->mutex);
}
void parent_and_child() {
    make_list(2);
    RUN(in_threads, first_two, first_two);
}
void down(Node* node) {
    std::lock_guard hold(node->mutex);
    meet(0);
    if (node->next) down(node->next.get());
}
void tree_of_depth_four() {
    make_list(4);
    RUN(in_turn, [] { down(list.get()); }, [] { down(list->next.get()); });
}

__attribute__((noinline)) Purse* first_purse() {
    return new Purse;
}
__attribute__((noinline)) Purse* next_purse() {
    return new Purse;
}
Purse* apart[4];
void make_purses() {
    for (int i = 0; i < 4; ++i) apart[i] = i % 2 == 0 ? first_purse() : next_purse();
}
template <int I, int J>
void nest_apart() {
    nest(apart[I]->mutex, apart[J]->mutex);
}
void made_apart_parent_first() {
    make_purses();
    RUN(in_threads, (nest_apart<0, 1>), (nest_apart<2, 3>), (nest_apart<0, 3>));
}
void made_apart_by_address() {
    make_purses();
    std::sort(apart, apart + 4);
    RUN(in_threads, (nest_apart<0, 1>), (nest_apart<1, 2>), (nest_apart<0, 3>));
}

void opposite_pairs_of_one_class() {
    RUN(
        in_turn, [] { nest(forks[0].mutex, forks[1].mutex); },
        [] { nest(forks[3].mutex, forks[2].mutex); });
}

}  // namespace

MAIN(CASE(array_of_mutexes_both_ways), CASE(same_pair_twice), CASE(dining_philosophers),
     CASE(philosophers_on_the_heap), CASE(transfer_both_ways), CASE(transfer_in_a_ring),
     CASE(first_lock_of_a_locked_pair), CASE(parent_and_child), CASE(hand_over_hand),
     CASE(ordered_by_address), CASE(philosopher_who_turns), CASE(transfer_down_a_chain),
     CASE(array_of_mutexes_by_index), CASE(tree_of_depth_four), CASE(made_apart_parent_first),
     CASE(made_apart_by_address), CASE(opposite_pairs_of_one_class))
