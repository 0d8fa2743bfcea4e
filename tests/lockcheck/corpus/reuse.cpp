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
// case: unmapped_unseen | silent | munmap() as a raw system call, then mmap() at the same address | noproof
// case: shared_memory_detached | silent | shmdt(), then mmap() at the same address | noproof
// case: shared_memory_attached_again | silent | shmdt(), then shmat() of another segment at the same address | noproof
// case: data_segment_again | silent | sbrk() back and forth | noproof
// case: pages_dropped | silent | madvise(MADV_DONTNEED) on private memory: zeros again | noproof
// case: own_pool_initialises | silent | a pool of the program's own hands its memory out again, and each lock is initialised | noproof
// case: aligned_blocks_again | silent | posix_memalign(), valloc(), memalign(), reallocarray(), then malloc() of what was freed | noproof
// case: mremap_moves | silent | mremap() moves the locks, others come to the old address
// case: realloc_moves | silent | realloc() moves the locks, others come to the old address
// case: placement_new_again | silent | destroyed in place, and another type made there
// case: other_role_after_free | silent | X before G, then G before Y at the address of X
// case: destroyed_static_again | silent | a static mutex is destroyed and made anew in another place of the program, for another role | noproof
// case: shared_ptr_gone | silent | the last std::shared_ptr goes, another type comes
// case: arena_reset | open | the program's own arena starts again: nobody can see that the old locks are gone
// case: same_frame | order | two locks of one frame, which two paths use in both orders
// case: same_mapping | order | two locks in one mapping, both orders
// case: same_shared_pages | order | two locks in shared memory, both orders; MADV_DONTNEED between them drops nothing there
// case: same_data_segment | order | two locks in memory of sbrk(), both orders, while it grows
// case: same_block | order | two locks in one block, both orders, and the block grew in place or moved before
// case: thread_local_locks | order | thread_local locks that others reach by pointer, both orders
#include <alloca.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/shm.h>

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
void unmapped_unseen() {
    void* const page = map_page(nullptr, 0);
    use(filled<Inbox>(page));
    check(syscall(SYS_munmap, page, 4096) == 0);
    use(filled<Outbox>(map_page(page, 0)));
}
void* attached_segment(const void* at) {
    const int segment = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    void* const memory = shmat(segment, at, 0);
    shmctl(segment, IPC_RMID, nullptr);
    check(memory != MAP_FAILED);
    return memory;
}
/// In the second page, so that the size of the segment counts.
template <class Box>
void use_second_page(void* memory) {
    use(filled<Box>(static_cast<char*>(memory) + 4096));
}
void shared_memory_detached() {
    void* const memory = attached_segment(nullptr);
    use_second_page<Inbox>(memory);
    check(shmdt(memory) == 0);
    void* const page = static_cast<char*>(memory) + 4096;
    use(filled<Outbox>(map_page(page, 0)));
}
void shared_memory_attached_again() {
    void* const memory = attached_segment(nullptr);
    use_second_page<Inbox>(memory);
    check(shmdt(memory) == 0);
    use_second_page<Outbox>(attached_segment(memory));
}
void data_segment_again() {
    use(filled<Inbox>(sbrk(4096)));
    check(sbrk(-4096) != MAP_FAILED);
    use(filled<Outbox>(sbrk(4096)));
}
void pages_dropped() {
    auto* const page = map_page(nullptr, 0);
    use(filled<Inbox>(page));
    check(madvise(page, 4096, MADV_DONTNEED) == 0);
    use(static_cast<Outbox*>(page));
}
/// A pool on one mapping, of one size: last in, first out.
struct Pool {
    char* next = nullptr;
    void* free_one = nullptr;
    void* take() {
        if (free_one != nullptr) {
            void* const taken = free_one;
            free_one = nullptr;
            return taken;
        }
        next += 256;
        return next - 256;
    }
};
template <class Box>
Box* box_from(Pool& pool) {
    auto* const box = static_cast<Box*>(pool.take());
    here(box);
    pthread_mutex_init(&box->one, nullptr);
    pthread_mutex_init(&box->two, nullptr);
    return box;
}
void own_pool_initialises() {
    Pool pool;
    pool.next = static_cast<char*>(map_page(nullptr, 0));
    auto* const inbox = box_from<Inbox>(pool);
    use(inbox);
    pool.free_one = inbox;
    use(box_from<Outbox>(pool));
}
constexpr size_t box_bytes = sizeof(Inbox);
template <void* (*Make)()>
void use_block_and_next() {
    void* const block = Make();
    use(new (block) Inbox{unlocked, unlocked});
    const size_t usable = malloc_usable_size(block);
    free(block);
    void* const again = malloc(usable);
    check_usual(again == block);
    use(new (again) Outbox{unlocked, unlocked});
    free(again);
}
void* by_valloc() {
    return valloc(box_bytes);
}
void* by_memalign() {
    return memalign(64, box_bytes);
}
void* by_reallocarray() {
    return reallocarray(nullptr, 2, box_bytes / 2);
}
void* by_posix_memalign() {
    void* block = nullptr;
    check(posix_memalign(&block, 64, box_bytes) == 0);
    return block;
}
void aligned_blocks_again() {
    use_block_and_next<by_valloc>();
    use_block_and_next<by_memalign>();
    use_block_and_next<by_reallocarray>();
    use_block_and_next<by_posix_memalign>();
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
void same_shared_pages() {
    void* const pages =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* const box = static_cast<Inbox*>(pages);
    *box = {unlocked, unlocked};
    x = &box->one;
    y = &box->two;
    static void* dropped = pages;
    RUN(in_turn, xy, [] {
        if (!forced) check(madvise(dropped, 4096, MADV_DONTNEED) == 0);
        yx();
    });
}
void same_data_segment() {
    auto* const box = filled<Inbox>(sbrk(4096));
    x = &box->one;
    y = &box->two;
    RUN(in_turn, xy, [] {
        if (!forced) check(sbrk(4096) != MAP_FAILED);
        yx();
    });
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
     CASE(unmapped_unseen), CASE(shared_memory_detached), CASE(shared_memory_attached_again),
     CASE(data_segment_again), CASE(pages_dropped), CASE(own_pool_initialises),
     CASE(aligned_blocks_again), CASE(mremap_moves), CASE(realloc_moves), CASE(placement_new_again),
     CASE(other_role_after_free), CASE(destroyed_static_again), CASE(shared_ptr_gone),
     CASE(arena_reset), CASE(same_frame), CASE(same_mapping), CASE(same_shared_pages),
     CASE(same_data_segment), CASE(same_block), CASE(thread_local_locks))
