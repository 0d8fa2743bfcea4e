// SPDX-License-Identifier: Apache-2.0
// Functions that initialise locks, or have some in their frames: place_evidence_test.cc asks what
// they tell. Prints NAME ADDRESS of those that initialise, and NAME ADDRESS BYTES where a lock is so
// many bytes below the end of the function's frame. To be linked at fixed addresses.
#include <pthread.h>
#include <stdio.h>

#define FAR __attribute__((noinline))

struct account {
    long money;
    pthread_mutex_t mutex;
};
struct ledger {  // Alike.
    long lines;
    pthread_mutex_t mutex;
};
struct client {  // As big as an account.
    pthread_mutex_t mutex;
    long money;
};
struct pair {
    pthread_mutex_t in, out;
    long more;
};
struct shared {
    pthread_mutex_t mutex;
    long more[7];
};
struct user {
    struct shared* shared;
    pthread_mutex_t mutex;
};
struct holder {  // Has none, but knows one.
    struct shared* shared;
    long more[2];
};
struct plain {
    long money[4];
};

void init(void* lock);
FAR void init(void* lock) {
    __asm__ volatile("" ::"r"(lock) : "memory");
}

static FAR void init_account(struct account* a) {
    init(&a->mutex);
}
static FAR void init_pair(struct pair* a) {
    init(&a->in);
    init(&a->out);
}
static FAR void init_user(struct user* a) {
    init(&a->mutex);
}
static FAR void init_one_of_two(struct account* a, struct ledger* b) {
    init(&a->mutex);
    __asm__ volatile("" ::"r"(b) : "memory");
}
static FAR void init_beside_client(struct account* a, struct client* b) {
    init(&a->mutex);
    __asm__ volatile("" ::"r"(b) : "memory");
}
static FAR void init_beside_plain(struct plain* a, struct account* b) {
    init(&b->mutex);
    __asm__ volatile("" ::"r"(a) : "memory");
}
static FAR void init_beside_holder(struct account* a, struct holder* b) {
    init(&a->mutex);
    __asm__ volatile("" ::"r"(b) : "memory");
}
static FAR void init_untyped(void* lock) {
    init(lock);
}
static FAR void wrapper(pthread_mutex_t* lock) {
    init(lock);
}
extern const char in_inlined_wrapper[];
static inline __attribute__((always_inline)) void inlined_wrapper(pthread_mutex_t* lock) {
    __asm__ volatile("in_inlined_wrapper: nop" ::: "memory");
    init(lock);
}
static FAR void init_by_inlined(struct client* a) {
    inlined_wrapper(&a->mutex);
    __asm__ volatile("" ::"r"(a) : "memory");
}

static void say_in(const char* name, const void* function, const void* end, const void* lock) {
    printf("%s %p %ld\n", name, function, (long)((const char*)end - (const char*)lock));
}
static FAR void in_frame(void) {
    struct account here;
    init(&here.mutex);
    say_in("in_frame", (const void*)&in_frame, __builtin_dwarf_cfa(), &here.mutex);
}
static FAR void in_array(void) {
    struct account many[3];
    init(many);
    say_in("in_array", (const void*)&in_array, __builtin_dwarf_cfa(), &many[2].mutex);
}
static FAR void bare_in_frame(void) {
    pthread_mutex_t lock;
    init(&lock);
    say_in("bare_in_frame", (const void*)&bare_in_frame, __builtin_dwarf_cfa(), &lock);
}
// Both at one place, as far as the compiler is allowed to.
static FAR void one_after_other(int which) {
    if (which) {
        struct account here;
        init(&here);
        say_in("one", (const void*)&one_after_other, __builtin_dwarf_cfa(), &here);
        init(&here);
    } else {
        struct client here;
        init(&here);
        say_in("other", (const void*)&one_after_other, __builtin_dwarf_cfa(), &here);
        init(&here);
    }
}

#define SAY(function) printf(#function " %p\n", (const void*)&(function))

int main(void) {
    struct account account;
    struct ledger ledger;
    struct client client;
    struct pair pair;
    struct user user;
    struct holder holder;
    struct plain plain;
    init_account(&account);
    init_pair(&pair);
    init_user(&user);
    init_one_of_two(&account, &ledger);
    init_beside_client(&account, &client);
    init_beside_plain(&plain, &account);
    init_beside_holder(&account, &holder);
    init_untyped(&account.mutex);
    wrapper(&account.mutex);
    init_by_inlined(&client);
    SAY(init_account);
    SAY(init_pair);
    SAY(init_user);
    SAY(init_one_of_two);
    SAY(init_beside_client);
    SAY(init_beside_plain);
    SAY(init_beside_holder);
    SAY(init_untyped);
    SAY(wrapper);
    SAY(in_inlined_wrapper);
    in_frame();
    in_array();
    bare_in_frame();
    one_after_other(0);
    one_after_other(1);
    return 0;
}
