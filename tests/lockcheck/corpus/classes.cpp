// SPDX-License-Identifier: Apache-2.0
// Classes of locks whose objects never meet twice: opposite orders over any objects are a ring.
// Here: how the objects are made. Forced, both paths get the same object, and hang.
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
// case: stack_objects | order | objects in two frames, made by an init function
// case: stack_objects_std | order | objects in two frames, std::mutex members: debug information tells their type
// case: gone_before_the_end | order | objects by new in two functions, deleted before the program ends
// case: read_and_written | recursive-read | a global fair rwlock member read twice, that of an object by new is written
// case: map_values | order | values of one std::map
// case: rwlock_members | order | rwlock members made by an init function, for writing
// case: std_shared_mutex_members | order | std::shared_mutex members of heap objects, for writing
// case: after_destroy | order | the first object is destroyed before the second is made: the class stays
// case: members_in_order | silent | in before out on all objects
// case: made_apart_under_a_gate | silent | opposite orders over objects made in two functions, under one gate
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "corpus.h"
#include "nest.h"

namespace {

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

void members_in_order() {
    Accounts::run_in_order(new_account(), new_account());
}

}  // namespace

MAIN(CASE(init_function), CASE(new_struct), CASE(make_unique_struct), CASE(make_shared_struct),
     CASE(vector_elements), CASE(array_of_structs), CASE(globals_of_one_type), CASE(constructor),
     CASE(constructor_inlined), CASE(new_in_two_places), CASE(malloc_and_initializer),
     CASE(calloc_without_init), CASE(new_array), CASE(slab_with_init), CASE(stack_objects),
     CASE(stack_objects_std), CASE(gone_before_the_end), CASE(read_and_written), CASE(map_values),
     CASE(rwlock_members), CASE(std_shared_mutex_members), CASE(after_destroy),
     CASE(members_in_order), CASE(made_apart_under_a_gate))
