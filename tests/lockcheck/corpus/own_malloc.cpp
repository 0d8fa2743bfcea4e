// SPDX-License-Identifier: Apache-2.0
// A program with a malloc of its own, under a mutex of its own, as real allocators have.
// case: own_malloc_in_order | silent | allocates with locks held and without; the allocator's mutex is always the last
// case: own_malloc_inverted | order | the same, and the program's own AB, BA
// case: own_malloc_class | order | objects by new over it: in-out on one, out-in on another
// case: own_malloc_reused | silent | freed memory comes again with other locks in other orders | noproof
// case: own_malloc_calls_back | order | the allocator takes a lock under its own, under which others allocate
#include <mutex>
#include <new>

#include "corpus.h"

namespace {

pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;
alignas(64) char arena[4 << 20];
size_t used;

struct Header {
    size_t size;
    Header* next;
};
Header* free_blocks;

void* allocate(size_t size, size_t alignment) {
    size = (size + 63) / 64 * 64;
    pthread_mutex_lock(&arena_lock);
    for (Header** at = &free_blocks; *at; at = &(*at)->next)
        if ((*at)->size == size && alignment <= 64) {
            Header* const found = *at;
            *at = found->next;
            pthread_mutex_unlock(&arena_lock);
            return reinterpret_cast<char*>(found) + 64;
        }
    used = (used + alignment - 1) / alignment * alignment;
    char* const block = arena + used;
    used += size + 64 + alignment;
    if (used > sizeof arena) abort();
    char* const memory = alignment > 64 ? block + alignment : block + 64;
    reinterpret_cast<Header*>(memory - 64)->size = size;
    pthread_mutex_unlock(&arena_lock);
    return memory;
}

}  // namespace

extern "C" {
void* malloc(size_t size) {
    return allocate(size, 64);
}
void free(void* memory) {
    if (!memory) return;
    Header* const block = reinterpret_cast<Header*>(static_cast<char*>(memory) - 64);
    pthread_mutex_lock(&arena_lock);
    block->next = free_blocks;
    free_blocks = block;
    pthread_mutex_unlock(&arena_lock);
}
void* calloc(size_t count, size_t size) {
    void* const memory = malloc(count * size);
    return memset(memory, 0, count * size);
}
void* realloc(void* memory, size_t size) {
    void* const moved = malloc(size);
    if (!memory) return moved;
    const size_t old = reinterpret_cast<Header*>(static_cast<char*>(memory) - 64)->size;
    memcpy(moved, memory, old < size ? old : size);
    free(memory);
    return moved;
}
void* aligned_alloc(size_t alignment, size_t size) {
    return allocate(size, alignment < 64 ? 64 : alignment);
}
void* memalign(size_t alignment, size_t size) {
    return aligned_alloc(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
    *memory = aligned_alloc(alignment, size);
    return 0;
}
}

namespace {

struct Account {
    std::mutex in, out;
};
Account *x, *y;
std::mutex a, b;
void* volatile kept;

void use_memory() {
    kept = malloc(100);
    free(kept);
}
void nest(std::mutex& outer, std::mutex& inner) {
    std::lock_guard hold_outer(outer);
    use_memory();
    meet(0);
    std::lock_guard hold_inner(inner);
    use_memory();
}
void ab() {
    nest(a, b);
}
void ba() {
    nest(b, a);
}
void own_malloc_in_order() {
    RUN(in_threads, ab, ab, use_memory);
}
void own_malloc_inverted() {
    RUN(in_threads, ab, ba);
}
__attribute__((noinline)) Account* open_account() {
    return new Account;
}
void own_malloc_class() {
    x = open_account();
    y = forced ? x : open_account();
    RUN(in_threads, [] { nest(x->in, x->out); }, [] { nest(y->out, y->in); });
}
struct Inbox {
    std::mutex one, two;
};
struct Outbox {
    std::mutex one, two;
};
void own_malloc_reused() {
    auto* inbox = new Inbox;
    void* const before = inbox;
    nest(inbox->one, inbox->two);
    delete inbox;
    auto* outbox = new Outbox;
    check(before == static_cast<void*>(outbox));
    nest(outbox->two, outbox->one);
    delete outbox;
}
void count_it() {
    std::lock_guard hold(a);
}
void allocate_with_hook() {
    pthread_mutex_lock(&arena_lock);
    meet(0);
    count_it();
    pthread_mutex_unlock(&arena_lock);
}
void a_then_allocate() {
    std::lock_guard hold(a);
    meet(0);
    use_memory();
}
void own_malloc_calls_back() {
    RUN(in_threads, a_then_allocate, allocate_with_hook);
}

}  // namespace

MAIN(CASE(own_malloc_in_order), CASE(own_malloc_inverted), CASE(own_malloc_class),
     CASE(own_malloc_reused), CASE(own_malloc_calls_back))
