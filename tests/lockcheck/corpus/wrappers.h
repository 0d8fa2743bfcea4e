// SPDX-License-Identifier: Apache-2.0
// Functions between a program and pthread_mutex_init(): the wrappers of a program, whose users are
// not of one class, and the init functions of a type, whose objects are. Built for several levels
// of optimisation, for one leaves no frame of a call at a function's end.
// Long because: it is a table of small cases.
#pragma once

#include <string.h>

#include <mutex>

#include "corpus.h"

#define APART __attribute__((noinline))

namespace {

pthread_mutex_t session = PTHREAD_MUTEX_INITIALIZER;

APART void nest(pthread_mutex_t* outer, pthread_mutex_t* inner) {
    lock(outer);
    meet(0);
    lock(inner);
    unlock(inner);
    unlock(outer);
}

// --- what the wrappers do ---
APART void checked_init(pthread_mutex_t* mutex) {
    if (pthread_mutex_init(mutex, nullptr) != 0) abort();
}
APART void plain_init(pthread_mutex_t* mutex) {
    pthread_mutex_init(mutex, nullptr);
}
APART int portable_init(pthread_mutex_t* mutex) {
    return pthread_mutex_init(mutex, nullptr);
}
APART void portable_init_or_end(pthread_mutex_t* mutex) {
    if (portable_init(mutex) != 0) {
        fprintf(stderr, "no mutex: %s\n", strerror(errno));
        abort();
    }
}
APART bool recursive_init(pthread_mutex_t* mutex) {
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_settype(&attribute, PTHREAD_MUTEX_RECURSIVE);
    const int status = pthread_mutex_init(mutex, &attribute);
    pthread_mutexattr_destroy(&attribute);
    return status == 0;
}

// --- two types of one layout, and one that is longer ---
struct Engine {
    static constexpr char kind = 1;
    pthread_mutex_t mutex;
    long speed;
};
struct Window {
    static constexpr char kind = 2;
    pthread_mutex_t mutex;
    long width;
};
struct Screen {
    static constexpr char kind = 3;
    pthread_mutex_t mutex;
    long sizes[5];
};
template <class Object, auto InitMutex>
APART Object* made() {
    auto* const object = static_cast<Object*>(malloc(sizeof(Object)));
    InitMutex(&object->mutex);
    // So that the compiler does not take one function for all types.
    reinterpret_cast<char*>(object)[sizeof(Object) - 1] = Object::kind;
    return object;
}
pthread_mutex_t *first, *second;

/// The engine's lock before the session's, the session's before the other type's.
template <class Other, auto InitMutex>
void use_two_types() {
    first = &made<Engine, InitMutex>()->mutex;
    second = &made<Other, InitMutex>()->mutex;
    RUN(in_threads, [] { nest(first, &session); }, [] { nest(&session, second); });
}
void checked_wrapper_two_types() {
    use_two_types<Window, checked_init>();
}
void wrapper_of_wrapper_two_types() {
    use_two_types<Window, portable_init_or_end>();
}
void recursive_wrapper_two_types() {
    use_two_types<Window, recursive_init>();
}
void plain_wrapper_two_sizes() {
    use_two_types<Screen, plain_init>();
}
void plain_wrapper_two_types() {
    use_two_types<Window, plain_init>();
}
void portable_wrapper_two_sizes() {
    use_two_types<Screen, portable_init>();
}

/// One type, whose objects one function makes: two locks in both orders, on different objects.
struct Account {
    pthread_mutex_t in, out;
    long money;
};
Account *one, *other;
void use_both_orders(Account* x, Account* y) {
    one = x;
    other = forced ? x : y;
    RUN(in_threads, [] { nest(&one->in, &one->out); }, [] { nest(&other->out, &other->in); });
}
template <auto InitMutex>
APART Account* made_account() {
    auto* const account = static_cast<Account*>(malloc(sizeof(Account)));
    InitMutex(&account->in);
    InitMutex(&account->out);
    account->money = 0;
    return account;
}
template <auto InitMutex>
void use_one_type() {
    Account* const x = made_account<InitMutex>();
    use_both_orders(x, made_account<InitMutex>());
}
void checked_wrapper_one_type() {
    use_one_type<checked_init>();
}
void plain_wrapper_one_type() {
    use_one_type<plain_init>();
}
void portable_wrapper_one_type() {
    use_one_type<portable_init>();
}

/// A type's init function over a wrapper, for objects that are made in two places.
template <auto InitMutex>
APART void account_init(Account* account) {
    InitMutex(&account->in);
    InitMutex(&account->out);
}
template <auto InitMutex>
APART void use_init_over_wrapper() {
    auto* const x = static_cast<Account*>(malloc(sizeof(Account)));
    account_init<InitMutex>(x);
    auto* const y = static_cast<Account*>(calloc(1, sizeof(Account)));
    account_init<InitMutex>(y);
    use_both_orders(x, y);
}
void init_over_checked_wrapper() {
    use_init_over_wrapper<checked_init>();
}
void init_over_portable_wrapper() {
    use_init_over_wrapper<portable_init_or_end>();
}

// --- init functions whose last call is that of the library ---
struct Queue {
    long length;
    pthread_mutex_t mutex;
};
struct Worker {
    pthread_mutex_t mutex;
    long number;
};
APART int queue_init(Queue* queue) {
    queue->length = 0;
    return pthread_mutex_init(&queue->mutex, nullptr);
}
APART int worker_init(Worker* worker) {
    worker->number = 1;
    return pthread_mutex_init(&worker->mutex, nullptr);
}
Queue* queues[2];
Worker* workers[2];
void use_queues_and_workers() {
    const int next = forced ? 0 : 1;
    static int chosen;
    chosen = next;
    RUN(
        in_threads, [] { nest(&queues[0]->mutex, &workers[0]->mutex); },
        [] { nest(&workers[chosen]->mutex, &queues[chosen]->mutex); });
}
APART void make_the_first() {
    queues[0] = static_cast<Queue*>(malloc(sizeof(Queue)));
    queue_init(queues[0]);
    workers[0] = static_cast<Worker*>(malloc(sizeof(Worker)));
    worker_init(workers[0]);
}
APART void make_the_next() {
    queues[1] = static_cast<Queue*>(calloc(1, sizeof(Queue)));
    check(queue_init(queues[1]) == 0);
    workers[1] = static_cast<Worker*>(calloc(1, sizeof(Worker)));
    check(worker_init(workers[1]) == 0);
}
void init_at_the_end() {
    make_the_first();
    make_the_next();
    use_queues_and_workers();
}
/// One place calls both through a pointer.
using AnyInit = int (*)(void*);
APART void* made_by_any(size_t size, AnyInit init) {
    void* const object = calloc(1, size);
    return init(object) == 0 ? object : nullptr;
}
struct Reader {
    pthread_mutex_t mutex;
    long name;
};
struct Writer {
    pthread_mutex_t mutex;
    long file;
};
APART int reader_init(void* object) {
    auto* const reader = static_cast<Reader*>(object);
    reader->name = 7;
    return pthread_mutex_init(&reader->mutex, nullptr);
}
APART int writer_init(void* object) {
    auto* const writer = static_cast<Writer*>(object);
    writer->file = 8;
    return pthread_mutex_init(&writer->mutex, nullptr);
}
void init_by_pointer() {
    first = &static_cast<Reader*>(made_by_any(sizeof(Reader), reader_init))->mutex;
    second = &static_cast<Writer*>(made_by_any(sizeof(Writer), writer_init))->mutex;
    RUN(in_threads, [] { nest(first, &session); }, [] { nest(&session, second); });
}

/// The lock is all that there is to initialise: a wrapper's code would be the same.
struct Cache {
    pthread_mutex_t mutex;
    int entries;
};
struct Item {
    pthread_mutex_t mutex;
    long keys[3];
};
APART void cache_init(Cache* cache) {
    pthread_mutex_init(&cache->mutex, nullptr);
}
APART void item_init(Item* item) {
    pthread_mutex_init(&item->mutex, nullptr);
}
Cache* caches[2];
Item* items[2];
APART void make_first_cache() {
    caches[0] = static_cast<Cache*>(malloc(sizeof(Cache)));
    items[0] = static_cast<Item*>(malloc(sizeof(Item)));
    cache_init(caches[0]);
    item_init(items[0]);
}
APART void make_next_cache() {
    caches[1] = static_cast<Cache*>(malloc(sizeof(Cache)));
    items[1] = static_cast<Item*>(malloc(sizeof(Item)));
    cache_init(caches[1]);
    item_init(items[1]);
}
void init_of_nothing_else() {
    make_first_cache();
    make_next_cache();
    static int chosen;
    chosen = forced ? 0 : 1;
    RUN(
        in_threads, [] { nest(&caches[0]->mutex, &items[0]->mutex); },
        [] { nest(&items[chosen]->mutex, &caches[chosen]->mutex); });
}

// --- a class of locks ---
class Mutex {
  public:
    APART Mutex() { pthread_mutex_init(&mutex_, nullptr); }
    pthread_mutex_t* get() { return &mutex_; }

