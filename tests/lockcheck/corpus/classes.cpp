// SPDX-License-Identifier: Apache-2.0
// Classes of locks whose objects never meet twice: opposite orders over any objects are a ring.
// Forced, both paths get the same object, and hang.
// case: init_function | order | both mutexes made by one function, called from two places; in-out on one object, out-in on the other
// case: new_struct | order | std::mutex members, objects by new in one place
// case: make_unique_struct | order | std::mutex members, objects by std::make_unique
// case: make_shared_struct | order | std::mutex members, objects by std::make_shared
// case: vector_elements | order | std::mutex members, elements of one std::vector
// case: array_of_structs | order | a global array of structs
// case: globals_of_one_type | order | two global objects of one struct
// case: constructor | order | a C++ constructor that calls pthread_mutex_init
// case: constructor_inlined | order | the same, copied into two places by the compiler: debug information tells that they are one
// case: new_in_two_places | order | std::mutex members, objects by new in two functions: nothing but their type is common to them
// case: malloc_and_initializer | order | malloc in a factory, PTHREAD_MUTEX_INITIALIZER
// case: calloc_without_init | order | calloc in a factory, and no init: zeros are an unlocked mutex
// case: new_array | order | elements of new Account[4]
// case: slab_with_init | order | objects cut from one big block, made by an init function
// case: array_of_mutexes_both_ways | order | two mutexes of one array, both orders
// case: stack_objects | order | objects in two frames, made by an init function
// case: stack_objects_std | order | objects in two frames, std::mutex members: debug information tells their type
// case: gone_before_the_end | order | objects by new in two functions, deleted before the program ends
// case: read_and_written | recursive-read | a global fair rwlock member read twice, that of an object by new is written
// case: map_values | order | values of one std::map
// case: rwlock_members | order | rwlock members made by an init function, for writing
// case: std_shared_mutex_members | order | std::shared_mutex members of heap objects, for writing
// case: two_types | order | two types of objects: parents before children, children before other parents
// case: three_types_ring | order | a ring of three types, all objects differ
// case: after_destroy | order | the first object is destroyed before the second is made: the class stays
// case: object_and_global | order | a member before a global lock, the global before the member of another object
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
// case: members_in_order | silent | in before out on all objects
// case: two_types_in_order | silent | parents before children on all objects
// case: transfer_down_a_chain | silent | transfer(a, b), (b, c), (c, d)
// case: array_of_mutexes_by_index | silent | mutexes of one array, the lower index first
// case: tree_of_depth_four | silent | four nodes of a tree held at once, from the root down
// case: one_allocator_two_types | silent | A before C, C before B: A and B come from one function that allocates
// case: one_init_wrapper | silent | A before C, C before B: A and B were made by one wrapper of pthread_mutex_init
// case: one_lock_wrapper | silent | A before C, C before B: A and B are global and locked by one function
// case: one_constructor_two_members | silent | A before C, C before B: A and B are members of a lock class with a constructor
// case: children_of_two_parents | silent | a child's lock under each of two parents' locks
// case: two_types_of_one_layout | silent | A before C, C before B: A and B are members of two types of one layout, made in one function
// case: globals_without_a_type | silent | A before C, C before B: all are global mutexes on their own
// case: made_apart_parent_first | silent | nested within one type, whose objects are made in two functions
// case: made_apart_under_a_gate | silent | opposite orders over objects made in two functions, under one gate
// case: made_apart_by_address | silent | objects made in two functions, the lower address first
// case: opposite_pairs_of_one_class | open | x then y, and v then u, of one class, nothing says who is the parent
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "corpus.h"

