// SPDX-License-Identifier: Apache-2.0
// Small concurrent programs of loads and stores, and what they can do: found by brute force,
// without the explorer, so that the explorer can be held to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace braidway::explore::litmus {

inline constexpr unsigned words_max = 12;
inline constexpr unsigned registers_max = 8;

/// One command of a thread.
struct Command {
    enum class Kind : uint8_t {
        load,       ///< Register = word.
        store,      ///< Word = value, plus the register if there is one.
        add,        ///< Register = word, word += value, at once.
        compare,    ///< Word = value if it is `expected`, at once.
        fence,      ///< A full fence.
        leave_low,  ///< The thread ends if the register is below `value`.
    };
    Kind kind = Kind::load;
    unsigned word = 0;
    uint32_t value = 0;
    uint32_t expected = 0;
    int reg = -1;  ///< None if negative.
};

inline constexpr unsigned x = 0;
inline constexpr unsigned y = 1;
inline constexpr unsigned z = 2;

inline Command R(unsigned word, int reg) {
    return {.kind = Command::Kind::load, .word = word, .reg = reg};
}
inline Command W(unsigned word, uint32_t value, int plus_reg = -1) {
    return {.kind = Command::Kind::store, .word = word, .value = value, .reg = plus_reg};
}
inline Command add(unsigned word, uint32_t value, int reg = -1) {
    return {.kind = Command::Kind::add, .word = word, .value = value, .reg = reg};
}
inline Command cas(unsigned word, uint32_t expected, uint32_t value) {
    return {.kind = Command::Kind::compare, .word = word, .value = value, .expected = expected};
}
inline Command F() {
    return {.kind = Command::Kind::fence};
}
inline Command leave_below(int reg, uint32_t value) {
    return {.kind = Command::Kind::leave_low, .value = value, .reg = reg};
}

using Registers = std::array<uint32_t, registers_max>;
using Words = std::array<uint32_t, words_max>;

/// What a program has come to.
struct Outcome {
    std::vector<Registers> registers;  ///< Of each thread.
    Words words{};

    auto operator<=>(const Outcome&) const = default;
    uint32_t r(unsigned thread, unsigned reg) const { return registers[thread][reg]; }
};

using Thread = std::vector<Command>;

/// A program.
struct Program {
    std::string name;
    std::vector<Thread> threads;
};

/// The outcomes of every interleaving; with `buffers`, of the machine x86-TSO: each thread's stores
/// wait in a queue that it reads itself.
/// Source: Sewell et al., "x86-TSO: A rigorous and usable programmer's model", 2010.
std::set<Outcome> outcomes(const Program& program, bool buffers);

/// How many executions differ in who read from which write, or in the order of the writes of a
/// word. 0 when the program has more than `interleavings_max` interleavings: then nobody counted.
uint64_t executions(const Program& program, uint64_t interleavings_max);

}  // namespace braidway::explore::litmus