  private:
    pthread_mutex_t mutex_;
};
class CheckedMutex {
  public:
    APART CheckedMutex() {
        if (pthread_mutex_init(&mutex_, nullptr) != 0) throw 1;
    }
    pthread_mutex_t* get() { return &mutex_; }

  private:
    pthread_mutex_t mutex_;
};
template <class Lock>
struct Sender {
    Lock lock;
    long count = 0;
};
template <class Lock>
struct Receiver {
    Lock lock;
    long count = 1;
};
template <class Lock>
struct Log {
    Lock lock;
    long lines[6] = {};
};
template <class Object>
APART Object* constructed() {
    return new Object;
}
template <class A, class B>
void use_members() {
    first = constructed<A>()->lock.get();
    second = constructed<B>()->lock.get();
    RUN(in_threads, [] { nest(first, &session); }, [] { nest(&session, second); });
}
void lock_class_two_sizes() {
    use_members<Sender<Mutex>, Log<Mutex>>();
}
void checked_lock_class_two_types() {
    use_members<Sender<CheckedMutex>, Receiver<CheckedMutex>>();
}
void lock_class_two_types() {
    use_members<Sender<Mutex>, Receiver<Mutex>>();
}
template <class Lock>
struct Folder {
    Lock in, out;
    long files = 0;
};
template <class Lock>
void use_folders() {
    static Folder<Lock>*x, *y;
    x = constructed<Folder<Lock>>();
    y = forced ? x : constructed<Folder<Lock>>();
    RUN(
        in_threads, [] { nest(x->in.get(), x->out.get()); },
        [] { nest(y->out.get(), y->in.get()); });
}
void lock_class_one_type() {
    use_folders<Mutex>();
}
void checked_lock_class_one_type() {
    use_folders<CheckedMutex>();
}
Mutex global_a, global_b;
CheckedMutex checked_a, checked_b;
template <class Lock>
void use_globals(Lock& a, Lock& b) {
    first = a.get();
    second = b.get();
    RUN(in_threads, [] { nest(first, &session); }, [] { nest(&session, second); });
}
void lock_class_globals() {
    use_globals(global_a, global_b);
    use_globals(checked_a, checked_b);
}

// --- spinlocks, which are small enough for blocks that are not noted ---
struct Counter {
    pthread_spinlock_t lock;
    int count;
};
APART Counter* new_counter() {
    auto* const counter = static_cast<Counter*>(malloc(sizeof(Counter)));
    pthread_spin_init(&counter->lock, PTHREAD_PROCESS_PRIVATE);
    counter->count = 0;
    return counter;
}
APART pthread_spinlock_t* new_spinlock() {
    auto* const lock = static_cast<pthread_spinlock_t*>(malloc(sizeof(pthread_spinlock_t)));
    pthread_spin_init(lock, PTHREAD_PROCESS_PRIVATE);
    return lock;
}
pthread_spinlock_t *small, *next_small;
void small_then_session() {
    spin_lock(small);
    meet(0);
    lock(&session);
    unlock(&session);
    spin_unlock(small);
}
void session_then_small() {
    lock(&session);
    meet(0);
    spin_lock(next_small);
    spin_unlock(next_small);
    unlock(&session);
}
void spinlock_in_small_struct() {
    small = &new_counter()->lock;
    next_small = forced ? small : &new_counter()->lock;
    RUN(in_threads, small_then_session, session_then_small);
}
APART void make_small_spinlock() {
    small = new_spinlock();
}
APART void make_next_spinlock() {
    next_small = new_spinlock();
}
void spinlocks_of_one_maker() {
    make_small_spinlock();
    make_next_spinlock();
    RUN(in_threads, small_then_session, session_then_small);
}

}  // namespace

