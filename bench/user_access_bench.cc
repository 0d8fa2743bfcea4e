// SPDX-License-Identifier: Apache-2.0
// What access to shared memory costs that fails instead of crashing: beside plain access, and
// beside the other ways that survive a fault.
//
// `./dev bench user-access` builds and runs it. All ways are measured in turns, several times; the
// figures are the least and the median of the repeats, the ratios are medians of the ratios of one
// turn each, because the machine may get slower between turns. Targets are held against medians.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.h"
#include "base/clock.h"
#include "braidway/sync/user_access.h"

namespace {

using namespace braidway;
using namespace braidway::sync;

constexpr size_t page = 4096;
constexpr size_t pages = 64;  // 256 KiB: hot, in the second cache.
constexpr size_t words = pages * page / sizeof(uint64_t);

/// The memory that is measured: all of it there, but for one more page behind the end of the file.
struct Memory {
    int fd = -1;
    std::byte* data = nullptr;

    Memory() : fd(memfd_create("bench", MFD_CLOEXEC)) {
        CHECK(fd >= 0 && ftruncate(fd, pages * page) == 0, "a memfd of 256 KiB can be made");
        void* const mapped = mmap(nullptr, (pages + 1) * page, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_POPULATE, fd, 0);
        CHECK(mapped != MAP_FAILED, "a memfd of 256 KiB can be mapped");
        data = static_cast<std::byte*>(mapped);
        // A walk through all words in an order that no prefetcher knows: each says which is next.
        // The multiplier makes it one cycle (it is 1 modulo 4, the addend is odd).
        for (size_t at = 0; at < words; ++at) word(at)[0] = (at * 5 + 12345) % words;
    }

    uint64_t* word(size_t index) const { return reinterpret_cast<uint64_t*>(data) + index; }
    std::byte* page_at(size_t index) const { return data + index % pages * page; }
    const std::byte* missing() const { return data + pages * page; }
};

// What the compiler may not look through.
template <typename T>
void used(T& value) {
    asm volatile("" : "+r"(value) : : "memory");
}

/// One way of doing a thing, measured for `count` times.
struct Way {
    std::string_view name;
    size_t count;
    void (*run)(const Memory& memory, size_t count);
    std::vector<double> ns{};
};

// --- 8 bytes, each address known only when the one before has been read
// ---------------------------

void walk_plain(const Memory& memory, size_t count) {
    uint64_t at = 0;
    for (size_t turn = 0; turn < count; ++turn)
        at = __atomic_load_n(memory.word(at), __ATOMIC_ACQUIRE);
    used(at);
}
void walk_ours(const Memory& memory, size_t count) {
    uint64_t at = 0;
    for (size_t turn = 0; turn < count; ++turn) {
        const auto next = try_load(memory.word(at));
        if (!next) return;
        at = *next;
    }
    used(at);
}

// --- 8 bytes, addresses known beforehand: as many at a time as the processor can
// ------------------

void sweep_plain(const Memory& memory, size_t count) {
    uint64_t sum = 0;
    for (size_t turn = 0; turn < count; ++turn)
        sum += __atomic_load_n(memory.word(turn * 67 % words), __ATOMIC_ACQUIRE);
    used(sum);
}
void sweep_ours(const Memory& memory, size_t count) {
    uint64_t sum = 0;
    for (size_t turn = 0; turn < count; ++turn) {
        const auto value = try_load(memory.word(turn * 67 % words));
        if (!value) return;
        sum += *value;
    }
    used(sum);
}

// --- other ways to read 8 bytes that survive a fault
// ----------------------------------------------

void walk_sigsetjmp(const Memory& memory, size_t count) {
    static sigjmp_buf back;
    volatile uint64_t at = 0;
    volatile size_t left = count;
    while (left > 0) {
        if (sigsetjmp(back, 0) != 0) return;
        at = __atomic_load_n(memory.word(at), __ATOMIC_ACQUIRE);
        left = left - 1;
    }
}
void walk_pread(const Memory& memory, size_t count) {
    uint64_t at = 0;
    for (size_t turn = 0; turn < count; ++turn) {
        const auto offset = static_cast<off_t>(at * sizeof(at));
        if (pread(memory.fd, &at, sizeof(at), offset) != sizeof(at)) return;
    }
}
void walk_process_vm_readv(const Memory& memory, size_t count) {
    uint64_t at = 0;
    for (size_t turn = 0; turn < count; ++turn) {
        const iovec remote{memory.word(at), sizeof(at)};
        const iovec local{&at, sizeof(at)};
        if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != sizeof(at)) return;
    }
}

// --- copies of one size, page after page
// ----------------------------------------------------------

alignas(page) std::array<std::byte, page> own;

