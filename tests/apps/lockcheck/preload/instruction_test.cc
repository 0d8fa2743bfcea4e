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
