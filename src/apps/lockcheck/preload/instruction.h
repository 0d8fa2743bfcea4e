// SPDX-License-Identifier: Apache-2.0
// The machine's instructions, as far as small functions consist of them: enough to see where a
// pointer goes that a function was handed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace braidway::lockcheck {

/// What an instruction does, for who follows pointers.
enum class Effect : uint8_t {
    none,    ///< Nothing but what its memory operand says: jumps that may be, prefetches, vectors.
    reads,   ///< Looks at the register and the operand: compares, tests.
    copies,  ///< The operand goes to the register, or the other way.
    may_copy,  ///< As copies, or nothing: a conditional move.
    address,   ///< The register becomes the operand's address.
    constant,  ///< The target becomes `value`.
    computes,  ///< The target becomes something of itself and the other.
    clears,    ///< The target becomes something of which nothing is followed.
    pops,      ///< The register comes from the stack.
    calls,     ///< Goes to `target`, and comes back.
    jumps,     ///< Goes to `target`, always.
    returns,
};

/// The operand that may be in memory.
struct Operand {
    static constexpr int8_t none = -1;

    bool is_memory = false;
    int8_t base = none;  ///< The register, when it is not memory. none: an address of the code's.
    int8_t index = none;
    int32_t offset = 0;
};

/// Numbers of registers as the processor has them.
namespace registers {
inline constexpr int8_t rax = 0, rcx = 1, rdx = 2, rsp = 4, rbp = 5, rsi = 6, rdi = 7, r8 = 8,
                        r9 = 9;
}

/// One instruction.
struct Instruction {
    uint8_t length = 0;
    Effect effect = Effect::none;
    bool to_operand = false;  ///< The operand is the target, else the register.
    int8_t reg = Operand::none;
    Operand operand;
    uint64_t value = 0;
    /// Of a call or a jump; with an address of its own in `slot`, that is where the target stands.
    uintptr_t target = 0;
    uintptr_t slot = 0;
};

/// Reads the instruction at the beginning of `code`. False: it is cut off, or none of those that
/// this knows, so that nothing can be said of the function.
///
/// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. For other
///         processors: false.
bool read_instruction(std::span<const unsigned char> code, Instruction& instruction);

}  // namespace braidway::lockcheck
