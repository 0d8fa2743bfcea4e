// SPDX-License-Identifier: Apache-2.0
// Remembers who asked for each block and initialised each mutex of a small program, and prints it:
// NAME static ADDRESS, or NAME heap|stack MADE BLOCK OFFSET RETURN_ADDRESS...
// Addresses are less the load bias. tests/apps/lockcheck/lock_types_test.cc reads it.
#define _GNU_SOURCE
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { frames_max = 16, makings_max = 4096 };

struct making {
    char* begin;
    size_t bytes;
    int count;
    void* frames[frames_max];
};
static struct making blocks[makings_max], inits[makings_max];
static int blocks_count, inits_count, busy;
static uintptr_t bias, first = UINTPTR_MAX, last;

extern void* __libc_malloc(size_t bytes);
extern void* __libc_calloc(size_t count, size_t bytes);

static void note(struct making* all, int* count, void* begin, size_t bytes, void* caller) {
    if (busy || *count == makings_max) return;
    busy = 1;
    struct making* made = &all[(*count)++];
    void* frames[frames_max + 8];
    const int all_frames = backtrace(frames, frames_max + 8);
    int from = 0;
    while (from < all_frames && frames[from] != caller) ++from;
    made->begin = begin;
    made->bytes = bytes;
    for (; from < all_frames && made->count < frames_max; ++from)
        made->frames[made->count++] = frames[from];
    busy = 0;
}

#define CALLER __builtin_return_address(0)

void* malloc(size_t bytes) {
    void* block = __libc_malloc(bytes);
    note(blocks, &blocks_count, block, bytes, CALLER);
    return block;
}
void* calloc(size_t count, size_t bytes) {
    void* block = __libc_calloc(count, bytes);
    note(blocks, &blocks_count, block, count * bytes, CALLER);
    return block;
}
// operator new and operator new[].
void* _Znwm(size_t bytes) {
    void* block = __libc_malloc(bytes);
    note(blocks, &blocks_count, block, bytes, CALLER);
    return block;
}
void* _Znam(size_t bytes) {
    void* block = __libc_malloc(bytes);
    note(blocks, &blocks_count, block, bytes, CALLER);
    return block;
}
int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
    (void)attributes;
    memset(mutex, 0, sizeof *mutex);
    note(inits, &inits_count, mutex, sizeof *mutex, CALLER);
    return 0;
}

static int look(struct dl_phdr_info* info, size_t size, void* data) {
    (void)size;
    (void)data;
    bias = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        const uintptr_t begin = bias + info->dlpi_phdr[i].p_vaddr;
        if (begin < first) first = begin;
        if (begin + info->dlpi_phdr[i].p_memsz > last) last = begin + info->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

/// The last that was noted: memory is used again.
static struct making* find(struct making* all, int count, const char* address) {
    for (int i = count; i-- > 0;)
        if (address >= all[i].begin && address < all[i].begin + all[i].bytes) return &all[i];
    return NULL;
}

void say(const char* name, const void* lock) {
    if (last == 0) dl_iterate_phdr(look, NULL);
    const uintptr_t at = (uintptr_t)lock;
    if (at >= first && at < last) {
        printf("%s static %#lx\n", name, at - bias);
        return;
    }
    const struct making* block = find(blocks, blocks_count, lock);
    const struct making* init = find(inits, inits_count, lock);
    const struct making* made = init ? init : block;
    printf("%s %s %s %zu %zu", name, block ? "heap" : "stack", init ? "init" : "made",
           block ? block->bytes : 0, block ? (size_t)((const char*)lock - block->begin) : 0);
    for (int i = 0; made != NULL && i < made->count; ++i)
        if ((uintptr_t)made->frames[i] >= first && (uintptr_t)made->frames[i] < last)
            printf(" %#lx", (uintptr_t)made->frames[i] - bias);
    printf("\n");
}
