// SPDX-License-Identifier: Apache-2.0
// Memory that is given back takes its locks with it: what comes to the same address is a new lock.
// case: frames_that_end | silent | two functions whose local locks come to the same addresses, in other orders
// case: thread_stacks_again | silent | local locks of a thread, and of the next one on the same stack
// case: alloca_again | silent | alloca() in two functions
// case: freed_and_allocated | silent | free() without destroy, then malloc() of another type at the same address
// case: destroyed_freed_allocated | silent | the same with destroy
// case: aligned_alloc_again | silent | free(), then aligned_alloc()
// case: deleted_and_new | silent | delete, then new of another type at the same address
// case: unique_ptr_gone | silent | std::unique_ptr goes, another type comes
// case: unmapped_and_mapped | silent | munmap(), then mmap() at the same address
// case: mapped_over | silent | mmap(MAP_FIXED) over the old locks
// case: mremap_moves | silent | mremap() moves the locks, others come to the old address
// case: realloc_moves | silent | realloc() moves the locks, others come to the old address
// case: placement_new_again | silent | destroyed in place, and another type made there
// case: other_role_after_free | silent | X before G, then G before Y at the address of X
// case: destroyed_static_again | silent | a static mutex is destroyed and made anew in another place of the program, for another role | noproof
// case: shared_ptr_gone | silent | the last std::shared_ptr goes, another type comes
// case: arena_reset | open | the program's own arena starts again: nobody can see that the old locks are gone
// case: same_frame | order | two locks of one frame, which two paths use in both orders
// case: same_mapping | order | two locks in one mapping, both orders
// case: same_block | order | two locks in one block, both orders, and the block grew in place or moved before
// case: thread_local_locks | order | thread_local locks that others reach by pointer, both orders
#include <alloca.h>
#include <sys/mman.h>

#include <memory>
#include <mutex>
#include <new>

#include "corpus.h"

