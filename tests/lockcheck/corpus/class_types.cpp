// SPDX-License-Identifier: Apache-2.0
// Locks of several types, and what only looks like one class.
// Forced, both paths get the same objects, and hang.
// case: two_types | order | two types of objects: parents before children, children before other parents
// case: three_types_ring | order | a ring of three types, all objects differ
// case: object_and_global | order | a member before a global lock, the global before the member of another object
// case: two_types_in_order | silent | parents before children on all objects
// case: one_allocator_two_types | silent | A before C, C before B: A and B come from one function that allocates
// case: one_init_wrapper | silent | A before C, C before B: A and B were made by one wrapper of pthread_mutex_init
// case: one_lock_wrapper | silent | A before C, C before B: A and B are global and locked by one function
// case: one_constructor_two_members | silent | A before C, C before B: A and B are members of a lock class with a constructor
// case: children_of_two_parents | silent | a child's lock under each of two parents' locks
// case: two_types_of_one_layout | silent | A before C, C before B: A and B are members of two types of one layout, made in one function
// case: globals_without_a_type | silent | A before C, C before B: all are global mutexes on their own
#include <mutex>
#include <new>

#include "corpus.h"
#include "nest.h"

namespace {

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

std::mutex table;
void object_and_global() {
    make_family();
    RUN(
        in_threads, [] { nest(parents[0]->mutex, table); },
        [] { nest(table, parents[another]->mutex); });
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

}  // namespace

MAIN(CASE(two_types), CASE(three_types_ring), CASE(object_and_global), CASE(two_types_in_order),
     CASE(one_allocator_two_types), CASE(one_init_wrapper), CASE(one_lock_wrapper),
     CASE(one_constructor_two_members), CASE(children_of_two_parents),
     CASE(two_types_of_one_layout), CASE(globals_without_a_type))