template <size_t size_bytes>
void copy_memcpy(const Memory& memory, size_t count) {
    size_t size = size_bytes;
    used(size);  // The library's memcpy, also where the compiler could write moves instead.
    for (size_t turn = 0; turn < count; ++turn) std::memcpy(own.data(), memory.page_at(turn), size);
}
template <size_t size_bytes>
void copy_from_ours(const Memory& memory, size_t count) {
    for (size_t turn = 0; turn < count; ++turn) {
        if (try_copy_from(std::span(own).first(size_bytes), memory.page_at(turn)) != size_bytes)
            return;
    }
}
void copy_to_memcpy(const Memory& memory, size_t count) {
    size_t size = page;
    used(size);
    for (size_t turn = 0; turn < count; ++turn) std::memcpy(memory.page_at(turn), own.data(), size);
}
void copy_to_ours(const Memory& memory, size_t count) {
    for (size_t turn = 0; turn < count; ++turn)
        if (try_copy_to(memory.page_at(turn), own) != page) return;
}
void copy_pread(const Memory& memory, size_t count) {
    for (size_t turn = 0; turn < count; ++turn)
        if (pread(memory.fd, own.data(), page, static_cast<off_t>(turn % pages * page)) < 0) return;
}
void copy_process_vm_readv(const Memory& memory, size_t count) {
    const iovec local{own.data(), page};
    for (size_t turn = 0; turn < count; ++turn) {
        const iovec remote{memory.page_at(turn), page};
        if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0) return;
    }
}

// --- accesses that fail
// ---------------------------------------------------------------------------

void fail_load(const Memory& memory, size_t count) {
    const auto* const word = reinterpret_cast<const uint64_t*>(memory.missing());
    for (size_t turn = 0; turn < count; ++turn)
        CHECK(!try_load(word).has_value(), "there is nothing behind the end");
}
void fail_copy(const Memory& memory, size_t count) {
    for (size_t turn = 0; turn < count; ++turn)
        CHECK(try_copy_from(own, memory.missing() - 1000) == 1000, "1000 bytes are there");
}
void fail_process_vm_readv(const Memory& memory, size_t count) {
    uint64_t value = 0;
    const iovec local{&value, sizeof(value)};
    const iovec remote{const_cast<std::byte*>(memory.missing()), sizeof(value)};
    for (size_t turn = 0; turn < count; ++turn)
        if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) > 0) return;
}

// --- measuring
// ------------------------------------------------------------------------------------

struct Group {
    std::string_view title;
    std::vector<Way> ways;  ///< The first is what the others are compared with.
};