namespace {

template <class Lock>
void nest(Lock& outer, Lock& inner) {
    std::lock_guard hold_outer(outer);
    meet(0);
    std::lock_guard hold_inner(inner);
}

/// What the two paths use: the first object, and another one, or forced the same.
template <class Object>
struct Chosen {
    static inline Object *one, *two;
    static void choose(Object* x, Object* y) {
        one = x;
        two = forced ? x : y;
    }
    static void in_out() { nest(one->in, one->out); }
    static void out_in() { nest(two->out, two->in); }
    static void run(Object* x, Object* y) {
        choose(x, y);
        RUN(in_threads, in_out, out_in);
    }
    static void run_in_order(Object* x, Object* y) {
        choose(x, y);
        two = y;
        RUN(in_threads, in_out, [] { nest(two->in, two->out); }, in_out);
    }
};

// --- C style ---
struct Pair {
    pthread_mutex_t in, out;
};
__attribute__((noinline)) void pair_init(Pair* pair) {
    pthread_mutex_init(&pair->in, nullptr);
    pthread_mutex_init(&pair->out, nullptr);
}
Pair* chosen[2];
void pair_in_out() {
    lock(&chosen[0]->in);
    meet(0);
    lock(&chosen[0]->out);
    unlock(&chosen[0]->out);
    unlock(&chosen[0]->in);
}
void pair_out_in() {
    Pair* pair = chosen[forced ? 0 : 1];
    lock(&pair->out);
    meet(0);
    lock(&pair->in);
    unlock(&pair->in);
    unlock(&pair->out);
}
void init_function() {
    Pair* x = static_cast<Pair*>(malloc(sizeof(Pair)));
    pair_init(x);
    Pair* y = static_cast<Pair*>(calloc(3, sizeof(Pair)));
    pair_init(y);
    chosen[0] = x;
    chosen[1] = y;
    RUN(in_threads, pair_in_out, pair_out_in);
}

__attribute__((noinline)) Pair* make_pair_object() {
    Pair* pair = static_cast<Pair*>(malloc(sizeof(Pair)));
    *pair = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
    return pair;
}
void malloc_and_initializer() {
    chosen[0] = make_pair_object();
    chosen[1] = make_pair_object();
    RUN(in_threads, pair_in_out, pair_out_in);
}

__attribute__((noinline)) Pair* zeroed_pair() {
    void* const memory = calloc(1, sizeof(Pair));
    return static_cast<Pair*>(memory);
}
void calloc_without_init() {
    chosen[0] = zeroed_pair();
    chosen[1] = zeroed_pair();
    RUN(in_threads, pair_in_out, pair_out_in);
}
void slab_with_init() {
    Pair* slab = static_cast<Pair*>(malloc(100 * sizeof(Pair)));
    for (int i = 0; i < 100; ++i) pair_init(&slab[i]);
    chosen[0] = &slab[10];
    chosen[1] = &slab[77];
    RUN(in_threads, pair_in_out, pair_out_in);
}

void serve_in_out(Pair* shared) {
    Pair own;
    pair_init(&own);
    if (!shared) chosen[0] = &own;
    pair_in_out();
}
void serve_out_in(Pair* shared) {
    char before[200];
    Pair own;
    pair_init(&own);
    memset(before, 0, sizeof before);
    if (!shared) chosen[1] = &own;
    pair_out_in();
}
void stack_objects() {
    Pair shared;
    pair_init(&shared);
    static Pair* const both = forced ? &shared : nullptr;
    chosen[0] = both;
    RUN(in_turn, [] { serve_in_out(both); }, [] { serve_out_in(both); });
}

// --- C++ style ---
struct Account {
    std::mutex in, out;
    int money = 0;
};
using Accounts = Chosen<Account>;

__attribute__((noinline)) Account* new_account() {
    return new Account;
}
void new_struct() {
    Account* x = new_account();
    Accounts::run(x, new_account());
}
void make_unique_struct() {
    std::unique_ptr<Account> both[2];
    for (auto& account : both) account = std::make_unique<Account>();
    Accounts::run(both[0].get(), both[1].get());
}
void make_shared_struct() {
    std::shared_ptr<Account> both[2];
    for (auto& account : both) account = std::make_shared<Account>();
    Accounts::run(both[0].get(), both[1].get());
}
void vector_elements() {
    std::vector<Account> accounts(7);
    Accounts::run(&accounts[2], &accounts[5]);
}
Account account_array[4];
void array_of_structs() {
    Accounts::run(&account_array[0], &account_array[3]);
}
Account account_x, account_y;
void globals_of_one_type() {
    Accounts::run(&account_x, &account_y);
}
void new_array() {
    auto* accounts = new Account[4];
    Accounts::run(&accounts[0], &accounts[2]);
}
void map_values() {
    std::map<int, Account> accounts;
    for (int i = 0; i < 5; ++i) accounts[i].money = i;
    Accounts::run(&accounts[1], &accounts[3]);
}

__attribute__((noinline)) void settle_in_out(Account& account) {
    nest(account.in, account.out);
}
__attribute__((noinline)) void settle_out_in(Account& account) {
    nest(account.out, account.in);
}
void stack_objects_std() {
    static Account* common = nullptr;
    Account shared;
    if (forced) common = &shared;
    RUN(
        in_turn,
        [] {
            Account own;
            settle_in_out(common ? *common : own);
        },
        [] {
            Account own[3];
            settle_out_in(common ? *common : own[1]);
        });
}

struct Inlined {
    struct Mutex {
        pthread_mutex_t mutex;
        void lock() { ::lock(&mutex); }
        void unlock() { ::unlock(&mutex); }
    } in, out;
    Inlined() {
        pthread_mutex_init(&in.mutex, nullptr);
        pthread_mutex_init(&out.mutex, nullptr);
    }
};
struct Constructed : Inlined {
    __attribute__((noinline)) Constructed() {}
};
void constructor() {
    static Constructed x;
    Chosen<Inlined>::run(&x, new Constructed);
}
void constructor_inlined() {
    static Inlined x;
    Chosen<Inlined>::run(&x, new Inlined);
}
__attribute__((noinline)) Account* first_account() {
    return new Account;
}
__attribute__((noinline)) Account* next_account() {
    return new Account;
}
void new_in_two_places() {
    Account* x = first_account();
    Accounts::run(x, next_account());
}
void gone_before_the_end() {
    std::unique_ptr<Account> x(first_account());
    std::unique_ptr<Account> y(next_account());
    Accounts::run(x.get(), y.get());
}
std::mutex counter;
void made_apart_under_a_gate() {
    static Account *x, *y;
    x = first_account();
    y = forced ? x : next_account();
    RUN(
        in_threads,
        [] {
            std::lock_guard hold(counter);
            nest(x->in, x->out);
        },
        [] {
            std::lock_guard hold(counter);
            nest(y->out, y->in);
        });
}

struct Written {
    struct Lock {
        pthread_rwlock_t rwlock;
        void lock() { write_lock(&rwlock); }
        void unlock() { rw_unlock(&rwlock); }
    } in, out;
};
__attribute__((noinline)) void written_init(Written* object) {
    pthread_rwlock_init(&object->in.rwlock, nullptr);
    pthread_rwlock_init(&object->out.rwlock, nullptr);
}
void rwlock_members() {
    static Written x, y;
    written_init(&x);
    written_init(&y);
    Chosen<Written>::run(&x, &y);
}
struct SharedAccount {
    std::shared_mutex in, out;
};
void std_shared_mutex_members() {
    std::unique_ptr<SharedAccount> both[2];
    for (auto& account : both) account = std::make_unique<SharedAccount>();
    Chosen<SharedAccount>::run(both[0].get(), both[1].get());
}

struct Fair {
    pthread_rwlock_t rwlock = FAIR_RWLOCK;
    long reads = 0;
};
Fair read_object;
Fair* written_object;
void read_twice() {
    read_lock(&read_object.rwlock);
    meet(0);
    settle();
    read_lock(&read_object.rwlock);
    rw_unlock(&read_object.rwlock);
    rw_unlock(&read_object.rwlock);
}
void write_once() {
    pthread_rwlock_t* const rwlock = forced ? &read_object.rwlock : &written_object->rwlock;
    meet(0);
    write_lock(rwlock);
    rw_unlock(rwlock);
}
void read_and_written() {
    written_object = new Fair;
    RUN(in_threads, read_twice, write_once);
}

// --- several types ---
struct Parent {
    int name = 0;
    std::mutex mutex;
};
struct Child {
    long names[4] = {};
    std::mutex mutex;
};
struct Grandchild {
    long names[9] = {};
    std::mutex mutex;
};
Parent* parents[2];
Child* children[2];
Grandchild* grandchildren[2];
constexpr int another = forced ? 0 : 1;

void make_family() {
    for (Parent*& parent : parents) parent = new Parent;
    for (Child*& child : children) child = new Child;
    for (Grandchild*& grandchild : grandchildren) grandchild = new Grandchild;
}
void parent_child() {
    nest(parents[0]->mutex, children[0]->mutex);
}
void child_parent() {
    nest(children[another]->mutex, parents[another]->mutex);
}
void child_grandchild() {
    nest(children[another]->mutex, grandchildren[0]->mutex);
}
void grandchild_parent() {
    nest(grandchildren[another]->mutex, parents[another]->mutex);
}

void two_types() {
    make_family();
    RUN(in_threads, parent_child, child_parent);
}
void three_types_ring() {
    make_family();
    RUN(in_threads, parent_child, child_grandchild, grandchild_parent);
}
void two_types_in_order() {
    make_family();
    RUN(
        in_threads, parent_child, [] { nest(parents[1]->mutex, children[1]->mutex); },
        [] { nest(parents[0]->mutex, children[1]->mutex); });
}

void after_destroy() {
    if (forced) return new_struct();
    for (const bool turned : {false, true}) {
        Account* account = new_account();
        if (turned)
            settle_out_in(*account);
        else
            settle_in_out(*account);
        delete account;
    }
}

std::mutex table;
void object_and_global() {
    make_family();
    RUN(
        in_threads, [] { nest(parents[0]->mutex, table); },
        [] { nest(table, parents[another]->mutex); });
}

// --- objects of one class ---
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
void members_in_order() {
    Accounts::run_in_order(new_account(), new_account());
}

// --- what only looks like one class ---
__attribute__((noinline)) void* xmalloc(size_t size) {
    void* memory = malloc(size);
    check(memory != nullptr);
    return memory;
}
struct First {
    std::mutex mutex;
    long first;
};
struct Second {
    std::mutex mutex;
    long second;
};
First* first_object;
Second* second_object;
void one_allocator_two_types() {
    first_object = new (xmalloc(sizeof(First))) First;
    second_object = new (xmalloc(sizeof(Second))) Second;
    RUN(
        in_threads, [] { nest(first_object->mutex, table); },
        [] { nest(table, second_object->mutex); });
}

struct Third {
    std::mutex mutex;
    long third;
};
struct Fourth {
    std::mutex mutex;
    long fourth;
};
Third* third_object;
Fourth* fourth_object;
void two_types_of_one_layout() {
    third_object = new Third;
    fourth_object = new Fourth;
    RUN(
        in_threads, [] { nest(third_object->mutex, table); },
        [] { nest(table, fourth_object->mutex); });
}
std::mutex plain_first, plain_second, plain_third;
void globals_without_a_type() {
    RUN(
        in_threads, [] { nest(plain_first, plain_third); },
        [] { nest(plain_third, plain_second); });
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

__attribute__((noinline)) void portable_mutex_init(pthread_mutex_t* mutex) {
    check(pthread_mutex_init(mutex, nullptr) == 0);
}
pthread_mutex_t plain_a, plain_b;
pthread_mutex_t plain_c = PTHREAD_MUTEX_INITIALIZER;
__attribute__((noinline)) void lock_it(pthread_mutex_t* mutex) {
    check(lock(mutex) == 0);
}
void plain_nest(pthread_mutex_t* outer, pthread_mutex_t* inner) {
    lock_it(outer);
    meet(0);
    lock_it(inner);
    unlock(inner);
    unlock(outer);
}
void plain_a_c_b() {
    RUN(in_threads, [] { plain_nest(&plain_a, &plain_c); }, [] { plain_nest(&plain_c, &plain_b); });
}
void one_init_wrapper() {
    portable_mutex_init(&plain_a);
    portable_mutex_init(&plain_b);
    plain_a_c_b();
}
void one_lock_wrapper() {
    plain_a = plain_b = PTHREAD_MUTEX_INITIALIZER;
    plain_a_c_b();
}

class Lock {
  public:
    __attribute__((noinline)) Lock() { pthread_mutex_init(&mutex_, nullptr); }
    void lock() { ::lock(&mutex_); }
    void unlock() { ::unlock(&mutex_); }

  private:
    pthread_mutex_t mutex_;
};
struct Engine {
    Lock lock;
};
struct Window {
    int width = 0;
    Lock lock;
};
Lock session_lock;
Engine engine;
Window window;
void one_constructor_two_members() {
    RUN(
        in_threads, [] { nest(engine.lock, session_lock); },
        [] { nest(session_lock, window.lock); });
}
void children_of_two_parents() {
    make_family();
    RUN(in_threads, parent_child, [] { nest(parents[1]->mutex, children[0]->mutex); });
}
void opposite_pairs_of_one_class() {
    RUN(
        in_turn, [] { nest(forks[0].mutex, forks[1].mutex); },
        [] { nest(forks[3].mutex, forks[2].mutex); });
}

}  // namespace

MAIN(CASE(init_function), CASE(new_struct), CASE(make_unique_struct), CASE(make_shared_struct),
     CASE(vector_elements), CASE(array_of_structs), CASE(globals_of_one_type), CASE(constructor),
     CASE(constructor_inlined), CASE(new_in_two_places), CASE(gone_before_the_end),
     CASE(read_and_written), CASE(two_types_of_one_layout), CASE(globals_without_a_type),
     CASE(made_apart_parent_first), CASE(made_apart_under_a_gate), CASE(made_apart_by_address),
     CASE(malloc_and_initializer), CASE(calloc_without_init), CASE(new_array), CASE(slab_with_init),
     CASE(array_of_mutexes_both_ways), CASE(array_of_mutexes_by_index), CASE(stack_objects),
     CASE(stack_objects_std), CASE(map_values), CASE(rwlock_members),
     CASE(std_shared_mutex_members), CASE(two_types), CASE(three_types_ring), CASE(after_destroy),
     CASE(object_and_global), CASE(same_pair_twice), CASE(dining_philosophers),
     CASE(philosophers_on_the_heap), CASE(transfer_both_ways), CASE(transfer_in_a_ring),
     CASE(first_lock_of_a_locked_pair), CASE(parent_and_child), CASE(hand_over_hand),
     CASE(ordered_by_address), CASE(philosopher_who_turns), CASE(members_in_order),
     CASE(two_types_in_order), CASE(transfer_down_a_chain), CASE(tree_of_depth_four),
     CASE(one_allocator_two_types), CASE(one_init_wrapper), CASE(one_lock_wrapper),
     CASE(one_constructor_two_members), CASE(children_of_two_parents),
     CASE(opposite_pairs_of_one_class))
