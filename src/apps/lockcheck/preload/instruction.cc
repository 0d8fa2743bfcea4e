// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/instruction.h"

#include <cstring>

namespace braidway::lockcheck {

#if defined(__x86_64__)
namespace {

/// Takes an instruction apart from its first byte on. What lies behind the end reads as 0 and makes
/// ok() false.
class Reader {
  public:
    explicit Reader(std::span<const unsigned char> code) : code_(code) {}

    uint8_t byte() {
        if (at_ >= code_.size()) {
            ok_ = false;
            return 0;
        }
        return code_[at_++];
    }
    int32_t number(size_t bytes) {
        uint32_t read = 0;
        for (size_t i = 0; i < bytes; ++i) read |= uint32_t{byte()} << (8 * i);
        if (bytes == 1) return static_cast<int8_t>(read);
        if (bytes == 2) return static_cast<int16_t>(read);
        return static_cast<int32_t>(read);
    }
    uint64_t number64() {
        const auto low = static_cast<uint32_t>(number(4));
        return low | uint64_t{static_cast<uint32_t>(number(4))} << 32;
    }
    bool ok() const { return ok_; }
    size_t length() const { return at_; }
    /// Where the next instruction begins, or `from` bytes further.
    uintptr_t address(int64_t from = 0) const {
        return reinterpret_cast<uintptr_t>(code_.data()) + at_ + static_cast<uintptr_t>(from);
    }

  private:
    std::span<const unsigned char> code_;
    size_t at_ = 0;
    bool ok_ = true;
};

struct Prefixes {
    uint8_t rex = 0;
    bool short_operand = false;  ///< 16 bits.
    bool segment = false;        ///< The memory operand is in the thread's own segment.

    int8_t with(uint8_t number, uint8_t bit) const {
        return static_cast<int8_t>((number & 7) | ((rex & bit) != 0 ? 8 : 0));
    }
};

/// Decodes one instruction; the parts are called in the order of its bytes.
class Decoder {
  public:
    Decoder(std::span<const unsigned char> code, Instruction& found) : read_(code), found_(found) {}

    bool decode() {
        found_ = {};
        const uint8_t opcode = first_opcode();
        const bool known = opcode == 0x0f ? two_bytes(read_.byte()) : one_byte(opcode);
        found_.length = static_cast<uint8_t>(read_.length());
        if (slot_follows_) found_.slot = read_.address(found_.operand.offset);
        return known && read_.ok();
    }

  private:
    uint8_t first_opcode() {
        for (;;) {
            const uint8_t next = read_.byte();
            switch (next) {
                case 0x66:
                    prefixes_.short_operand = true;
                    break;
                case 0x64:
                case 0x65:
                    prefixes_.segment = true;
                    break;
                case 0x2e:
                case 0x3e:
                case 0xf2:
                case 0xf3:
                    break;
                default:
                    if ((next & 0xf0) != 0x40) return next;
                    prefixes_.rex = next;
                    return read_.byte();
            }
        }
    }

    /// The byte that names a register and an operand, and what belongs to the latter.
    uint8_t operands() {
        const uint8_t both = read_.byte();
        const auto mode = static_cast<uint8_t>(both >> 6);
        const auto number = static_cast<uint8_t>((both >> 3) & 7);
        found_.reg = prefixes_.with(number, 4);
        Operand& operand = found_.operand;
        operand.base = prefixes_.with(both, 1);
        if (mode == 3) return number;
        operand.is_memory = true;
        bool has_base = true;
        if ((both & 7) == 4) {
            const uint8_t scaled = read_.byte();
            operand.base = prefixes_.with(scaled, 1);
            const int8_t index = prefixes_.with(static_cast<uint8_t>(scaled >> 3), 2);
            if (index != registers::rsp) operand.index = index;
            has_base = (scaled & 7) != 5 || mode != 0;
        } else if ((both & 7) == 5 && mode == 0) {
            has_base = false;
            from_code_ = true;
        }
        if (!has_base || prefixes_.segment) operand.base = Operand::none;
        if (mode == 1) operand.offset = read_.number(1);
        if (mode == 2 || !has_base) operand.offset = read_.number(4);
        return number;
    }