std::vector<Group> groups() {
    return {
        {"8-byte load, each address from the load before",
         {{"plain", 4'000'000, walk_plain},
          {"try_load", 4'000'000, walk_ours},
          {"sigsetjmp + plain", 1'000'000, walk_sigsetjmp},
          {"pread", 50'000, walk_pread},
          {"process_vm_readv", 30'000, walk_process_vm_readv}}},
        {"8-byte load, addresses known",
         {{"plain", 8'000'000, sweep_plain}, {"try_load", 8'000'000, sweep_ours}}},
        {"4 KiB out of shared memory",
         {{"memcpy", 200'000, copy_memcpy<page>},
          {"try_copy_from", 200'000, copy_from_ours<page>},
          {"pread", 40'000, copy_pread},
          {"process_vm_readv", 30'000, copy_process_vm_readv}}},
        {"4 KiB into shared memory",
         {{"memcpy", 200'000, copy_to_memcpy}, {"try_copy_to", 200'000, copy_to_ours}}},
        {"512 bytes out of shared memory",
         {{"memcpy", 1'000'000, copy_memcpy<512>},
          {"try_copy_from", 1'000'000, copy_from_ours<512>}}},
        {"64 bytes out of shared memory",
         {{"memcpy", 2'000'000, copy_memcpy<64>},
          {"try_copy_from", 2'000'000, copy_from_ours<64>}}},
        {"access that fails",
         {{"process_vm_readv", 30'000, fail_process_vm_readv},
          {"try_load", 10'000, fail_load},
          {"try_copy_from, 1000 bytes there", 10'000, fail_copy}}},
    };
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// The median of the ratios to the group's first way, each of one turn.
double ratio_of(const Group& group, size_t at) {
    std::vector<double> ratios;
    for (size_t turn = 0; turn < group.ways[at].ns.size(); ++turn)
        ratios.push_back(group.ways[at].ns[turn] / group.ways[0].ns[turn]);
    return median(std::move(ratios));
}

void measure(const Memory& memory, std::vector<Group>& measured, size_t turns) {
    for (Group& group : measured) {
        for (const Way& way : group.ways) way.run(memory, way.count / 10);  // Warm.
        for (size_t turn = 0; turn < turns; ++turn) {
            for (Way& way : group.ways) {
                const Instant begin = monotonic_now();
                way.run(memory, way.count);
                const auto took = static_cast<double>((monotonic_now() - begin).count());
                way.ns.push_back(took / static_cast<double>(way.count));
            }
        }
    }
}

void print(const std::vector<Group>& measured) {
    for (const Group& group : measured) {
        fmt::print("\n{:<52} {:>9} {:>9} {:>7}\n", group.title, "least ns", "median", "ratio");
        for (size_t at = 0; at < group.ways.size(); ++at) {
            const Way& way = group.ways[at];
            fmt::print("  {:<50} {:>9.2f} {:>9.2f} {:>7.2f}\n", way.name, std::ranges::min(way.ns),
                       median(way.ns), ratio_of(group, at));
        }
    }
}

const char* verdict(bool holds) {
    return holds ? "holds" : "MISSED";
}

void print_targets(const std::vector<Group>& measured) {
    const double load = ratio_of(measured[0], 1);
    const double copy = std::max(ratio_of(measured[2], 1), ratio_of(measured[3], 1));
    const Way& failed = measured[6].ways[1];
    const double failed_us = median(failed.ns) / 1000;
    fmt::print(
        "\ntarget: 8-byte load at most 1.10x plain: {} ({:.2f}; {:.2f} where loads overlap)\n",
        verdict(load <= 1.1), load, ratio_of(measured[1], 1));
    fmt::print("target: 4 KiB copy at most 1.15x memcpy: {} ({:.2f})\n", verdict(copy <= 1.15),
               copy);
    fmt::print(
        "target: failed access at most 3 us: {} (median {:.2f} us, least {:.2f} us; within a copy "
        "median {:.2f} us)\n",
        verdict(failed_us <= 3), failed_us, std::ranges::min(failed.ns) / 1000,
        median(measured[6].ways[2].ns) / 1000);
}

bool write_json(const std::vector<Group>& measured, const char* path) {
    std::FILE* const file = std::fopen(path, "w");
    if (file == nullptr) return false;
    fmt::print(file, "{{\"schema_version\": 1, \"unit\": \"ns\",\n \"groups\": [");
    for (const Group& group : measured) {
        fmt::print(file, "{}\n  {{\"title\": \"{}\", \"ways\": [",
                   &group == measured.data() ? "" : ",", group.title);
        for (const Way& way : group.ways)
            fmt::print(file,
                       "{}\n   {{\"name\": \"{}\", \"median\": {:.3f}, \"least\": {:.3f}, "
                       "\"all\": [{:.3f}]}}",
                       &way == group.ways.data() ? "" : ",", way.name, median(way.ns),
                       std::ranges::min(way.ns), fmt::join(way.ns, ", "));
        fmt::print(file, "]}}");
    }
    fmt::print(file, "\n]}}\n");
    return std::fclose(file) == 0;
}

constexpr const char* usage =
    "Usage: user_access_bench [--quick] [--turns N] [--json FILE]\n"
    "  --quick      2 turns, a hundredth of the work in each: does it run at all?\n"
    "  --turns N    how often every way is measured (default: 25)\n"
    "  --json FILE  writes every sample, too\n";

struct Settings {
    size_t turns = 25;
    size_t divisor = 1;  ///< Of the work in each turn.
    const char* json = nullptr;
};

bool read_settings(int argc, char** argv, Settings& settings) {
    for (int at = 1; at < argc; ++at) {
        const std::string_view word = argv[at];
        const bool has_next = at + 1 < argc;
        if (word == "--quick") {
            settings.turns = 2;
            settings.divisor = 100;
        } else if (word == "--turns" && has_next) {
            const std::string_view number = argv[++at];
            const auto [end, error] =
                std::from_chars(number.data(), number.data() + number.size(), settings.turns);
            if (error != std::errc{} || end != number.data() + number.size()) return false;
        } else if (word == "--json" && has_next) {
            settings.json = argv[++at];
        } else {
            return false;
        }
    }
    return settings.turns > 0;
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    if (!read_settings(argc, argv, settings)) {
        fmt::print(stderr, "{}", usage);
        return 2;
    }
    const Memory memory;
    const auto window = UserWindow::add({memory.data, (pages + 1) * page});
    CHECK(window.has_value(), "a window can be opened");
    fmt::print("{} turns; {} KiB of a memfd, hot\n", settings.turns, pages * page / 1024);
    std::vector<Group> measured = groups();
    for (Group& group : measured)
        for (Way& way : group.ways) way.count /= settings.divisor;
    measure(memory, measured, settings.turns);
    print(measured);
    if (settings.divisor == 1) {
        print_targets(measured);
    } else {
        fmt::print("\n--quick says nothing about the targets\n");
    }
    if (settings.json != nullptr && !write_json(measured, settings.json)) {
        fmt::print(stderr, "cannot write {}\n", settings.json);
        return 1;
    }
    return 0;
}
