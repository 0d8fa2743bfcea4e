// SPDX-License-Identifier: Apache-2.0
// Long because: one pass over a function is one class.
#include "apps/lockcheck/preload/passing.h"

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

#include "apps/lockcheck/preload/instruction.h"
#include "apps/lockcheck/preload/static_objects.h"
#include "base/limits.h"

/// As libgcc has them, in front of a table of code with its ranges.
// NOLINTBEGIN(readability-identifier-naming): its names.
struct dwarf_eh_bases {
    void* text_base;
    void* data_base;
    void* function;
};
extern "C" const void* _Unwind_Find_FDE(void* address, dwarf_eh_bases* bases);
// NOLINTEND(readability-identifier-naming)

namespace braidway::lockcheck {
namespace {

constexpr std::array<int8_t, 6> parameter_registers = {
    registers::rdi, registers::rsi, registers::rdx, registers::rcx, registers::r8, registers::r9};

template <typename T>
T load(uintptr_t address) {
    T loaded;
    std::memcpy(&loaded, reinterpret_cast<const void*>(address), sizeof loaded);
    return loaded;
}

/// Of which module, for comparing.
const void* module_of(uintptr_t address) {
    dl_find_object found{};
    return _dl_find_object(reinterpret_cast<void*>(address), &found) == 0 ? found.dlfo_map_start
                                                                          : nullptr;
}

/// May it be an init call? Memory comes from here, too.
bool is_init_call(uintptr_t target) {
    return target != reinterpret_cast<uintptr_t>(&free) && is_of_this_library(target);
}

/// Past the linker's stubs: what they jump to stands in a slot of the module.
uintptr_t past_stubs(uintptr_t target) {
    constexpr size_t stub_bytes = 16;
    if (target == 0 || !is_in_module(target) || !is_in_module(target + stub_bytes)) return target;
    std::span<const unsigned char> code(reinterpret_cast<const unsigned char*>(target), stub_bytes);
    Instruction instruction;
    for (int i = 0; i < 2; ++i) {
        if (!read_instruction(code, instruction)) return target;
        if (instruction.effect == Effect::jumps && instruction.slot != 0)
            return load<uintptr_t>(instruction.slot);
        // Where jumps need a landing place, that is the first instruction.
        if (instruction.effect != Effect::none) return target;
        code = code.subspan(instruction.length);
    }
    return target;
}

uintptr_t target_of(const Instruction& instruction) {
    if (instruction.slot != 0 && !is_in_module(instruction.slot)) return 0;
    return instruction.slot != 0 ? load<uintptr_t>(instruction.slot)
                                 : past_stubs(instruction.target);
}

/// What is followed of a value: each bit of the lowest six says that it comes from that parameter,
/// the next six that something was added to it.
using Origin = uint16_t;
constexpr Origin parameters = 0x3f;
constexpr unsigned moved_shift = 6;
constexpr Origin result = 1 << 12;  ///< What the call returned.
constexpr Origin block = 1 << 13;   ///< A fresh block of the heap.
constexpr Origin frame = 1 << 14;   ///< The address of something in the function's own frame.

bool allocates(uintptr_t target, bool& counted) {
    using New = void*(size_t);
    counted = target == reinterpret_cast<uintptr_t>(&calloc);
    return counted || target == reinterpret_cast<uintptr_t>(&malloc) ||
           target == reinterpret_cast<uintptr_t>(static_cast<New*>(&::operator new));
}

/// Follows the parameters through one function.
class Pass {
  public:
    Pass(const FunctionCode& function, uintptr_t call_end, uint8_t parameter)
        : function_(function), call_end_(call_end), parameter_(parameter) {
        for (size_t i = 0; i < parameter_registers.size(); ++i)
            of(parameter_registers[i]) = static_cast<Origin>(1 << i);
        of(registers::rsp) = frame;
    }

    Passing run() {
        std::span<const unsigned char> code(reinterpret_cast<const unsigned char*>(function_.begin),
                                            function_.end - function_.begin);
        while (!code.empty()) {
            Instruction instruction;
            if (!read_instruction(code, instruction)) return {};
            code = code.subspan(instruction.length);
            step(instruction, reinterpret_cast<uintptr_t>(code.data()));
        }
        return judged();
    }

  private:
    struct Slot {
        int8_t base = Operand::none;
        int32_t offset = 0;
        Origin origin = 0;
    };
    struct OtherCall {
        uintptr_t target = 0;
        Origin handed = 0;
    };

    Origin& of(int8_t reg) { return origins_[static_cast<size_t>(reg)]; }
    Origin of_register(int8_t reg) { return reg == Operand::none ? Origin{0} : of(reg); }