    bool is(Effect effect, bool to_operand = false) {
        found_.effect = effect;
        found_.to_operand = to_operand;
        return true;
    }
    /// With the byte of operands before.
    bool takes(Effect effect, bool to_operand = false) {
        operands();
        return is(effect, to_operand);
    }
    bool with_number(size_t bytes, bool known = true) {
        found_.value = static_cast<uint64_t>(int64_t{read_.number(bytes)});
        return known;
    }
    size_t number_bytes() const { return prefixes_.short_operand ? 2 : 4; }
    bool on_register(int8_t reg, Effect effect) {
        found_.reg = reg;
        return is(effect);
    }
    bool to_near(Effect effect, size_t bytes) {
        const int32_t distance = read_.number(bytes);
        found_.target = read_.address(distance);
        return is(effect);
    }

    /// add, or, adc, sbb, and, sub, xor, cmp: in this order, eight opcodes each.
    bool arithmetic(uint8_t opcode) {
        const auto which = static_cast<uint8_t>(opcode >> 3);
        const auto form = static_cast<uint8_t>(opcode & 7);
        constexpr uint8_t sub = 5, exclusive_or = 6, compare = 7;
        const Effect effect = which == compare ? Effect::reads : Effect::computes;
        if (form >= 4) {
            found_.reg = registers::rax;
            return with_number(form == 4 ? 1 : number_bytes(), form <= 5 && is(effect));
        }
        operands();
        const bool with_itself = !found_.operand.is_memory && found_.operand.base == found_.reg;
        if (with_itself && (which == sub || which == exclusive_or)) return is(Effect::constant);
        return is(effect, form < 2);
    }

    /// The same with a number.
    bool arithmetic_with_number(uint8_t opcode) {
        const bool compares = operands() == 7;
        found_.reg = Operand::none;
        is(compares ? Effect::reads : Effect::computes, true);
        return with_number(opcode == 0x81 ? number_bytes() : 1);
    }

    bool group_f6(uint8_t opcode) {
        const uint8_t which = operands();
        found_.reg = Operand::none;
        if (which <= 1) return with_number(opcode == 0xf6 ? 1 : number_bytes(), is(Effect::reads));
        if (which <= 3) return is(Effect::computes, true);
        return on_register(registers::rax, Effect::clears);
    }

    bool group_ff(uint8_t opcode) {
        const uint8_t which = operands();
        found_.reg = Operand::none;
        if (which <= 1) return is(Effect::computes, true);
        if (opcode == 0xfe) return false;
        if (which == 6) return is(Effect::reads);
        if (which != 2 && which != 4) return false;
        slot_follows_ = from_code_;
        return is(which == 2 ? Effect::calls : Effect::jumps);
    }

    bool one_byte(uint8_t opcode) {
        if (opcode < 0x40 && (opcode & 7) < 6) return arithmetic(opcode);
        if (opcode >= 0x50 && opcode < 0x58) return is(Effect::none);
        if (opcode >= 0x58 && opcode < 0x60)
            return on_register(prefixes_.with(opcode, 1), Effect::pops);
        if (opcode >= 0x70 && opcode < 0x80) return with_number(1);
        if (opcode >= 0xb0 && opcode < 0xb8)
            return with_number(1, on_register(prefixes_.with(opcode, 1), Effect::clears));
        if (opcode >= 0xb8 && opcode < 0xc0) return loads_number(opcode);
        return one_byte_by_name(opcode);
    }

    bool loads_number(uint8_t opcode) {
        on_register(prefixes_.with(opcode, 1), Effect::constant);
        if ((prefixes_.rex & 8) != 0) {
            found_.value = read_.number64();
            return true;
        }
        found_.value = static_cast<uint32_t>(read_.number(number_bytes()));
        return true;
    }

