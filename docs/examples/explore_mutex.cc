// SPDX-License-Identifier: Apache-2.0
// The mutex that ships, under every interleaving of two threads.
#include <braidway/explore/explorer.h>
#include <braidway/explore/policy.h>
#include <braidway/sync/mutex.h>

#include <cstdio>

using namespace braidway;

/// What the threads share. Both are words that the explorer sees; only the mutex keeps the threads
/// apart.
struct Shared {
    sync::BasicMutex<explore::Policy> mutex;
    explore::Atomic<int> inside = 0;
};

void visit(Shared& shared) {
    shared.mutex.lock();
    explore::check(shared.inside.exchange(1) == 0, "only one thread is inside");
    shared.inside.store(0);
    shared.mutex.unlock();
}

int main() {
    const explore::Verdict verdict = explore::explore({}, [](explore::World& world) {
        Shared& shared = world.share<Shared>("shared");
        world.thread("one", [&] { visit(shared); });
        world.thread("two", [&] { visit(shared); });
    });
    std::printf("%s\n", verdict.summary().c_str());
    return verdict.clean() && verdict.coverage == explore::Coverage::exhaustive ? 0 : 1;
}
