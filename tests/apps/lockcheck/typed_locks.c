// SPDX-License-Identifier: Apache-2.0
// The same in C: see typed_locks.cc.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

void say(const char* name, const void* lock);

#define FAR __attribute__((noinline))

struct account {
    long money;
    pthread_mutex_t mutex;
};
typedef struct {
    long names[5];
    pthread_rwlock_t lock;
} directory;
struct first {
    pthread_mutex_t mutex;
    long of_two[11];
};
struct second {
    pthread_mutex_t mutex;
    long of_two[11];
};
struct lonely {  // No other is as big.
    long more[23];
    pthread_mutex_t mutex;
};
struct only_lock {
    pthread_mutex_t mutex;
};
struct twice {
    pthread_mutex_t in, out;
    long more[31];
};
struct my_lock {
    pthread_mutex_t mutex;
    int owner;
};
struct printer {
    long more[2];
    struct my_lock lock;
};

struct server {  // Alike, and as big as a client.
    long more[3];
    pthread_mutex_t mutex;
};
struct client {
    long more[3];
    pthread_mutex_t mutex;
};
struct shared {
    pthread_mutex_t mutex;
    long more[7];
};
struct user {
    struct shared* shared;
    pthread_mutex_t mutex;
};
struct tall {  // No other is as big.
    pthread_mutex_t mutex;
    char more[1000];
};

static struct account account, accounts[4];
static directory directories[2];
static pthread_mutex_t bare, bares[2];
static struct printer wrapped;

void *keep_a, *keep_b;
struct server *known, *other;
struct client* guest;
struct account* table[4];

static FAR void init_account(struct account* a) {
    pthread_mutex_init(&a->mutex, NULL);
}
static FAR void init_my_lock(struct my_lock* lock) {
    pthread_mutex_init(&lock->mutex, NULL);
}
static FAR void portable_init(pthread_mutex_t* mutex) {
    pthread_mutex_init(mutex, NULL);
}
static FAR void init_twice(struct twice* two) {
    portable_init(&two->in);
    portable_init(&two->out);
}
static FAR struct account* make_account(void) {
    struct account* a = malloc(sizeof *a);
    memset(a, 0, sizeof *a);
    return a;
}
static FAR struct account* make_cleared(void) {
    struct account* a = calloc(1, sizeof *a);
    return a;
}
static FAR void make_table(void) {
    for (int i = 0; i < 4; ++i) table[i] = calloc(1, sizeof(struct account));
}
static FAR void make_lonely(void) {
    keep_a = calloc(1, sizeof(struct lonely));
}
static FAR void make_two(void) {
    keep_a = calloc(1, sizeof(struct first));
    keep_b = calloc(1, sizeof(struct second));
}
static FAR void* xmalloc(size_t bytes) {
    void* block = malloc(bytes);
    if (block == NULL) abort();
    return block;
}
static FAR void make_by_xmalloc(void) {
    struct first* one = xmalloc(sizeof *one);
    struct second* two = xmalloc(sizeof *two);
    memset(one, 0, sizeof *one);
    memset(two, 0, sizeof *two);
    say("xmalloc_first", &one->mutex);
    say("xmalloc_second", &two->mutex);
}
static FAR struct server* make_other(void) {
    guest = calloc(1, sizeof *guest);
    return known;
}
static FAR void make_beside(struct server* beside) { keep_a = beside; guest = calloc(1, sizeof *guest); }
static FAR void make_raw(void) {
    char* bytes = malloc(sizeof(struct tall));
    memset(bytes, 0, sizeof(struct tall));
    say("raw", bytes);
}
static FAR void* make_unknown(void) {
    return calloc(1, sizeof(struct client));
}
static FAR struct client* make_returned(void) {
    return calloc(1, sizeof(struct client));
}
static FAR void init_pointed(struct user* user) {
    pthread_mutex_init(&user->shared->mutex, NULL);
}
static FAR void make_pointed(void) {
    struct user* user = calloc(3, sizeof *user);
    user->shared = calloc(5, sizeof *user->shared);
    ++user->shared;
    init_pointed(user);
    say("init_pointed", user->shared);
}
static FAR void make_local(void) {
    struct account local;
    pthread_mutex_init(&local.mutex, NULL);
    say("init_local", &local.mutex);
    struct account many[3];
    init_account(&many[1]);
    say("init_local_by_function", &many[1].mutex);
}
static FAR void make_bare(void) {
    keep_a = calloc(1, sizeof(pthread_mutex_t));
    say("malloc_bare", keep_a);
    keep_b = calloc(1, sizeof(struct only_lock));
    say("malloc_only_lock", keep_b);
}
static FAR void make_with_init(void) {
    struct account* a = malloc(sizeof *a);
    pthread_mutex_init(&a->mutex, NULL);
    say("init", &a->mutex);
    struct account* b = malloc(sizeof *b);
    init_account(b);
    say("init_by_function", &b->mutex);
    struct account* many = malloc(7 * sizeof *many);
    init_account(&many[3]);
    say("init_array", &many[3].mutex);
    struct printer* c = malloc(sizeof *c);
    init_my_lock(&c->lock);
    say("init_my_lock", &c->lock);
    struct twice* d = malloc(sizeof *d);
    init_twice(d);
    say("init_in", &d->in);
    say("init_out", &d->out);
    pthread_mutex_t* e = malloc(sizeof *e);
    portable_init(e);
    say("init_bare", e);
}

int main(void) {
    say("static", &account.mutex);
    say("static_array", &accounts[3].mutex);
    say("static_rwlock", &directories[1].lock);
    say("static_bare", &bare);
    say("static_bares", &bares[1]);
    say("static_wrapped", &wrapped.lock);
    say("malloc", &make_account()->mutex);
    say("calloc", &make_cleared()->mutex);
    make_table();
    say("table", &table[1]->mutex);
    make_lonely();
    say("lonely", &((struct lonely*)keep_a)->mutex);
    make_two();
    say("one_of_two", &((struct first*)keep_a)->mutex);
    say("other_of_two", &((struct second*)keep_b)->mutex);
    make_by_xmalloc();
    known = calloc(1, sizeof *known);
    say("stored_server", &known->mutex);
    guest = calloc(1, sizeof *guest);
    say("stored_client", &guest->mutex);
    other = make_other();
    say("returns_other", &guest->mutex);
    make_beside(known);
    say("beside_other", &guest->mutex);
    make_raw();
    keep_b = make_unknown();
    say("unknown", &((struct client*)keep_b)->mutex);
    guest = make_returned();
    say("returned", &guest->mutex);
    make_pointed();
    make_local();
    make_bare();
    make_with_init();
    return 0;
}
