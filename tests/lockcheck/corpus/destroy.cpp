// SPDX-License-Identifier: Apache-2.0
// Locks that are destroyed, freed or made anew while somebody holds them.
// case: destroy_held_mutex | destroy-held | EBUSY
// case: destroy_held_by_another | destroy-held | another thread holds it
// case: destroy_read_held_rwlock | destroy-held | held for reading
// case: destroy_write_held_rwlock | destroy-held | held for writing
// case: destroy_held_spinlock | destroy-held | a spinlock
// case: destroy_held_recursive | destroy-held | locked twice, unlocked once
// case: free_held | destroy-held | free() of a block with a held mutex in it
// case: delete_held | destroy-held | delete of an object with a held std::mutex
// case: destroy_then_unlock | destroy-held | an object is torn down under its own lock, which is given up later
// case: realloc_held | destroy-held | realloc() moves a block with a held mutex away
// case: init_held_again | destroy-held | pthread_mutex_init on a mutex that is held
// case: init_held_spinlock_again | destroy-held | pthread_spin_init on a spinlock that is held
// case: list_element_gone_held | destroy-held | the last element of a container goes, held
// case: munmap_held | open | the mapping goes with a held lock in it: rule 7, or as free()
// case: frame_left_held | open | a function returns with its own local lock held
// case: destroy_free | silent | locked, unlocked, destroyed, many times
// case: destroy_by_another | silent | one thread uses it, another destroys it later
// case: free_after_destroy | silent | destroyed, then freed
// case: init_again | silent | made anew while nobody holds it
// case: delete_after_use | silent | used by a thread, deleted after it has ended
// case: realloc_free_lock | silent | realloc() moves a block with a lock that nobody holds
// case: free_other_block_while_held | silent | a lock is held while other memory is freed
// case: destroy_inner_under_outer | silent | the table is locked while its element is destroyed
#include <sys/mman.h>

#include <list>
#include <memory>
#include <mutex>

#include "corpus.h"

namespace {

pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_spinlock_t spin;
pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

struct Session {
    char name[40] = "";
    std::mutex mutex;
};
struct PlainSession {
    char name[40];
    pthread_mutex_t mutex;
};
PlainSession* plain_session() {
    auto* session = static_cast<PlainSession*>(malloc(sizeof(PlainSession)));
    pthread_mutex_init(&session->mutex, nullptr);
    return session;
}

void destroy_held_mutex() {
    lock(&a);
    check(pthread_mutex_destroy(&a) == EBUSY);
    unlock(&a);
}
void destroy_held_by_another() {
    RUN(
        at_once,
        [] {
            lock(&a);
            tell(1);
            hear(2);
            unlock(&a);
        },
        [] {
            hear(1);
            (void)pthread_mutex_destroy(&a);
            tell(2);
        });
}
void destroy_read_held_rwlock() {
    read_lock(&rwlock);
    pthread_rwlock_destroy(&rwlock);
}
void destroy_write_held_rwlock() {
    write_lock(&rwlock);
    pthread_rwlock_destroy(&rwlock);
}
void destroy_held_spinlock() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    spin_lock(&spin);
    pthread_spin_destroy(&spin);
}
void destroy_held_recursive() {
    lock(&recursive);
    lock(&recursive);
    unlock(&recursive);
    check(pthread_mutex_destroy(&recursive) == EBUSY);
}
void free_held() {
    PlainSession* session = plain_session();
    lock(&session->mutex);
    free(session);
}
void delete_held() {
    auto* session = new Session;
    session->mutex.lock();
    delete session;
}
void destroy_then_unlock() {
    auto* session = plain_session();
    lock(&session->mutex);
    (void)pthread_mutex_destroy(&session->mutex);
    unlock(&session->mutex);
    free(session);
}
void realloc_held() {
    PlainSession* session = plain_session();
    void* const behind = malloc(100);
    lock(&session->mutex);
    void* const moved = realloc(session, 1 << 20);
    check(moved != static_cast<void*>(session));
    free(moved);
    free(behind);
}
void init_held_again() {
    static pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, nullptr);
    lock(&mutex);
    pthread_mutex_init(&mutex, nullptr);
    lock(&mutex);
    unlock(&mutex);
}
void init_held_spinlock_again() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    spin_lock(&spin);
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
}
void list_element_gone_held() {
    std::list<Session> sessions(3);
    sessions.back().mutex.lock();
    sessions.pop_back();
}
void munmap_held() {
    void* const page =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto* mutex = static_cast<pthread_mutex_t*>(page);
    pthread_mutex_init(mutex, nullptr);
    lock(mutex);
    munmap(page, 4096);
}
__attribute__((noinline)) void leave_held() {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    lock(&mutex);
}
void frame_left_held() {
    leave_held();
}

void destroy_free() {
    for (int i = 0; i < 100; ++i) {
        pthread_mutex_t mutex;
        pthread_mutex_init(&mutex, nullptr);
        lock(&mutex);
        unlock(&mutex);
        check(pthread_mutex_destroy(&mutex) == 0);
    }
}
void destroy_by_another() {
    RUN(
        at_once,
        [] {
            lock(&a);
            unlock(&a);
            tell(1);
        },
        [] {
            hear(1);
            check(pthread_mutex_destroy(&a) == 0);
        });
}
void free_after_destroy() {
    PlainSession* session = plain_session();
    lock(&session->mutex);
    unlock(&session->mutex);
    pthread_mutex_destroy(&session->mutex);
    free(session);
}
void init_again() {
    static pthread_mutex_t mutex;
    for (int i = 0; i < 3; ++i) {
        pthread_mutex_init(&mutex, nullptr);
        lock(&mutex);
        unlock(&mutex);
    }
}
Session* used;
void delete_after_use() {
    used = new Session;
    RUN(in_threads, [] { std::lock_guard hold(used->mutex); });
    delete used;
}
void realloc_free_lock() {
    PlainSession* session = plain_session();
    lock(&session->mutex);
    unlock(&session->mutex);
    free(realloc(session, 1 << 20));
}
void free_other_block_while_held() {
    PlainSession* session = plain_session();
    PlainSession* other = plain_session();
    lock(&session->mutex);
    free(other);
    unlock(&session->mutex);
    free(session);
}
void destroy_inner_under_outer() {
    PlainSession* session = plain_session();
    lock(&a);
    lock(&session->mutex);
    unlock(&session->mutex);
    pthread_mutex_destroy(&session->mutex);
    free(session);
    unlock(&a);
}

}  // namespace

MAIN(CASE(destroy_held_mutex), CASE(destroy_held_by_another), CASE(destroy_read_held_rwlock),
     CASE(destroy_write_held_rwlock), CASE(destroy_held_spinlock), CASE(destroy_held_recursive),
     CASE(free_held), CASE(delete_held), CASE(destroy_then_unlock), CASE(realloc_held),
     CASE(init_held_again), CASE(init_held_spinlock_again), CASE(list_element_gone_held),
     CASE(munmap_held), CASE(frame_left_held), CASE(destroy_free), CASE(destroy_by_another),
     CASE(free_after_destroy), CASE(init_again), CASE(delete_after_use), CASE(realloc_free_lock),
     CASE(free_other_block_while_held), CASE(destroy_inner_under_outer))
