// SPDX-License-Identifier: Apache-2.0
#include "explore/litmus_programs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace braidway::explore::litmus {
namespace {

Litmus plain(std::string name, uint64_t genmc, std::vector<Thread> threads) {
    return {.program = {std::move(name), std::move(threads)}, .genmc = genmc};
}

constexpr bool yes = true;
constexpr bool no = false;

std::vector<Thread> copies(unsigned count, const Thread& thread) {
    return std::vector<Thread>(count, thread);
}

// The verdicts on x86-TSO are those of Sewell et al., "x86-TSO", 2010, and of Maranget, Sarkar and
// Sewell, "A Tutorial Introduction to the ARM and POWER Relaxed Memory Models", 2012, for x86.
/// What store buffers allow, and what stops them.
std::vector<Litmus> buffered() {
    return {
        {{"SB", {{W(x, 1), R(y, 0)}, {W(y, 1), R(x, 0)}}},
         3,
         [](const Outcome& o) { return o.r(0, 0) == 0 && o.r(1, 0) == 0; },
         no,
         yes},
        {{"SB+fences", {{W(x, 1), F(), R(y, 0)}, {W(y, 1), F(), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 0 && o.r(1, 0) == 0; },
         no,
         no},
        {{"SB+fence+po", {{W(x, 1), F(), R(y, 0)}, {W(y, 1), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 0 && o.r(1, 0) == 0; },
         no,
         yes},
        {{"SB+adds", {{add(x, 1), R(y, 0)}, {add(y, 1), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 0 && o.r(1, 0) == 0; },
         no,
         no},
        {{"SB+rfi", {{W(x, 1), R(x, 0), R(y, 1)}, {W(y, 1), R(y, 0), R(x, 1)}}},
         0,
         [](const Outcome& o) { return o.r(0, 1) == 0 && o.r(1, 1) == 0; },
         no,
         yes},
        {{"3.SB", {{W(x, 1), R(y, 0)}, {W(y, 1), R(z, 0)}, {W(z, 1), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) + o.r(1, 0) + o.r(2, 0) == 0; },
         no,
         yes},
        {{"R", {{W(x, 1), W(y, 1)}, {W(y, 2), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.words[y] == 2 && o.r(1, 0) == 0; },
         no,
         yes},
        {{"RWC", {{W(x, 1)}, {R(x, 0), R(y, 1)}, {W(y, 1), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(1, 0) == 1 && o.r(1, 1) == 0 && o.r(2, 0) == 0; },
         no,
         yes},
        {{"W+RWC", {{W(x, 1), W(z, 1)}, {R(z, 0), R(y, 1)}, {W(y, 1), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(1, 0) == 1 && o.r(1, 1) == 0 && o.r(2, 0) == 0; },
         no,
         yes},
        {{"n6", {{W(x, 1), R(x, 0), R(y, 1)}, {W(y, 2), W(x, 2)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 1 && o.r(0, 1) == 0 && o.words[x] == 1; },
         no,
         yes},
    };
}

/// What x86 forbids.
std::vector<Litmus> ordered() {
    return {
        {{"MP", {{W(x, 1), W(y, 1)}, {R(y, 0), R(x, 1)}}},
         3,
         [](const Outcome& o) { return o.r(1, 0) == 1 && o.r(1, 1) == 0; },
         no,
         no},
        {{"LB", {{R(x, 0), W(y, 1)}, {R(y, 0), W(x, 1)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 1 && o.r(1, 0) == 1; },
         no,
         no},
        {{"2+2W", {{W(x, 1), W(y, 2)}, {W(y, 1), W(x, 2)}}},
         0,
         [](const Outcome& o) { return o.words[x] == 1 && o.words[y] == 1; },
         no,
         no},
        {{"S", {{W(x, 2), W(y, 1)}, {R(y, 0), W(x, 1)}}},
         0,
         [](const Outcome& o) { return o.words[x] == 2 && o.r(1, 0) == 1; },
         no,
         no},
        {{"WRC", {{W(x, 1)}, {R(x, 0), W(y, 1)}, {R(y, 0), R(x, 1)}}},
         0,
         [](const Outcome& o) { return o.r(1, 0) == 1 && o.r(2, 0) == 1 && o.r(2, 1) == 0; },
         no,
         no},
        {{"ISA2", {{W(x, 1), W(y, 1)}, {R(y, 0), W(z, 1)}, {R(z, 0), R(x, 1)}}},
         0,
         [](const Outcome& o) { return o.r(1, 0) == 1 && o.r(2, 0) == 1 && o.r(2, 1) == 0; },
         no,
         no},
        {{"IRIW", {{W(x, 1)}, {W(y, 1)}, {R(x, 0), R(y, 1)}, {R(y, 0), R(x, 1)}}},
         0,
         [](const Outcome& o) {
             return o.r(2, 0) == 1 && o.r(2, 1) == 0 && o.r(3, 0) == 1 && o.r(3, 1) == 0;
         },
         no,
         no},
    };
}

/// One word behaves in every model.
std::vector<Litmus> of_one_word() {
    return {
        {{"CoRR", {{W(x, 1)}, {R(x, 0), R(x, 1)}}},
         0,
         [](const Outcome& o) { return o.r(1, 0) == 1 && o.r(1, 1) == 0; },
         no,
         no},
        {{"CoWW", {{W(x, 1), W(x, 2)}}},
         0,
         [](const Outcome& o) { return o.words[x] == 1; },
         no,
         no},
        {{"CoWR", {{W(x, 1), R(x, 0)}, {W(x, 2)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 0; },
         no,
         no},
        {{"CoRW", {{R(x, 0), W(x, 1)}, {W(x, 2)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 2 && o.words[x] == 2; },
         no,
         no},
        {{"n5", {{W(x, 1), R(x, 0)}, {W(x, 2), R(x, 0)}}},
         0,
         [](const Outcome& o) { return o.r(0, 0) == 2 && o.r(1, 0) == 1; },
         no,
         no},
    };
}

/// Known by GenMC's number.
std::vector<Litmus> counted() {
    std::vector<Litmus> all;
    all.push_back(plain("CoRR1", 36, {{W(x, 1)}, {W(x, 2)}, {R(x, 0), R(x, 1)}, {R(x, 0)}}));
    all.push_back(
        plain("CoRR2", 72, {{W(x, 1)}, {W(x, 2)}, {R(x, 0), R(x, 1)}, {R(x, 0), R(x, 1)}}));
    all.push_back(plain(
        "IRIWish", 27, {{W(x, 1)}, {R(x, 0), W(y, 0, 0)}, {R(x, 0), R(y, 1)}, {R(y, 0), R(x, 1)}}));
    all.push_back(
        plain("MPU+rels+acq", 12,
              {{W(x, 1), W(y, 0), W(y, 1)}, {add(y, 1)}, {R(y, 0), leave_below(0, 2), W(x, 2)}}));
    all.push_back(plain("fr+w+w+w+reads", 210,
                        {{W(x, 1)}, {W(x, 2)}, {W(x, 3)}, {R(x, 0), R(x, 1), R(x, 2), R(x, 3)}}));
    all.push_back(
        plain("viktor-relseq", 180,
              {{add(x, 1), add(x, 1)}, {add(x, 1), add(x, 1)}, {add(x, 1)}, {add(x, 1)}}));
    return all;
}

}  // namespace

std::vector<Litmus> classics() {
    std::vector<Litmus> all;
    std::array parts{buffered(), ordered(), of_one_word(), counted()};
    for (std::vector<Litmus>& part : parts) std::ranges::move(part, std::back_inserter(all));
    return all;
}

std::vector<Litmus> families() {
    std::vector<Litmus> all;
    const auto add_all = [&](std::string_view name, unsigned first,
                             std::initializer_list<uint64_t> counts, const auto& threads) {
        unsigned n = first;
        for (const uint64_t genmc : counts) {
            all.push_back(plain(fmt::format("{}({})", name, n), genmc, threads(n)));
            ++n;
        }
    };
    add_all("ainc", 2, {2, 6, 24, 120, 720}, [](unsigned n) { return copies(n, {add(x, 1)}); });
    add_all("cinc", 2, {8, 216, 13824},
            [](unsigned n) { return copies(n, {add(x, 1), add(y, 1), add(z, 1)}); });
    add_all("rw", 2, {4, 36, 576}, [](unsigned n) { return copies(n, {R(x, 0), W(x, 7)}); });
    add_all("cas", 2, {2, 3, 4, 5}, [](unsigned n) { return copies(n, {cas(x, 0, 1)}); });
    add_all("wrw", 2, {22, 300, 6576}, [](unsigned n) {
        std::vector<Thread> threads = copies(n, {R(x, 0), W(x, 7)});
        threads.push_back({W(x, 1)});
        return threads;
    });
    add_all("wainc", 2, {6, 24, 120}, [](unsigned n) {
        std::vector<Thread> threads = copies(n, {add(x, 1)});
        threads.push_back({W(x, 9)});
        return threads;
    });
    add_all("wcas", 2, {5, 13, 33, 81, 193}, [](unsigned n) {
        std::vector<Thread> threads = copies(n, {cas(x, 1, 2)});
        threads.push_back({W(x, 1)});
        return threads;
    });
    add_all("CoA", 1, {4, 15, 130, 2028}, [](unsigned n) {
        std::vector<Thread> threads = copies(n - 1, {W(y, 5), W(z, 5)});
        threads.push_back({W(x, 1), R(y, 0), R(x, 1)});
        threads.push_back({W(x, 2), R(z, 0), R(x, 1)});
        return threads;
    });
    add_all("N-writers", 5, {720}, [](unsigned n) {
        std::vector<Thread> threads = copies(n, {W(x, 3)});
        threads.push_back({R(x, 0)});
        return threads;
    });
    for (const auto& [n, genmc] : {std::pair{2U, 4U}, {8U, 256U}, {13U, 8192U}}) {
        std::vector<Thread> threads = copies(n, {R(x, 0)});
        threads.push_back({W(x, 1)});
        all.push_back(plain(fmt::format("readers({})", n), genmc, std::move(threads)));
    }
    // The JACM benchmark: a reader looks for the last zero of an array that writers fill.
    for (const auto& [n, genmc] : {std::pair{5U, 64U}, {10U, 3328U}}) {
        std::vector<Thread> threads(1);
        for (unsigned at = n + 1; at-- > 0;) {
            threads[0].push_back(R(at, 0));
            threads[0].push_back(leave_below(0, 1));
        }
        for (unsigned at = 1; at <= n; ++at) threads.push_back({R(at - 1, 0), W(at, 1, 0)});
        all.push_back(plain(fmt::format("lastzero({})", n), genmc, std::move(threads)));
    }
    // Of the verification competition: two threads add each other's number to their own, a third
    // looks at both.
    std::vector<Thread> fib(3);
    fib[2] = {R(x, 0), R(y, 1)};
    for (unsigned round = 0; round < 5; ++round)
        for (unsigned mine = 0; mine < 2; ++mine)
            for (const Command& each : {R(mine, 0), R(1 - mine, 1), W(mine, 0, 0)})
                fib[mine].push_back(each);
    all.push_back(plain("fib_bench(5)", 218'243, std::move(fib)));
    return all;
}

}  // namespace braidway::explore::litmus