#define LEVEL_CASE(name) {#name LEVEL, name}
MAIN(LEVEL_CASE(checked_wrapper_two_types), LEVEL_CASE(wrapper_of_wrapper_two_types),
     LEVEL_CASE(recursive_wrapper_two_types), LEVEL_CASE(plain_wrapper_two_sizes),
     LEVEL_CASE(plain_wrapper_two_types), LEVEL_CASE(portable_wrapper_two_sizes),
     LEVEL_CASE(init_by_pointer), LEVEL_CASE(lock_class_two_sizes),
     LEVEL_CASE(lock_class_two_types), LEVEL_CASE(checked_lock_class_two_types),
     LEVEL_CASE(lock_class_globals), LEVEL_CASE(spinlocks_of_one_maker),
     LEVEL_CASE(checked_wrapper_one_type), LEVEL_CASE(plain_wrapper_one_type),
     LEVEL_CASE(portable_wrapper_one_type), LEVEL_CASE(init_over_checked_wrapper),
     LEVEL_CASE(init_over_portable_wrapper), LEVEL_CASE(init_at_the_end),
     LEVEL_CASE(init_of_nothing_else), LEVEL_CASE(lock_class_one_type),
     LEVEL_CASE(checked_lock_class_one_type), LEVEL_CASE(spinlock_in_small_struct))