    /// The object is used: more of it is known here than where it is.
    void uses(Origin origin) {
        used_ |= origin & parameters;
        cares_ = cares_ || (origin & result) != 0;
    }

    /// Where the operand is a place in the function's own frame, what stands there. nullptr: it is
    /// none, or there are too many.
    Slot* slot_of(const Operand& operand) {
        const bool in_frame = operand.is_memory && operand.index == Operand::none &&
                              (operand.base == registers::rsp || operand.base == registers::rbp) &&
                              of(operand.base) == frame;
        if (!in_frame) return nullptr;
        for (Slot& slot : slots_)
            if (slot.base == operand.base && slot.offset == operand.offset) return &slot;
        for (Slot& slot : slots_) {
            if (slot.base != Operand::none) continue;
            slot = {.base = operand.base, .offset = operand.offset};
            return &slot;
        }
        return nullptr;
    }

    Origin of_operand(const Operand& operand) {
        if (!operand.is_memory) return of_register(operand.base);
        const Slot* const slot = slot_of(operand);
        return slot == nullptr ? Origin{0} : slot->origin;
    }

    void set_register(int8_t reg, Origin origin) {
        if (reg == Operand::none) return;
        of(reg) = origin;
        has_number_ &= ~(1U << reg);
        // The result is kept for later, not just left where it came.
        if ((origin & result) != 0 && reg != registers::rax) cares_ = true;
    }
    void set_operand(const Operand& operand, Origin origin) {
        if (!operand.is_memory) {
            set_register(operand.base, origin);
            return;
        }
        if ((origin & result) != 0) cares_ = true;
        if (Slot* const slot = slot_of(operand))
            slot->origin = origin;
        else
            uses(origin);
    }

    static Origin moved(Origin origin) {
        return static_cast<Origin>(origin | (origin & parameters) << moved_shift);
    }

    void step(const Instruction& now, uintptr_t end) {
        const Operand& operand = now.operand;
        if (operand.is_memory && now.effect != Effect::address)
            uses(static_cast<Origin>(of_register(operand.base) | of_register(operand.index)));
        switch (now.effect) {
            case Effect::reads:
                cares_ = cares_ || ((of_operand(operand) | of_register(now.reg)) & result) != 0;
                return;
            case Effect::copies:
                if (now.to_operand)
                    set_operand(operand, of_register(now.reg));
                else
                    set_register(now.reg, of_operand(operand));
                return;
            case Effect::may_copy:
                set_register(now.reg, static_cast<Origin>(of(now.reg) | of_operand(operand)));
                return;
            case Effect::address:
                take_address(now);
                return;
            case Effect::constant:
            case Effect::clears:
                take_number(now);
                return;
            case Effect::computes:
                compute(now);
                return;
            case Effect::pops:
                // What a function gives back at its end, code behind that may still have.
                if (is_lost_in_calls(now.reg)) set_register(now.reg, 0);
                return;
            case Effect::calls:
                call(now, end);
                return;
            case Effect::jumps:
                if (now.slot != 0 || now.target < function_.begin || now.target >= function_.end)
                    call(now, end);
                return;
            case Effect::none:
            case Effect::returns:
                return;
        }
    }

    void take_address(const Instruction& now) {
        const Origin base = of_register(now.operand.base);
        const Origin index = of_register(now.operand.index);
        const auto origin = static_cast<Origin>(base | index);
        const bool same = now.operand.offset == 0 && now.operand.index == Operand::none;
        if (!same) uses(origin);
        set_register(now.reg, same ? origin : moved(origin));
    }

    void take_number(const Instruction& now) {
        if (now.to_operand || now.reg == Operand::none) {
            set_operand(now.operand, 0);
            if (now.operand.is_memory || now.effect != Effect::constant) return;
            keep_number(now.operand.base, now.value);
            return;
        }
        set_register(now.reg, 0);
        if (now.effect == Effect::constant) keep_number(now.reg, now.value);
    }
    void keep_number(int8_t reg, uint64_t value) {
        numbers_[static_cast<size_t>(reg)] = value;
        has_number_ |= 1U << reg;
    }

    void compute(const Instruction& now) {
        const auto origin = static_cast<Origin>(of_operand(now.operand) | of_register(now.reg));
        const bool own_frame = !now.operand.is_memory && now.operand.base == registers::rsp;
        if (own_frame) return;
        uses(origin);
        if (now.to_operand)
            set_operand(now.operand, moved(origin));
        else
            set_register(now.reg, moved(origin));
    }

    static bool is_lost_in_calls(int8_t reg) {
        for (const int8_t each : parameter_registers)
            if (reg == each) return true;
        return reg == registers::rax || reg == 10 || reg == 11;
    }

