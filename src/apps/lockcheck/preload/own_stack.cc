// SPDX-License-Identifier: Apache-2.0
// The frame is described from its frame pointer, which stays in the caller's stack: that is all an
// unwinder needs to step from one stack to the other.
#include "apps/lockcheck/preload/own_stack.h"

#if defined(__x86_64__)
asm(R"(
    .pushsection .text
    .globl lockcheck_call_on_stack
    .hidden lockcheck_call_on_stack
    .type lockcheck_call_on_stack, @function
lockcheck_call_on_stack:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %rdi, %rsp
    movq %rdx, %rdi
    call *%rsi
    movq %rbp, %rsp
    popq %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size lockcheck_call_on_stack, . - lockcheck_call_on_stack
    .popsection
)");
#elif defined(__aarch64__)
asm(R"(
    .pushsection .text
    .globl lockcheck_call_on_stack
    .hidden lockcheck_call_on_stack
    .type lockcheck_call_on_stack, %function
lockcheck_call_on_stack:
    .cfi_startproc
    hint #34
    stp x29, x30, [sp, #-16]!
    .cfi_def_cfa_offset 16
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    mov x29, sp
    .cfi_def_cfa_register x29
    mov sp, x0
    mov x0, x2
    blr x1
    mov sp, x29
    .cfi_def_cfa_register sp
    ldp x29, x30, [sp], #16
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size lockcheck_call_on_stack, . - lockcheck_call_on_stack
    .popsection
)");
#endif