namespace {

// Two types of the same size, which a program uses in two orders.
struct Inbox {
    pthread_mutex_t one, two;
};
struct Outbox {
    pthread_mutex_t one, two;
};
constexpr pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;

__attribute__((always_inline)) inline void use(Inbox* box) {
    lock(&box->one);
    meet(0);
    lock(&box->two);
    unlock(&box->two);
    unlock(&box->one);
}
__attribute__((always_inline)) inline void use(Outbox* box) {
    lock(&box->two);
    meet(0);
    lock(&box->one);
    unlock(&box->one);
    unlock(&box->two);
}

void* before;
/// Plainly, the second lock must come to where the first was, or the case shows nothing.
void here(void* address) {
    if (!forced) check_usual(before == nullptr || before == address);
    before = address;
}

__attribute__((noinline)) void inbox_on_stack() {
    Inbox box = {unlocked, unlocked};
    here(&box);
    use(&box);
}
__attribute__((noinline)) void outbox_on_stack() {
    Outbox box = {unlocked, unlocked};
    here(&box);
    use(&box);
}
void frames_that_end() {
    RUN(in_turn, inbox_on_stack, outbox_on_stack);
}
void thread_stacks_again() {
    RUN(in_threads, inbox_on_stack, outbox_on_stack);
}

__attribute__((noinline)) void inbox_by_alloca() {
    auto* box = static_cast<Inbox*>(alloca(sizeof(Inbox)));
    *box = {unlocked, unlocked};
    here(box);
    use(box);
}
__attribute__((noinline)) void outbox_by_alloca() {
    auto* box = static_cast<Outbox*>(alloca(sizeof(Outbox)));
    *box = {unlocked, unlocked};
    here(box);
    use(box);
}
void alloca_again() {
    RUN(in_turn, inbox_by_alloca, outbox_by_alloca);
}

void free_boxes(void* box) {
    free(box);
}
template <class Box>
Box* filled(void* memory) {
    here(memory);
    return new (memory) Box{unlocked, unlocked};
}
void inbox_by_malloc() {
    auto* box = filled<Inbox>(malloc(sizeof(Inbox)));
    use(box);
    free_boxes(box);
}
void outbox_by_malloc() {
    auto* box = filled<Outbox>(malloc(sizeof(Outbox)));
    use(box);
    free_boxes(box);
}
void outbox_by_aligned_alloc() {
    auto* box = filled<Outbox>(aligned_alloc(16, sizeof(Outbox)));
    use(box);
    free_boxes(box);
}
void freed_and_allocated() {
    RUN(in_turn, inbox_by_malloc, outbox_by_malloc);
}
void aligned_alloc_again() {
    RUN(in_turn, inbox_by_malloc, outbox_by_aligned_alloc);
}

void destroyed_freed_allocated() {
    RUN(
        in_turn,
        [] {
            auto* box = filled<Inbox>(malloc(sizeof(Inbox)));
            use(box);
            pthread_mutex_destroy(&box->one);
            pthread_mutex_destroy(&box->two);
            free(box);
        },
        outbox_by_malloc);
}

struct Sender {
    std::mutex one, two;
    Sender() { here(this); }
};
struct Receiver {
    std::mutex one, two;
    Receiver() { here(this); }
};
void use(Sender& object) {
    std::lock_guard outer(object.one);
    meet(0);
    std::lock_guard inner(object.two);
}
void use(Receiver& object) {
    std::lock_guard outer(object.two);
    meet(0);
    std::lock_guard inner(object.one);
}
void deleted_and_new() {
    RUN(
        in_turn,
        [] {
            auto* object = new Sender;
            use(*object);
            delete object;
        },
        [] {
            auto* object = new Receiver;
            use(*object);
            delete object;
        });
}
void unique_ptr_gone() {
    RUN(
        in_turn,
        [] {
            auto objects = std::make_unique<Sender>();
            use(*objects);
        },
        [] {
            auto objects = std::make_unique<Receiver>();
            use(*objects);
        });
}
void shared_ptr_gone() {
    RUN(
        in_turn,
        [] {
            const auto object = std::make_shared<Sender>();
            use(*object);
        },
        [] {
            const auto object = std::make_shared<Receiver>();
            use(*object);
        });
}

void* map_page(void* at, int more) {
    void* const page =
        mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);
    check(page != MAP_FAILED);
    return page;
}
void unmapped_and_mapped() {
    RUN(
        in_turn,
        [] {
            auto* box = filled<Inbox>(map_page(nullptr, 0));
            use(box);
            munmap(box, 4096);
        },
        [] {
            auto* box = filled<Outbox>(map_page(forced ? nullptr : before, 0));
            use(box);
            munmap(box, 4096);
        });
}
void mapped_over() {
    RUN(
        in_turn, [] { use(filled<Inbox>(map_page(nullptr, 0))); },
        [] { use(filled<Outbox>(map_page(forced ? nullptr : before, forced ? 0 : MAP_FIXED))); });
}
void mremap_moves() {
    RUN(
        in_turn,
        [] {
            auto* box = filled<Inbox>(map_page(nullptr, 0));
            use(box);
            void* const target = map_page(nullptr, 0);
            check(mremap(box, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
        },
        [] { use(filled<Outbox>(map_page(forced ? nullptr : before, 0))); });
}
void realloc_moves() {
    RUN(
        in_turn,
        [] {
            auto* box = filled<Inbox>(malloc(sizeof(Inbox)));
            void* const barrier = malloc(10);
            use(box);
            void* const moved = realloc(box, 1 << 20);
            check(moved != static_cast<void*>(box));
            free(moved);
            free(barrier);
        },
        outbox_by_malloc);
}

alignas(64) char place[2][sizeof(Sender)];
void placement_new_again() {
    RUN(
        in_turn,
        [] {
            auto* object = new (place[0]) Sender;
            use(*object);
            object->~Sender();
            for (char& byte : place[0]) byte = 0;
        },
        [] {
            auto* box = filled<Outbox>(place[forced ? 1 : 0]);
            pthread_mutex_init(&box->one, nullptr);
            pthread_mutex_init(&box->two, nullptr);
            use(box);
        });
}

pthread_mutex_t global = PTHREAD_MUTEX_INITIALIZER;
void other_role_after_free() {
    RUN(
        in_turn,
        [] {
            auto* box = filled<Inbox>(malloc(sizeof(Inbox)));
            lock(&box->one);
            meet(0);
            lock(&global);
            unlock(&global);
            unlock(&box->one);
            free(box);
        },
        [] {
            auto* box = filled<Outbox>(malloc(sizeof(Outbox)));
            lock(&global);
            meet(0);
            lock(&box->one);
            unlock(&box->one);
            unlock(&global);
            free(box);
        });
}

pthread_mutex_t again;
void destroyed_static_again() {
    pthread_mutex_init(&again, nullptr);
    lock(&again);
    lock(&global);
    unlock(&global);
    unlock(&again);
    pthread_mutex_destroy(&again);
    pthread_mutex_init(&again, nullptr);
    lock(&global);
    lock(&again);
    unlock(&again);
    unlock(&global);
}
void arena_reset() {
    auto* inbox = filled<Inbox>(place[0]);
    use(inbox);
    auto* outbox = filled<Outbox>(place[0]);
    use(outbox);
}

// --- the same memory, the same locks ---
pthread_mutex_t *x, *y;
void xy() {
    lock(x);
    meet(0);
    lock(y);
    unlock(y);
    unlock(x);
}
void yx() {
    lock(y);
    meet(0);
    lock(x);
    unlock(x);
    unlock(y);
}
void both_orders(Inbox* box) {
    x = &box->one;
    y = &box->two;
    RUN(in_threads, xy, yx);
}
void same_frame() {
    Inbox box = {unlocked, unlocked};
    both_orders(&box);
}
void same_mapping() {
    both_orders(filled<Inbox>(map_page(nullptr, 0)));
}
void same_block() {
    auto* box = filled<Inbox>(malloc(sizeof(Inbox)));
    box = static_cast<Inbox*>(realloc(static_cast<void*>(box), 4000));
    both_orders(box);
}
thread_local Inbox mine = {unlocked, unlocked};
void thread_local_locks() {
    both_orders(&mine);
}

}  // namespace

MAIN(CASE(frames_that_end), CASE(thread_stacks_again), CASE(alloca_again),
     CASE(freed_and_allocated), CASE(destroyed_freed_allocated), CASE(aligned_alloc_again),
     CASE(deleted_and_new), CASE(unique_ptr_gone), CASE(unmapped_and_mapped), CASE(mapped_over),
     CASE(mremap_moves), CASE(realloc_moves), CASE(placement_new_again),
     CASE(other_role_after_free), CASE(destroyed_static_again), CASE(shared_ptr_gone),
     CASE(arena_reset), CASE(same_frame), CASE(same_mapping), CASE(same_block),
     CASE(thread_local_locks))