    bool one_byte_by_name(uint8_t opcode) {
        if (opcode >= 0x88 && opcode < 0x8c) return takes(Effect::copies, opcode < 0x8a);
        switch (opcode) {
            case 0x63:
                return takes(Effect::copies);
            case 0x68:
                return with_number(number_bytes());
            case 0x6a:
                return with_number(1);
            case 0x69:
                return takes(Effect::computes) && with_number(number_bytes());
            case 0x6b:
                return takes(Effect::computes) && with_number(1);
            case 0x80:
            case 0x81:
            case 0x83:
                return arithmetic_with_number(opcode);
            case 0x84:
            case 0x85:
                return takes(Effect::reads);
            case 0x8d:
                return takes(Effect::address);
            case 0xa8:
                return with_number(1, on_register(registers::rax, Effect::reads));
            case 0xa9:
                return with_number(number_bytes(), on_register(registers::rax, Effect::reads));
            case 0xc0:
            case 0xc1:
                return shifts() && with_number(1);
            case 0xd0:
            case 0xd1:
            case 0xd2:
            case 0xd3:
                return shifts();
            case 0xc2:
                return with_number(2, is(Effect::returns));
            case 0xc3:
                return is(Effect::returns);
            case 0xc6:
            case 0xc7:
                if (operands() != 0) return false;
                is(Effect::constant, true);
                return with_number(opcode == 0xc6 ? 1 : number_bytes());
            case 0xe8:
                return to_near(Effect::calls, 4);
            case 0xe9:
                return to_near(Effect::jumps, 4);
            case 0xeb:
                return to_near(Effect::jumps, 1);
            case 0xf6:
            case 0xf7:
                return group_f6(opcode);
            case 0xfe:
            case 0xff:
                return group_ff(opcode);
            case 0x90:  // nop
            case 0x98:  // cltq
            case 0x99:  // cltd
            case 0xc9:  // leave
            case 0xcc:
            case 0xf4:
                return is(Effect::none);
            default:
                return false;
        }
    }

    bool shifts() {
        operands();
        found_.reg = Operand::none;
        return is(Effect::computes, true);
    }

    bool two_bytes(uint8_t opcode) {
        if (opcode >= 0x40 && opcode < 0x50) return takes(Effect::may_copy);
        if (opcode >= 0x80 && opcode < 0x90) return with_number(4);
        if (opcode >= 0x90 && opcode < 0xa0) return takes(Effect::clears, true);
        if (opcode >= 0x18 && opcode < 0x20) {
            // Hints, and nothing else: what they name is not touched.
            operands();
            found_.operand = {};
            return is(Effect::none);
        }
        if (opcode == 0x0b) return is(Effect::none);
        if (opcode == 0xaf) return takes(Effect::computes);
        if (opcode == 0xb6 || opcode == 0xb7 || opcode == 0xbe || opcode == 0xbf)
            return takes(Effect::copies);
        return vector(opcode);
    }

    /// What reads or writes a vector register; only its memory operand matters.
    bool vector(uint8_t opcode) {
        const bool moves = (opcode >= 0x10 && opcode <= 0x17) || opcode == 0x28 || opcode == 0x29;
        const bool computes = opcode >= 0x50 && opcode < 0x70;
        const bool others = opcode == 0x7e || opcode == 0x7f || opcode == 0xd6 || opcode == 0xef;
        if (opcode == 0x70 || opcode == 0xc6) return takes(Effect::none) && with_number(1);
        if (opcode == 0x7e && !takes(Effect::clears, true)) return false;
        if (opcode == 0x7e) return true;
        return (moves || computes || others) && takes(Effect::none);
    }

    Reader read_;
    Instruction& found_;
    Prefixes prefixes_;
    bool from_code_ = false;     ///< The operand's address is relative to the next instruction.
    bool slot_follows_ = false;  ///< The target stands at that operand.
};

}  // namespace

bool read_instruction(std::span<const unsigned char> code, Instruction& instruction) {
    return Decoder(code, instruction).decode();
}
#else
bool read_instruction(std::span<const unsigned char>, Instruction&) {
    return false;
}
#endif

}  // namespace braidway::lockcheck
