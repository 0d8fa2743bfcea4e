// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/instruction.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace braidway::lockcheck {
namespace {

using Code = std::vector<unsigned char>;

Instruction read(const Code& code) {
    Instruction found;
    EXPECT_TRUE(read_instruction(code, found));
    return found;
}

bool is_known(const Code& code) {
    Instruction found;
    return read_instruction(code, found);
}

#if defined(__x86_64__)

TEST(ReadInstruction, CopiesBetweenRegistersSayFromWhereToWhere) {
    const Instruction copy = read({0x48, 0x89, 0xfb});  // mov %rdi,%rbx
    EXPECT_EQ(copy.length, 3);
    EXPECT_EQ(copy.effect, Effect::copies);
    EXPECT_TRUE(copy.to_operand);
    EXPECT_EQ(copy.reg, registers::rdi);
    EXPECT_FALSE(copy.operand.is_memory);
    EXPECT_EQ(copy.operand.base, 3);
}

TEST(ReadInstruction, PlacesInMemoryHaveABaseAndAnOffset) {
    const Instruction store = read({0x48, 0x89, 0x7d, 0xf8});  // mov %rdi,-8(%rbp)
    EXPECT_EQ(store.length, 4);
    EXPECT_TRUE(store.operand.is_memory);
    EXPECT_EQ(store.operand.base, registers::rbp);
    EXPECT_EQ(store.operand.offset, -8);

    const Instruction load = read({0x48, 0x8b, 0x44, 0x24, 0x10});  // mov 16(%rsp),%rax
    EXPECT_EQ(load.length, 5);
    EXPECT_FALSE(load.to_operand);
    EXPECT_EQ(load.reg, registers::rax);
    EXPECT_EQ(load.operand.base, registers::rsp);
    EXPECT_EQ(load.operand.offset, 16);

    const Instruction address = read({0x48, 0x8d, 0x7f, 0x08});  // lea 8(%rdi),%rdi
    EXPECT_EQ(address.effect, Effect::address);
    EXPECT_EQ(address.reg, registers::rdi);
    EXPECT_EQ(address.operand.offset, 8);
}

TEST(ReadInstruction, CallsAndJumpsSayWhereTheyGo) {
    const Code call{0xe8, 0x10, 0x00, 0x00, 0x00};
    const Instruction called = read(call);
    EXPECT_EQ(called.effect, Effect::calls);
    EXPECT_EQ(called.target, reinterpret_cast<uintptr_t>(call.data()) + 5 + 0x10);

    const Code jump{0xe9, 0xfb, 0xff, 0xff, 0xff};  // To itself.
    const Instruction jumped = read(jump);
    EXPECT_EQ(jumped.effect, Effect::jumps);
    EXPECT_EQ(jumped.target, reinterpret_cast<uintptr_t>(jump.data()));

    const Code by_slot{0xff, 0x25, 0x00, 0x01, 0x00, 0x00};  // jmp *256(%rip)
    const Instruction past = read(by_slot);
    EXPECT_EQ(past.effect, Effect::jumps);
    EXPECT_EQ(past.slot, reinterpret_cast<uintptr_t>(by_slot.data()) + 6 + 256);

    const Instruction by_register = read({0xff, 0xd0});  // call *%rax
    EXPECT_EQ(by_register.effect, Effect::calls);
    EXPECT_EQ(by_register.target, 0U);
    EXPECT_EQ(by_register.slot, 0U);
    EXPECT_EQ(read({0xc3}).effect, Effect::returns);
}

TEST(ReadInstruction, NumbersForAllocationsAreKnown) {
    const Instruction number = read({0xbf, 0x38, 0x00, 0x00, 0x00});  // mov $56,%edi
    EXPECT_EQ(number.effect, Effect::constant);
    EXPECT_EQ(number.value, 56U);
}

struct Row {
    const char* text;
    Code code;
    Effect effect;
    bool to_operand = false;
    int8_t reg = Operand::none;  ///< none: it does not matter.
};

TEST(ReadInstruction, EveryKindHasItsEffect) {
    using enum Effect;
    const Row rows[] = {
        {"mov (%rdi),%rax", {0x48, 0x8b, 0x07}, copies, false, registers::rax},
        {"movslq %edi,%rax", {0x48, 0x63, 0xc7}, copies, false, registers::rax},
        {"movzbl (%rdi),%eax", {0x0f, 0xb6, 0x07}, copies, false, registers::rax},
        {"cmove %rsi,%rdi", {0x48, 0x0f, 0x44, 0xfe}, may_copy, false, registers::rdi},
        {"add %rsi,%rdi", {0x48, 0x01, 0xf7}, computes, true, registers::rsi},
        {"add (%rdi),%rax", {0x48, 0x03, 0x07}, computes, false, registers::rax},
        {"sub $8,%rsp", {0x48, 0x83, 0xec, 0x08}, computes, true},
        {"add $256,%eax", {0x05, 0, 1, 0, 0}, computes, false, registers::rax},
        {"imul $40,%rsi,%rdi", {0x48, 0x6b, 0xfe, 0x28}, computes, false, registers::rdi},
        {"shl $3,%rdi", {0x48, 0xc1, 0xe7, 0x03}, computes, true},
        {"incl (%rdi)", {0xff, 0x07}, computes, true},
        {"cmp %rsi,%rdi", {0x48, 0x39, 0xf7}, reads, true, registers::rsi},
        {"cmpl $0,(%rdi)", {0x83, 0x3f, 0x00}, reads, true},
        {"test %eax,%eax", {0x85, 0xc0}, reads, false, registers::rax},
        {"testb $1,(%rdi)", {0xf6, 0x07, 0x01}, reads},
        {"xor %esi,%esi", {0x31, 0xf6}, constant, false, registers::rsi},
        {"movl $1,(%rdi)", {0xc7, 0x07, 1, 0, 0, 0}, constant, true},
        {"movw $1,(%rdi)", {0x66, 0xc7, 0x07, 1, 0}, constant, true},
        {"mov $1,%r8", {0x49, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0}, constant, false, registers::r8},
        {"sete %al", {0x0f, 0x94, 0xc0}, clears, true},
        {"pop %r9", {0x41, 0x59}, pops, false, registers::r9},
        {"push %rdi", {0x57}, none},
        {"jne", {0x75, 0x10}, none},
        {"jne, far", {0x0f, 0x85, 0x10, 0, 0, 0}, none},
        {"endbr64", {0xf3, 0x0f, 0x1e, 0xfa}, none},
        {"nopw 0(%rax,%rax)", {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}, none},
        {"movups %xmm0,(%rdi)", {0x0f, 0x11, 0x07}, none},
        {"leave", {0xc9}, none},
        {"ret $8", {0xc2, 0x08, 0x00}, returns},
    };
    for (const Row& row : rows) {
        const Instruction found = read(row.code);
        EXPECT_EQ(found.length, row.code.size()) << row.text;
        EXPECT_EQ(found.effect, row.effect) << row.text;
        EXPECT_EQ(found.to_operand, row.to_operand) << row.text;
        if (row.reg != Operand::none) {
            EXPECT_EQ(found.reg, row.reg) << row.text;
        }
    }
}

TEST(ReadInstruction, OperandsSayOnlyWhatIsSure) {
    const Instruction scaled = read({0x48, 0x8b, 0x44, 0xb7, 0x10});  // mov 16(%rdi,%rsi,4),%rax
    EXPECT_EQ(scaled.operand.base, registers::rdi);
    EXPECT_EQ(scaled.operand.index, registers::rsi);
    EXPECT_EQ(scaled.operand.offset, 16);
    const Instruction of_thread =
        read({0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0});  // mov %fs:40,%rax
    EXPECT_TRUE(of_thread.operand.is_memory);
    EXPECT_EQ(of_thread.operand.base, Operand::none);
    EXPECT_EQ(read({0x64, 0x48, 0x8b, 0x07}).operand.base, Operand::none);  // mov %fs:(%rdi),%rax
    const Instruction hint = read({0x0f, 0x18, 0x0f});                      // prefetcht0 (%rdi)
    EXPECT_FALSE(hint.operand.is_memory) << "is not touched";
}

TEST(ReadInstruction, WhatSmallFunctionsDoNotHaveIsNotKnown) {
    for (const Code& code : {Code{0x06}, Code{0x9a}, Code{0xea}, Code{0xcd, 0x80},  // int $128
                             Code{0x0f, 0x05},                                      // syscall
                             Code{0xff, 0xff}, Code{0xc5, 0xf8, 0x77}})             // vzeroupper
        EXPECT_FALSE(is_known(code)) << int{code[0]};
}

TEST(ReadInstruction, WhatIsCutOffIsNotKnown) {
    for (const Code& whole : {Code{0x48, 0x89, 0x7d, 0xf8}, Code{0xe8, 0x10, 0x00, 0x00, 0x00},
                              Code{0xff, 0x25, 0x00, 0x01, 0x00, 0x00}})
        for (size_t bytes = 0; bytes < whole.size(); ++bytes)
            EXPECT_FALSE(is_known(Code(whole.begin(), whole.begin() + static_cast<long>(bytes))))
                << bytes;
}

TEST(ReadInstruction, RandomBytesAreReadWithinTheirBounds) {
    Random random(1);
    for (int round = 0; round < 200'000; ++round) {
        Code code(1 + random.below(15));
        for (unsigned char& byte : code) byte = static_cast<unsigned char>(random.next());
        Instruction found;
        if (!read_instruction(code, found)) continue;
        ASSERT_GT(found.length, 0);
        ASSERT_LE(found.length, code.size());
    }
}

#else

TEST(ReadInstruction, IsNotKnownForThisProcessor) {
    EXPECT_FALSE(is_known({0xc3, 0xc3, 0xc3, 0xc3}));
}

#endif

}  // namespace
}  // namespace braidway::lockcheck
