// SPDX-License-Identifier: Apache-2.0
// Libraries that come and go, with their locks.
// library: plugin.c
// build: -ldl
// case: plugin_both_orders | order | the library's own two locks, both orders
// case: plugin_and_program | order | the program's lock before the library's, and the other way round
// case: plugin_loaded_again | silent | unloaded and loaded again: the old locks are gone | noproof
// case: plugin_unloaded_memory | silent | a lock of the program comes to where the library was | noproof
// case: plugin_in_order | silent | one order only
#include <dlfcn.h>
#include <sys/mman.h>

#include "corpus.h"

static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
static void* library;
static void (*plugin_use)(int, void (*)(void));
static void* (*plugin_first)(void);

static void load(void) {
    library = dlopen(getenv("CORPUS_LIBRARY"), RTLD_NOW);
    check(library);
    *(void**)&plugin_use = dlsym(library, "plugin_use");
    *(void**)&plugin_first = dlsym(library, "plugin_first");
    check(plugin_use && plugin_first);
}
static void meet_0(void) {
    meet(0);
}
static void straight(void) {
    plugin_use(0, meet_0);
}
static void turned(void) {
    plugin_use(1, meet_0);
}

static void plugin_both_orders(void) {
    load();
    RUN(in_threads, straight, turned);
}
static void plugin_in_order(void) {
    load();
    RUN(in_threads, straight, straight);
    dlclose(library);
}
static void own_then_library(void) {
    lock(&own);
    meet(0);
    lock(plugin_first());
    unlock(plugin_first());
    unlock(&own);
}
static void library_then_own(void) {
    lock(plugin_first());
    meet(0);
    lock(&own);
    unlock(&own);
    unlock(plugin_first());
}
static void plugin_and_program(void) {
    load();
    RUN(in_threads, own_then_library, library_then_own);
}

// Where the library was comes another mapping, or the library itself: not the locks of before.
static void plugin_loaded_again(void) {
    load();
    void* const before = plugin_first();
    own_then_library();
    dlclose(library);
    load();
    check_usual(plugin_first() == before);
    own_then_library();
}
static void plugin_unloaded_memory(void) {
    load();
    char* const before = plugin_first();
    char* const page = (char*)((uintptr_t)before & ~(uintptr_t)4095);
    straight();
    own_then_library();
    dlclose(library);
    char* const mapped = mmap(page, 4096, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    check_usual(mapped == page);
    if (mapped != page) return;
    pthread_mutex_t* const mutex = (pthread_mutex_t*)before;
    pthread_mutex_init(mutex, NULL);
    lock(mutex);
    lock(&own);
    unlock(&own);
    unlock(mutex);
}

MAIN(CASE(plugin_both_orders), CASE(plugin_and_program), CASE(plugin_loaded_again),
     CASE(plugin_unloaded_memory), CASE(plugin_in_order))
