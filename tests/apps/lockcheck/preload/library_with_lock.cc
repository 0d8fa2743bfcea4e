// SPDX-License-Identifier: Apache-2.0
// A library with a static lock, for tests that unload it.
#include <pthread.h>

extern "C" {
extern pthread_mutex_t lock_of_library;
pthread_mutex_t lock_of_library = PTHREAD_MUTEX_INITIALIZER;
}
