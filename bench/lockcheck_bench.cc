// SPDX-License-Identifier: Apache-2.0
// What the lock validator costs where it is compiled in, and how much memory its tables take.
// `./dev bench lockcheck` runs it among others; alone it prints the same two lines of targets.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "braidway/sync/annotations.h"
#include "braidway/sync/inner_mutex.h"
#include "braidway/sync/mutex.h"
#include "braidway/sync/rw_semaphore.h"
#include "lockdep/validator.h"

namespace braidway::bench {
namespace {

using lockdep::Pending;
using lockdep::Thread;
using lockdep::Validator;

static_assert(BRAIDWAY_SYNC_WATCHED == 1, "built with the validator in its locks");

constexpr double cost_ns_max = 5;
constexpr size_t memory_bytes_max = size_t{8} << 20;
constexpr unsigned classes = 8'000;
constexpr unsigned chains_wanted = 64'000;
constexpr unsigned followers = 8;  ///< Of each class, which are taken while it is held.
constexpr size_t frames = 16;

/// Pages of the kernel's; stacks as deep as those of a real program, one for each class of lock
/// that is wanted; findings are counted.
class World final : public lockdep::Surroundings {
  public:
    void* pages(size_t bytes) override {
        void* const piece =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED) return nullptr;
        mapped += bytes;
        return piece;
    }
    size_t capture_stack(std::span<uintptr_t> into) override {
        const size_t count = std::min(into.size(), frames);
        for (size_t at = 0; at < count; ++at) into[at] = 0x400000 + at * 64;
        if (count > 0) into[0] = site;
        return count;
    }
    void found(const lockdep::Finding& finding) override { findings += finding.note ? 0 : 1; }

    uintptr_t site = 0x400000;
    size_t mapped = 0;
    unsigned findings = 0;
};

World world;

using Quiet = sync::Unobserved<sync::SystemPolicy>;

double median(std::vector<double> values) {
    std::ranges::sort(values);
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

uint64_t guarded = 0;

void touch() {
    asm volatile("" : "+m"(guarded));
}

/// Taking and giving back.
struct Write {
    static void take(auto& lock) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { lock.lock(); }
    static void give_back(auto& lock) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); }
};
struct Read {
    static void take(auto& lock) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { lock.lock_shared(); }
    static void give_back(auto& lock) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { lock.unlock_shared(); }
};

/// Nanoseconds of a pair.
template <typename Lock, typename How>
double pair_ns(uint64_t turns) {
    static Lock lock;
    const int64_t begun = monotonic_now().ns;
    for (uint64_t turn = 0; turn < turns; ++turn) {
        How::take(lock);
        touch();
        How::give_back(lock);
    }
    return static_cast<double>(monotonic_now().ns - begun) / static_cast<double>(turns);
}

/// Nanoseconds of each of two nested pairs; the locks are `Space` bytes apart.
template <typename Lock, typename How, size_t Space>
double nested_pair_ns(uint64_t turns) {
    struct alignas(64) Two {
        Lock outer;
        alignas(Space) Lock inner;
    };
    static Two two;
    const int64_t begun = monotonic_now().ns;
    for (uint64_t turn = 0; turn < turns; ++turn) {
        How::take(two.outer);
        How::take(two.inner);
        touch();
        How::give_back(two.inner);
        How::give_back(two.outer);
    }
    return static_cast<double>(monotonic_now().ns - begun) / static_cast<double>(turns) / 2;
}

/// What the validator adds to one pair: the median of the differences, and that of each.
struct Cost {
    const char* name;
    double plain_ns = 0;
    double watched_ns = 0;
    double added_ns = 0;
};

using Measure = double (*)(uint64_t turns);

/// In turns. They are short, so that most of them are not interrupted where others use the machine.
Cost cost_of(const char* name, unsigned rounds, uint64_t turns, Measure measure_plain,
             Measure measure_watched) {
    std::vector<double> plain;
    std::vector<double> watched;
    std::vector<double> added;
    for (unsigned round = 0; round < rounds; ++round) {
        plain.push_back(measure_plain(turns));
        watched.push_back(measure_watched(turns));
        added.push_back(watched.back() - plain.back());
    }
    return {name, median(plain), median(watched), median(added)};
}

std::vector<Cost> costs(unsigned rounds, uint64_t turns) {
    using PlainMutex = sync::BasicMutex<Quiet>;
    using PlainSemaphore = sync::BasicRwSemaphore<Quiet>;
    using sync::Mutex;
    using sync::RwSemaphore;
    // As two members of a class lie.
    constexpr size_t next = alignof(Mutex);
    return {
        cost_of("mutex", rounds, turns, pair_ns<PlainMutex, Write>, pair_ns<Mutex, Write>),
        cost_of("nested", rounds, turns, nested_pair_ns<PlainMutex, Write, 64>,
                nested_pair_ns<Mutex, Write, 64>),
        cost_of("neighbours", rounds, turns, nested_pair_ns<PlainMutex, Write, next>,
                nested_pair_ns<Mutex, Write, next>),
        cost_of("read", rounds, turns, pair_ns<PlainSemaphore, Read>, pair_ns<RwSemaphore, Read>),
        cost_of("write", rounds, turns, pair_ns<PlainSemaphore, Write>,
                pair_ns<RwSemaphore, Write>)};
}

