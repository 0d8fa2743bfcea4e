// SPDX-License-Identifier: Apache-2.0
// Functions that do the same for two types, of which the compiler makes one: whose objects they
// make is seen neither in the code nor by the name that debug information has for it.
// build: -O2
// case: folded_factories | silent | A before C, C before B: A and B come from two functions that are one in the code
// case: folded_and_inlined | silent | the same, and that one is copied into its callers
// case: folded_same_objects | order | both orders of the same two objects that come from such functions
// case: folded_other_size | order | two types of several sizes, whose init functions are one in the code
#include "corpus.h"

namespace {

pthread_mutex_t session = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *first, *second, *third;

__attribute__((noinline)) void nest(pthread_mutex_t* outer, pthread_mutex_t* inner) {
    lock(outer);
    meet(0);
    lock(inner);
    unlock(inner);
    unlock(outer);
}

struct Engine {
    pthread_mutex_t mutex;
    int speed;
};
struct Window {
    pthread_mutex_t mutex;
    int width;
};
template <class Object>
inline __attribute__((always_inline)) Object* made() {
    auto* const object = static_cast<Object*>(malloc(sizeof(Object)));
    pthread_mutex_init(&object->mutex, nullptr);
    return object;
}
__attribute__((noinline)) Engine* new_engine() {
    return made<Engine>();
}
__attribute__((noinline)) Window* new_window() {
    return made<Window>();
}
void over_and_under_session() {
    RUN(in_threads, [] { nest(first, &session); }, [] { nest(&session, second); });
}
void folded_factories() {
    first = &new_engine()->mutex;
    second = &new_window()->mutex;
    over_and_under_session();
}
Engine* small_engine() {
    auto* const object = static_cast<Engine*>(malloc(sizeof(Engine)));
    pthread_mutex_init(&object->mutex, nullptr);
    return object;
}
Window* small_window() {
    auto* const object = static_cast<Window*>(malloc(sizeof(Window)));
    pthread_mutex_init(&object->mutex, nullptr);
    return object;
}
void folded_and_inlined() {
    first = &small_engine()->mutex;
    second = &small_window()->mutex;
    over_and_under_session();
}
void folded_same_objects() {
    first = &new_engine()->mutex;
    second = &new_window()->mutex;
    RUN(in_threads, [] { nest(first, second); }, [] { nest(second, first); });
}

struct Box {
    pthread_mutex_t mutex;
    int width;
};
struct Chest {
    pthread_mutex_t mutex;
    long width, height, depth;
};
__attribute__((noinline)) void box_init(Box* box) {
    pthread_mutex_init(&box->mutex, nullptr);
}
__attribute__((noinline)) void chest_init(Chest* chest) {
    pthread_mutex_init(&chest->mutex, nullptr);
}
__attribute__((noinline)) Box* new_box() {
    auto* const box = static_cast<Box*>(malloc(sizeof(Box)));
    box_init(box);
    box->width = 1;
    return box;
}
__attribute__((noinline)) Chest* new_chest() {
    auto* const chest = static_cast<Chest*>(malloc(sizeof(Chest)));
    chest_init(chest);
    chest->depth = 2;
    return chest;
}
pthread_mutex_t* fourth;
void folded_other_size() {
    first = &new_box()->mutex;
    second = &new_chest()->mutex;
    third = forced ? second : &new_chest()->mutex;
    fourth = forced ? first : &new_box()->mutex;
    RUN(in_threads, [] { nest(first, second); }, [] { nest(third, fourth); });
}

}  // namespace

MAIN(CASE(folded_factories), CASE(folded_and_inlined), CASE(folded_same_objects),
     CASE(folded_other_size))
