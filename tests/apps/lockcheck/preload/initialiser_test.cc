// SPDX-License-Identifier: Apache-2.0
// Init functions and wrappers as compilers make them, and who of those on the stack stands for the
// lock.
#include "apps/lockcheck/preload/initialiser.h"

#include <gtest/gtest.h>

#include <array>

#include "apps/lockcheck/preload/passing.h"
#include "apps/lockcheck/preload/stub_runtime.h"

#if defined(__x86_64__)

// A USER makes the object itself and calls what is named; a MEMBER_USER hands a part of what it was
// handed on.
asm(R"(
    .text
    .p2align 4
    .macro begin name
    .type \name, @function
\name:
    .cfi_startproc
    .endm
    .macro end name
    ret
    .cfi_endproc
    .size \name, . - \name
    .endm
    .macro enter
    sub $8, %rsp
    .cfi_def_cfa_offset 16
    .endm
    .macro leave_to name
    add $8, %rsp
    .cfi_def_cfa_offset 8
    end \name
    .endm
    .macro user name, called
    begin \name
    enter
    lea the_object(%rip), %rdi
    call \called
    leave_to \name
    .endm

    begin init_of_type
    push %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    mov %rdi, %rbx
    xor %esi, %esi
    call stub_init_call@PLT
    movl $1, 48(%rbx)
    pop %rbx
    .cfi_def_cfa_offset 8
    end init_of_type

    begin plain_wrapper
    enter
    xor %esi, %esi
    call stub_init_call@PLT
    leave_to plain_wrapper

    begin checking_wrapper
    enter
    xor %esi, %esi
    call stub_init_call@PLT
    test %eax, %eax
    jne 1f
1:  leave_to checking_wrapper

    begin jumping_wrapper
    xor %esi, %esi
    jmp stub_init_call@PLT
    end jumping_wrapper

    begin measuring_wrapper
    movl $1, 48(%rdi)
    xor %esi, %esi
    jmp stub_init_call@PLT
    end measuring_wrapper

    begin _ZNSt15stub_of_a_headerEv
    enter
    call stub_init_call@PLT
    leave_to _ZNSt15stub_of_a_headerEv

    user type_user, init_of_type
    user plain_user, plain_wrapper
    user other_plain_user, plain_wrapper
    user checking_user, checking_wrapper
    user jumping_user, jumping_wrapper
    user measuring_user, measuring_wrapper
    user header_user, _ZNSt15stub_of_a_headerEv

    begin member_user
    enter
    lea 8(%rdi), %rdi
    call plain_wrapper
    leave_to member_user

    begin pointer_user
    enter
    lea the_object(%rip), %rdi
    mov stub_init_call@GOTPCREL(%rip), %rax
    call *%rax
    leave_to pointer_user

    begin maker
    push %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    mov $56, %edi
    call malloc@PLT
    mov %rax, %rbx
    mov %rax, %rdi
    xor %esi, %esi
    call stub_init_call@PLT
    mov %rbx, %rdi
    call free@PLT
    pop %rbx
    .cfi_def_cfa_offset 8
    end maker

    .bss
    .p2align 4
the_object:
    .skip 64
    .text
)");

extern "C" {
using User = void(void*);
User init_of_type, plain_wrapper, jumping_wrapper, type_user, plain_user, other_plain_user,
    checking_user, jumping_user, measuring_user, header_user, member_user, pointer_user, maker;
}

namespace braidway::lockcheck {
namespace {

using Kind = Initialiser::Kind;

std::array<char, 64> object;

/// Who is taken for the initialiser when `user` does it.
__attribute__((noinline)) Initialiser initialiser_of(User& user) {
    user(object.data());
    return stub_initialiser();
}

/// Is it a return address in the function, or where that jumps?
bool is_in(uintptr_t site, User& function) {
    const FunctionCode code = function_at(site - 1);
    return code.begin != 0 && code.begin == reinterpret_cast<uintptr_t>(&function);
}

TEST(Initialiser, IsTheFunctionThatKnowsTheObject) {
    const Initialiser found = initialiser_of(type_user);
    EXPECT_EQ(found.kind, Kind::knows);
    EXPECT_TRUE(is_in(found.site, init_of_type));
    EXPECT_TRUE(found.has_frame);
}

TEST(Initialiser, WhoOnlyHandsTheAddressOnIsNamedWithTheUser) {
    const Initialiser found = initialiser_of(plain_user);
    EXPECT_EQ(found.kind, Kind::passes);
    EXPECT_TRUE(is_in(found.site, plain_wrapper));
    EXPECT_TRUE(is_in(found.user, plain_user));
    EXPECT_TRUE(found.has_frame);
    const Initialiser other = initialiser_of(other_plain_user);
    EXPECT_EQ(other.site, found.site);
    EXPECT_TRUE(is_in(other.user, other_plain_user));
    EXPECT_NE(other.stack_key, found.stack_key);
}

TEST(Initialiser, TheSameWayHasTheSameKey) {
    std::array<uint64_t, 2> keys{};
    // One call for both: compilers unroll short loops.
    const volatile size_t count = keys.size();
    for (size_t at = 0; at < count; ++at) keys[at] = initialiser_of(plain_user).stack_key;
    EXPECT_EQ(keys[0], keys[1]);
}

TEST(Initialiser, AWrapperThatChecksTheResultIsPassedOver) {
    const Initialiser found = initialiser_of(checking_user);
    EXPECT_EQ(found.kind, Kind::makes);
    EXPECT_TRUE(is_in(found.site, checking_user));
    EXPECT_EQ(found.block_bytes, 0u);
}

TEST(Initialiser, AWrapperIsPassedOverByWhoHandsItAPart) {
    const Initialiser found = initialiser_of(member_user);
    EXPECT_EQ(found.kind, Kind::knows);
    EXPECT_TRUE(is_in(found.site, member_user));
}

TEST(Initialiser, AFunctionThatEndsInAJumpHasNoFrameAndIsSeenNevertheless) {
    const Initialiser found = initialiser_of(jumping_user);
    EXPECT_EQ(found.kind, Kind::passes);
    EXPECT_FALSE(found.has_frame);
    EXPECT_TRUE(is_in(found.site, jumping_wrapper));
    EXPECT_TRUE(is_in(found.user, jumping_user));
}

TEST(Initialiser, OneThatAddsSomethingBeforeSuchAJumpIsALockOfAnotherMake) {
    const Initialiser found = initialiser_of(measuring_user);
    EXPECT_EQ(found.kind, Kind::makes);
    EXPECT_TRUE(is_in(found.site, measuring_user));
}

TEST(Initialiser, FunctionsOfHeadersArePassedOver) {
    const Initialiser found = initialiser_of(header_user);
    EXPECT_EQ(found.kind, Kind::makes);
    EXPECT_TRUE(is_in(found.site, header_user));
}

TEST(Initialiser, ACallThroughAPointerMayHaveLeftNoFrame) {
    const Initialiser found = initialiser_of(pointer_user);
    EXPECT_EQ(found.kind, Kind::pointed);
    EXPECT_TRUE(is_in(found.site, pointer_user));
}

TEST(Initialiser, KnowsTheSizeOfWhatItMadeForTheLock) {
    const Initialiser found = initialiser_of(maker);
    EXPECT_EQ(found.kind, Kind::makes);
    EXPECT_TRUE(is_in(found.site, maker));
    EXPECT_EQ(found.block_bytes, 56u);
}

}  // namespace
}  // namespace braidway::lockcheck

#else

TEST(Initialiser, IsNotReadForThisProcessor) {
    GTEST_SKIP() << "machine code is read on x86_64 only";
}

#endif