/// What the tables take.
struct Memory {
    size_t bytes = 0;
    unsigned chains = 0;
    bool full = false;
    double chain_ns = 0;  ///< To validate a chain that was never seen.
    unsigned findings = 0;
};

/// 8,000 locks of as many classes; each is taken alone, and before eight others that come later, so
/// that no order turns round.
Memory memory_of_tables() {
    world = {};
    const auto fresh = std::make_unique<Validator>(world);
    Thread* const thread = fresh->thread_started(0);
    CHECK(thread != nullptr, "there is memory for a thread");
    struct alignas(64) Object {
        std::array<std::byte, 64> bytes;
    };
    std::vector<Object> objects(classes);
    std::vector<lockdep::Lock*> locks;
    for (unsigned at = 0; at < classes; ++at) {
        lockdep::Making making;
        making.class_key = 0x1000 + at;
        making.initialised = true;
        locks.push_back(fresh->enlist(*thread, &objects[at], 40, {}, making));
        CHECK(locks.back() != nullptr, "there is room for 8,000 classes");
    }
    const auto take = [&](unsigned at) {
        Pending pending;
        world.site = 0x500000 + at * 16;
        fresh->wants(*thread, *locks[at], {}, world.site, pending);
        thread->acquired(pending);
    };
    const auto give_back = [&](unsigned at) {
        if (!thread->release_last(&objects[at])) fresh->released(*thread, &objects[at], 0);
    };
    unsigned chains = classes;
    const int64_t begun = monotonic_now().ns;
    for (unsigned at = 0; at < classes; ++at) {
        take(at);
        for (unsigned next = 1; next <= followers; ++next) {
            // Steps of different lengths, all of them forwards.
            const unsigned over = at + next * next * 37;
            if (over >= classes || chains == chains_wanted) break;
            take(over);
            ++chains;
            give_back(over);
        }
        give_back(at);
    }
    const double took = static_cast<double>(monotonic_now().ns - begun);
    return {fresh->memory_bytes(), chains, fresh->full(), took / chains, world.findings};
}

const char* verdict(bool holds) {
    return holds ? "holds" : "MISSED";
}

int run(unsigned rounds, uint64_t turns, const char* json) {
    const std::vector<Cost> all = costs(rounds, turns);
    const Memory memory = memory_of_tables();
    const double worst = std::ranges::max(all, {}, &Cost::added_ns).added_ns;
    std::printf("compiled in %s (target %.0f ns more a pair):", verdict(worst <= cost_ns_max),
                cost_ns_max);
    for (const Cost& cost : all)
        std::printf(" %s %.2f (%.2f, watched %.2f)", cost.name, cost.added_ns, cost.plain_ns,
                    cost.watched_ns);
    std::puts("");
    std::printf(
        "memory %s: %u classes and %u chains take %.2f MiB (target %zu); a new chain %.0f ns%s%s\n",
        verdict(memory.bytes <= memory_bytes_max && !memory.full), classes, memory.chains,
        static_cast<double>(memory.bytes) / (1 << 20), memory_bytes_max >> 20, memory.chain_ns,
        memory.full ? "; A TABLE IS FULL" : "",
        memory.findings > 0 ? "; FINDINGS WHERE THERE ARE NONE" : "");
    if (json == nullptr) return 0;
    std::FILE* const file = std::fopen(json, "w");
    if (file == nullptr) return 1;
    std::fprintf(file, "{\"compiled_in\": {");
    for (const Cost& cost : all)
        std::fprintf(file,
                     "%s\"%s\": {\"plain_ns\": %.3f, \"watched_ns\": %.3f, \"added_ns\": %.3f}",
                     &cost == all.data() ? "" : ", ", cost.name, cost.plain_ns, cost.watched_ns,
                     cost.added_ns);
    std::fprintf(file,
                 "}, \"memory_bytes\": %zu, \"chains\": %u, \"full\": %s, \"chain_ns\": %.1f, "
                 "\"findings\": %u}\n",
                 memory.bytes, memory.chains, memory.full ? "true" : "false", memory.chain_ns,
                 memory.findings);
    return std::fclose(file) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace braidway::bench

int main(int argc, char** argv) {
    unsigned rounds = 401;
    uint64_t turns = 20'000;
    const char* json = nullptr;
    for (int at = 1; at < argc; ++at) {
        const std::string_view word = argv[at];
        if (word == "--quick") {
            rounds = 5;
            turns = 1'000;
        } else if (word == "--json" && at + 1 < argc) {
            json = argv[++at];
        } else {
            std::fputs("Usage: lockcheck_bench [--quick] [--json FILE]\n", stderr);
            return 2;
        }
    }
    return braidway::bench::run(rounds, turns, json);
}