    void call(const Instruction& now, uintptr_t end) {
        const uintptr_t target = target_of(now);
        if (end == call_end_) {
            handed_ = of(parameter_registers[parameter_]);
            target_ = target;
            const size_t next = parameter_ + size_t{1};
            cares_ = cares_ || (next < parameter_registers.size() &&
                                (of(parameter_registers[next]) & frame) != 0);
        } else {
            Origin handed = 0;
            for (const int8_t each : parameter_registers)
                handed = static_cast<Origin>(handed | (of(each) & parameters));
            note_other_call(target, handed);
        }
        bool counted = false;
        const bool makes_block = allocates(target, counted);
        if (makes_block) note_block(counted);
        for (int8_t reg = 0; reg < 16; ++reg)
            if (is_lost_in_calls(reg)) set_register(reg, 0);
        if (end == call_end_) of(registers::rax) = result;
        if (makes_block) of(registers::rax) = block;
    }

    void note_other_call(uintptr_t target, Origin handed) {
        if (handed == 0) return;
        if (other_calls_count_ == other_calls_.size())
            used_ |= handed;
        else
            other_calls_[other_calls_count_++] = {target, handed};
    }

    void note_block(bool counted) {
        uint64_t bytes = number_in(registers::rdi);
        if (counted) bytes *= number_in(registers::rsi);
        block_bytes_ = blocks_++ == 0 || block_bytes_ == bytes ? bytes : 0;
    }
    uint64_t number_in(int8_t reg) const {
        return (has_number_ & 1U << reg) != 0 ? numbers_[static_cast<size_t>(reg)] : 0;
    }

    Passing judged() {
        if (target_ == 0 && handed_ == 0) return {};
        // The same call at another place, for another kind, is no other use.
        for (size_t i = 0; i < other_calls_count_; ++i)
            if (other_calls_[i].target != target_ || target_ == 0) used_ |= other_calls_[i].handed;
        const auto from = static_cast<Origin>(handed_ & parameters);
        if (from == 0) {
            return {.role = Role::makes, .block_bytes = (handed_ & block) != 0 ? block_bytes_ : 0};
        }
        if ((from & (from - 1)) != 0) return {};
        Passing found{.cares = cares_};
        while ((from >> found.parameter) != 1) ++found.parameter;
        found.role = (handed_ & (from << moved_shift)) != 0 ? Role::part
                     : (used_ & from) != 0                  ? Role::whole
                                                            : Role::passes;
        return found;
    }

    const FunctionCode function_;
    const uintptr_t call_end_;
    const uint8_t parameter_;

    std::array<Origin, 16> origins_{};
    std::array<uint64_t, 16> numbers_{};
    uint32_t has_number_ = 0;
    std::array<Slot, 16> slots_{};
    std::array<OtherCall, 8> other_calls_{};
    size_t other_calls_count_ = 0;

