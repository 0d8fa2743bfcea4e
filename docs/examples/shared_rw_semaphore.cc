// SPDX-License-Identifier: Apache-2.0
// A record that two processes change, one of which dies in the middle of it.
#include <braidway/sync/shared_rw_semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>

using braidway::sync::SharedRwSemaphore;

constexpr unsigned slot_count = 16;  // threads that are attached at a time, of all processes

struct Shared {
    alignas(64) std::byte semaphore[SharedRwSemaphore::size_bytes(slot_count)];
    int debit = 0;
    int credit = 0;  // always as much as debit, but while somebody writes
};

int complain(const std::string& message) {
    std::fprintf(stderr, "%s\n", message.c_str());
    return 1;
}

// What every process does where it has mapped the memory: opens, attaches, locks.
int pay(Shared& shared, bool dies) {
    const auto semaphore = SharedRwSemaphore::open(shared.semaphore, sizeof shared.semaphore);
    if (!semaphore) return complain(semaphore.error().message);
    auto holder = semaphore->attach();
    if (!holder) return complain(holder.error().message);
    {
        const std::unique_lock lock(*holder);
        if (holder->inconsistent()) {  // a writer died before he was done
            std::printf("debit %d, credit %d: put right\n", shared.debit, shared.credit);
            shared.credit = shared.debit;
            holder->make_consistent();
        }
        shared.debit += 1;
        if (dies) _exit(0);
        shared.credit += 1;
    }
    const std::shared_lock lock(*holder);
    std::printf("debit %d, credit %d\n", shared.debit, shared.credit);
    return 0;
}

int main() {
    void* const memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return complain("no memory");
    Shared& shared = *new (memory) Shared;
    // One process makes it, before anybody else uses the memory.
    const auto made =
        SharedRwSemaphore::create(shared.semaphore, sizeof shared.semaphore, slot_count);
    if (!made) return complain(made.error().message);

    const pid_t child = fork();
    if (child == 0) return pay(shared, true);
    waitpid(child, nullptr, 0);
    return pay(shared, false);
}
