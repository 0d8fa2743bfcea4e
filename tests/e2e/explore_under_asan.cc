// SPDX-License-Identifier: Apache-2.0
// A user's test, built with AddressSanitizer against the explorer as it is installed, without:
// threads with large frames that are left, thrown out of, and begun anew over what they left.
#include <braidway/explore/explorer.h>
#include <braidway/explore/policy.h>
#include <braidway/sync/mutex.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <stdexcept>

using namespace braidway;

namespace {

struct Shared {
    sync::BasicMutex<explore::Policy> mutex;
    explore::Atomic<int> count = 0;
};

/// Red zones on both sides of the buffer, at a depth that differs from thread to thread.
[[gnu::noinline]] void count_deep_down(Shared& shared, int depth) {
    std::array<char, 300> frame;
    std::memset(frame.data(), depth, frame.size());
    if (depth > 0) {
        count_deep_down(shared, depth - 1);
    } else {
        shared.mutex.lock();
        shared.count.store(shared.count.load() + 1);
        shared.mutex.unlock();
    }
    explore::check(frame[299] == static_cast<char>(depth), "the frame is as it was");
}

/// Throwing makes the sanitizer clean the stack that it thinks is in use.
[[gnu::noinline]] void throw_and_catch(Shared& shared) {
    try {
        std::array<char, 100> frame;
        std::memset(frame.data(), 1, frame.size());
        if (shared.count.load() >= 0) throw std::runtime_error("caught at once");
    } catch (const std::runtime_error&) {
        shared.count.store(shared.count.load());
    }
}

/// Threads that sleep for ever with frames on their stacks: the stacks are used again.
[[gnu::noinline]] void sleep_for_ever(explore::Policy::FutexWord& word, int depth) {
    std::array<char, 200> frame;
    std::memset(frame.data(), depth, frame.size());
    if (depth > 0) return sleep_for_ever(word, depth - 1);
    explore::Policy::futex_wait(word, 0, sync::FutexScope::process_private);
}

bool counts() {
    const explore::Verdict verdict = explore::explore({}, [](explore::World& world) {
        Shared& shared = world.share<Shared>("shared");
        world.thread("one", [&] { count_deep_down(shared, 3); });
        world.thread("two", [&] { count_deep_down(shared, 9); });
        world.finally([&] { explore::check(shared.count.load() == 2, "both have counted"); });
    });
    std::printf("%s; ", verdict.summary().c_str());
    return verdict.clean() && verdict.coverage == explore::Coverage::exhaustive;
}

bool throws() {
    const explore::Verdict verdict = explore::explore({}, [](explore::World& world) {
        Shared& shared = world.share<Shared>("shared");
        world.thread("one", [&] { throw_and_catch(shared); });
        world.thread("two", [&] { throw_and_catch(shared); });
    });
    std::printf("%s; ", verdict.summary().c_str());
    return verdict.clean();
}

bool sleeps() {
    explore::Options options;
    options.keep_going = true;
    const explore::Verdict verdict = explore::explore(options, [](explore::World& world) {
        auto& word = world.share<explore::Policy::FutexWord>("word", 0U);
        world.thread("one", [&] { sleep_for_ever(word, 2); });
        world.thread("two", [&] { sleep_for_ever(word, 7); });
    });
    std::printf("%s\n", verdict.summary().c_str());
    return verdict.finding == explore::Finding::deadlock;
}

}  // namespace

int main() {
    bool as_expected = true;
    for (int round = 0; round < 3; ++round)
        as_expected = counts() && throws() && sleeps() && as_expected;
    return as_expected ? 0 : 1;
}