    Origin used_ = 0;
    Origin handed_ = 0;
    uintptr_t target_ = 0;
    bool cares_ = false;
    uint64_t block_bytes_ = 0;
    size_t blocks_ = 0;
};

/// Calls each(function, target, end of the jump) for the jumps out of the function at `begin`,
/// until it says false.
void for_tail_jumps(uintptr_t begin, const auto& each) {
    const FunctionCode function = function_at(begin);
    if (function.begin == 0 || function.begin != begin ||
        function.end - begin > limits::lockcheck_wrapper_bytes_max)
        return;
    std::span<const unsigned char> code(reinterpret_cast<const unsigned char*>(begin),
                                        function.end - begin);
    while (!code.empty()) {
        Instruction instruction;
        if (!read_instruction(code, instruction)) return;
        code = code.subspan(instruction.length);
        if (instruction.effect != Effect::jumps) continue;
        if (instruction.slot == 0 && instruction.target == 0) continue;
        const uintptr_t target = target_of(instruction);
        if (target >= begin && target < function.end) continue;
        if (!each(function, target, reinterpret_cast<uintptr_t>(code.data()))) return;
    }
}

}  // namespace

FunctionCode function_at(uintptr_t address) {
    if (!is_in_module(address)) return {};
    dwarf_eh_bases bases{};
    const auto entry =
        reinterpret_cast<uintptr_t>(_Unwind_Find_FDE(reinterpret_cast<void*>(address), &bases));
    if (entry == 0) return {};
    // Length and owner of the entry come first. Compilers write the beginning relative to itself,
    // in 4 bytes, and the size in as many: believed where the beginning is what was found.
    constexpr size_t begin_at = 8, size_at = 12;
    const auto begin = reinterpret_cast<uintptr_t>(bases.function);
    const auto distance = static_cast<uintptr_t>(int64_t{load<int32_t>(entry + begin_at)});
    if (entry + begin_at + distance != begin) return {};
    const uintptr_t end = begin + load<uint32_t>(entry + size_at);
    if (address < begin || address >= end || !is_in_module(end - 1)) return {};
    return {begin, end};
}

uintptr_t function_called_before(uintptr_t site) {
    constexpr size_t call_bytes = 5, call_by_slot_bytes = 6;
    if (!is_in_module(site - call_by_slot_bytes)) return 0;
    for (const size_t bytes : {call_bytes, call_by_slot_bytes}) {
        const auto* const code = reinterpret_cast<const unsigned char*>(site - bytes);
        Instruction instruction;
        if (!read_instruction({code, bytes}, instruction) || instruction.length != bytes ||
            instruction.effect != Effect::calls)
            continue;
        if (instruction.slot == 0 && instruction.target == 0) continue;
        const uintptr_t target = instruction.slot != 0 && is_in_module(instruction.slot)
                                     ? load<uintptr_t>(instruction.slot)
                                     : past_stubs(instruction.target);
        // Bytes that merely look like a call lead nowhere.
        if (function_at(target).begin == target) return target;
    }
    return 0;
}

bool is_call_through_pointer(uintptr_t site) {
    // From `call *%rax` to one with a scaled index and a far offset.
    constexpr size_t bytes_min = 2, bytes_max = 8;
    if (!is_in_module(site - bytes_max)) return false;
    for (size_t bytes = bytes_min; bytes <= bytes_max; ++bytes) {
        const auto* const code = reinterpret_cast<const unsigned char*>(site - bytes);
        Instruction instruction;
        if (read_instruction({code, bytes}, instruction) && instruction.length == bytes &&
            instruction.effect == Effect::calls && instruction.target == 0 && instruction.slot == 0)
            return true;
    }
    return false;
}

bool is_of_this_library(uintptr_t address) {
    static const int here = 0;
    const void* const module = module_of(address);
    return module != nullptr && module == module_of(reinterpret_cast<uintptr_t>(&here));
}

Passing passing_of(const FunctionCode& function, uintptr_t call_end, uint8_t parameter) {
    if (function.begin == 0 || function.end - function.begin > limits::lockcheck_wrapper_bytes_max)
        return {};
    if (call_end <= function.begin || call_end > function.end) return {};
    if (parameter >= parameter_registers.size()) return {};
    return Pass(function, call_end, parameter).run();
}

CallsMade calls_made(const FunctionCode& function) {
    CallsMade calls;
    if (function.begin == 0 || function.end - function.begin > limits::lockcheck_wrapper_bytes_max)
        return calls;
    std::span<const unsigned char> code(reinterpret_cast<const unsigned char*>(function.begin),
                                        function.end - function.begin);
    while (!code.empty()) {
        Instruction instruction;
        if (!read_instruction(code, instruction)) return calls;
        code = code.subspan(instruction.length);
        const uintptr_t target = target_of(instruction);
        const bool leaves = instruction.effect == Effect::jumps && target != 0 &&
                            (target < function.begin || target >= function.end);
        if (instruction.effect != Effect::calls && !leaves) continue;
        ++calls.all;
        if (is_of_this_library(target)) ++calls.to_us;
        // Past a stub it is another address than the instruction's.
        else if (instruction.slot == 0 && target == instruction.target)
            ++calls.near;
    }
    calls.known = true;
    return calls;
}

size_t tail_calls(uintptr_t begin, uintptr_t next, TailCall* found, size_t found_max) {
    if (found_max == 0) return 0;
    size_t count = 0;
    for_tail_jumps(begin, [&](const FunctionCode& function, uintptr_t target, uintptr_t end) {
        const bool arrives = next != 0 ? target == next : is_init_call(target);
        const size_t inner = arrives ? 0 : tail_calls(target, next, found, found_max - 1);
        if (!arrives && inner == 0) return true;
        found[inner] = {function, end};
        count = inner + 1;
        return false;
    });
    return count;
}

size_t sure_tail_calls(uintptr_t begin, uintptr_t next, TailCall* found, size_t found_max) {
    const size_t count = tail_calls(begin, next, found, found_max);
    if (count == 0) return 0;
    // Found innermost first: each goes on to the one before it.
    for (size_t i = 0; i < count; ++i) {
        const uintptr_t inner = i == 0 ? next : found[i - 1].function.begin;
        bool is_only = true;
        for_tail_jumps(
            found[i].function.begin, [&](const FunctionCode&, uintptr_t target, uintptr_t end) {
                std::array<TailCall, 3> others{};
                const bool arrives = next != 0 ? target == next : is_init_call(target);
                if (end != found[i].jump_end && target != inner &&
                    (arrives || tail_calls(target, next, others.data(), others.size()) != 0))
                    is_only = false;
                return is_only;
            });
        if (!is_only) return 0;
    }
    return count;
}

}  // namespace braidway::lockcheck
