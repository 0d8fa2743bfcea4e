// SPDX-License-Identifier: Apache-2.0
// A library with two locks of its own, for dlopen.
#include <pthread.h>

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;

/// Locks both, and calls back in between; `turned`: the other way round.
void plugin_use(int turned, void (*between)(void)) {
    pthread_mutex_t* outer = turned ? &second : &first;
    pthread_mutex_t* inner = turned ? &first : &second;
    pthread_mutex_lock(outer);
    between();
    pthread_mutex_lock(inner);
    pthread_mutex_unlock(inner);
    pthread_mutex_unlock(outer);
}

void* plugin_first(void) {
    return &first;
}
