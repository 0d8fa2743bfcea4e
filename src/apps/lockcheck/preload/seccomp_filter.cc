// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstddef>
#include <cstring>
#include <optional>

namespace braidway::lockcheck {
namespace {

#if defined(__x86_64__)
constexpr uint32_t this_machine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t this_machine = AUDIT_ARCH_AARCH64;
#endif

/// The machine of "classic BPF": an accumulator, an index register and sixteen words.
struct Machine {
    const seccomp_data& data;
    uint32_t a = 0;
    uint32_t x = 0;
    uint32_t memory[BPF_MEMWORDS] = {};

    std::optional<uint32_t> load(const sock_filter& from) const {
        switch (BPF_MODE(from.code)) {
            case BPF_IMM:
                return from.k;
            case BPF_LEN:
                return sizeof data;
            case BPF_MEM:
                if (from.k < BPF_MEMWORDS) return memory[from.k];
                return std::nullopt;
            case BPF_ABS: {
                if (from.k > sizeof data - sizeof(uint32_t) || from.k % sizeof(uint32_t) != 0)
                    return std::nullopt;
                uint32_t word = 0;
                std::memcpy(&word, reinterpret_cast<const char*>(&data) + from.k, sizeof word);
                return word;
            }
            default:
                return std::nullopt;
        }
    }

    /// False: there is no such operation.
    bool compute(const sock_filter& how) {
        const uint32_t operand = BPF_SRC(how.code) == BPF_X ? x : how.k;
        switch (BPF_OP(how.code)) {
            case BPF_ADD:
                a += operand;
                return true;
            case BPF_SUB:
                a -= operand;
                return true;
            case BPF_MUL:
                a *= operand;
                return true;
            case BPF_DIV:
                if (operand == 0) return false;
                a /= operand;
                return true;
            case BPF_AND:
                a &= operand;
                return true;
            case BPF_OR:
                a |= operand;
                return true;
            case BPF_XOR:
                a ^= operand;
                return true;
            case BPF_LSH:
                a = operand < 32 ? a << operand : 0;
                return true;
            case BPF_RSH:
                a = operand < 32 ? a >> operand : 0;
                return true;
            case BPF_NEG:
                a = 0u - a;
                return true;
            default:
                return false;
        }
    }

    /// How many instructions are passed over.
    std::optional<uint32_t> jump(const sock_filter& how) const {
        const uint32_t operand = BPF_SRC(how.code) == BPF_X ? x : how.k;
        switch (BPF_OP(how.code)) {
            case BPF_JA:
                return how.k;
            case BPF_JEQ:
                return a == operand ? how.jt : how.jf;
            case BPF_JGT:
                return a > operand ? how.jt : how.jf;
            case BPF_JGE:
                return a >= operand ? how.jt : how.jf;
            case BPF_JSET:
                return (a & operand) != 0 ? how.jt : how.jf;
            default:
                return std::nullopt;
        }
    }

    /// One instruction that neither jumps nor returns. False: there is no such one.
    bool step(const sock_filter& next) {
        std::optional<uint32_t> loaded;
        switch (BPF_CLASS(next.code)) {
            case BPF_LD:
                loaded = load(next);
                a = loaded.value_or(0);
                return loaded.has_value();
            case BPF_LDX:
                loaded = load(next);
                x = loaded.value_or(0);
                return loaded.has_value();
            case BPF_ST:
            case BPF_STX:
                if (next.k >= BPF_MEMWORDS) return false;
                memory[next.k] = BPF_CLASS(next.code) == BPF_ST ? a : x;
                return true;
            case BPF_ALU:
                return compute(next);
            case BPF_MISC:
                (BPF_MISCOP(next.code) == BPF_TAX ? x : a) =
                    BPF_MISCOP(next.code) == BPF_TAX ? a : x;
                return true;
            default:
                return false;
        }
    }
};

}  // namespace

bool allows(const sock_fprog& filter, const FilteredCall& call) {
    seccomp_data data{};
    data.nr = static_cast<int>(call.number);
    data.arch = this_machine;
    for (size_t at = 0; at < 6; ++at) data.args[at] = call.arguments[at];
    Machine machine{data};
    // It jumps only forward.
    for (uint64_t at = 0; at < filter.len; ++at) {
        const sock_filter& next = filter.filter[at];
        if (BPF_CLASS(next.code) == BPF_RET) {
            const uint32_t verdict = BPF_RVAL(next.code) == BPF_A ? machine.a : next.k;
            const uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;
            return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
        }
        if (BPF_CLASS(next.code) == BPF_JMP) {
            const std::optional<uint32_t> over = machine.jump(next);
            if (!over) return false;
            at += *over;
        } else if (!machine.step(next)) {
            return false;
        }
    }
    return false;
}

}  // namespace braidway::lockcheck
