// SPDX-License-Identifier: Apache-2.0
// Functions as compilers make them, instruction by instruction, and what their part in an init call
// is.
#include "apps/lockcheck/preload/passing.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "apps/lockcheck/preload/stub_runtime.h"

#if defined(__x86_64__)

namespace braidway::lockcheck {
namespace {

using Bytes = std::vector<unsigned char>;

/// In this program, so that what a slot holds is believed; the code stands there, too.
struct {
    std::array<unsigned char, 2048> code;
    uintptr_t malloc_slot;
    uintptr_t calloc_slot;
    std::array<char, 256> object;
} room;

// What stands behind a call's opcode is filled in by Function.
const Bytes to_init{0xe8};                    // call init
const Bytes to_init_at_the_end{0xe9};         // jmp init
const Bytes to_other{0xe8, 1};                // call other
const Bytes to_malloc{0xff, 0x15};            // call *malloc_slot(%rip)
const Bytes to_calloc{0xff, 0x15, 1};         // call *calloc_slot(%rip)
const Bytes object_to_rdi{0x48, 0x8d, 0x3d};  // lea object(%rip),%rdi

const Bytes push_rbx{0x53};
const Bytes pop_rbx{0x5b};
const Bytes ret{0xc3};
const Bytes room_for_8{0x48, 0x83, 0xec, 0x08};              // sub $8,%rsp
const Bytes end_of_room_8{0x48, 0x83, 0xc4, 0x08};           // add $8,%rsp
const Bytes no_attributes{0x31, 0xf6};                       // xor %esi,%esi
const Bytes keep_rdi{0x48, 0x89, 0xfb};                      // mov %rdi,%rbx
const Bytes kept_to_rdi{0x48, 0x89, 0xdf};                   // mov %rbx,%rdi
const Bytes rsi_to_rdi{0x48, 0x89, 0xf7};                    // mov %rsi,%rdi
const Bytes rax_to_rdi{0x48, 0x89, 0xc7};                    // mov %rax,%rdi
const Bytes add_8_to_rdi{0x48, 0x8d, 0x7f, 0x08};            // lea 8(%rdi),%rdi
const Bytes test_result{0x85, 0xc0};                         // test %eax,%eax
const Bytes result_to_ebx{0x89, 0xc3};                       // mov %eax,%ebx
const Bytes skip_if_not_0{0x75, 0x00};                       // jne, to the next one
const Bytes attributes_in_frame{0x48, 0x89, 0xe6};           // mov %rsp,%rsi
const Bytes set_member{0xc7, 0x43, 0x28, 1, 0, 0, 0};        // movl $1,0x28(%rbx)
const Bytes set_member_first{0xc7, 0x47, 0x28, 1, 0, 0, 0};  // movl $1,0x28(%rdi)
const Bytes fifty_six_to_edi{0xbf, 0x38, 0x00, 0x00, 0x00};  // mov $56,%edi
const Bytes fifty_six_to_esi{0xbe, 0x38, 0x00, 0x00, 0x00};  // mov $56,%esi
const Bytes one_to_edi{0xbf, 0x01, 0x00, 0x00, 0x00};        // mov $1,%edi
const Bytes rsi_to_rdi_if_0{0x48, 0x0f, 0x44, 0xfe};         // cmove %rsi,%rdi
const Bytes no_instruction{0x06};

/// A function, in `room`. The init function is no more than an address here.
class Function {
  public:
    explicit Function(std::initializer_list<Bytes> instructions) {
        room.malloc_slot = reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "malloc"));
        room.calloc_slot = reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "calloc"));
        for (const Bytes& each : instructions) add(each);
    }

    Passing passing(uint8_t parameter = 0) const {
        return passing_of({begin(), begin() + size_}, begin() + call_end_, parameter);
    }
    /// The role in words, as "passes 0 cares".
    std::string told(uint8_t parameter = 0) const {
        const Passing found = passing(parameter);
        constexpr std::array<const char*, 5> roles{"unknown", "makes", "whole", "part", "passes"};
        std::string words = roles[static_cast<size_t>(found.role)];
        if (found.role > Role::makes) words += " " + std::to_string(found.parameter);
        if (found.role == Role::makes) words += " " + std::to_string(found.block_bytes);
        return found.cares ? words + " cares" : words;
    }

    static uintptr_t begin() { return reinterpret_cast<uintptr_t>(room.code.data()); }
    size_t size() const { return size_; }
    size_t call_end() const { return call_end_; }

  private:
    void add(const Bytes& instruction) {
        const bool calls_init = instruction == to_init || instruction == to_init_at_the_end;
        const auto own = [&](size_t bytes) {
            put({instruction.begin(), instruction.begin() + static_cast<long>(bytes)});
        };
        if (calls_init || instruction == to_other) {
            own(1);
            put_distance(begin() + (calls_init ? 0x10000 : 0x20000));
            if (calls_init) call_end_ = size_;
        } else if (instruction == to_malloc || instruction == to_calloc) {
            own(2);
            put_distance(reinterpret_cast<uintptr_t>(instruction == to_malloc ? &room.malloc_slot
                                                                              : &room.calloc_slot));
        } else {
            own(instruction.size());
            if (instruction == object_to_rdi)
                put_distance(reinterpret_cast<uintptr_t>(room.object.data()));
        }
    }
    void put(const Bytes& bytes) {
        std::memcpy(room.code.data() + size_, bytes.data(), bytes.size());
        size_ += bytes.size();
    }
    /// From the end of these four bytes.
    void put_distance(uintptr_t target) {
        const auto distance = static_cast<int32_t>(target - (begin() + size_ + 4));
        std::memcpy(room.code.data() + size_, &distance, sizeof distance);
        size_ += sizeof distance;
    }

    size_t size_ = 0;
    size_t call_end_ = 0;
};

TEST(Passing, AnInitFunctionKnowsTheObjectBeforeOrAfterTheCall) {
    EXPECT_EQ(
        Function({push_rbx, keep_rdi, no_attributes, to_init, set_member, pop_rbx, ret}).told(),
        "whole 0");
    EXPECT_EQ(Function({push_rbx, keep_rdi, set_member_first, no_attributes, to_init, pop_rbx, ret})
                  .told(),
              "whole 0");
}

TEST(Passing, TheLockMayBeAPartOfTheObject) {
    EXPECT_EQ(
        Function({room_for_8, add_8_to_rdi, no_attributes, to_init, end_of_room_8, ret}).told(),
        "part 0");
}

TEST(Passing, AWrapperHandsTheAddressOnAndMayCareForTheResult) {
    EXPECT_EQ(Function({room_for_8, no_attributes, to_init, end_of_room_8, ret}).told(),
              "passes 0");
    EXPECT_EQ(Function({room_for_8, no_attributes, to_init, test_result, skip_if_not_0,
                        end_of_room_8, ret})
                  .told(),
              "passes 0 cares");
}

TEST(Passing, AKeptResultIsCare) {
    EXPECT_EQ(Function({push_rbx, no_attributes, to_init, result_to_ebx, pop_rbx, ret}).told(),
              "passes 0 cares");
}

TEST(Passing, AttributesInTheFrameAreCare) {
    EXPECT_EQ(Function({room_for_8, attributes_in_frame, to_init, end_of_room_8, ret}).told(),
              "passes 0 cares");
    // Two of its own parameters handed on are not.
    EXPECT_EQ(Function({room_for_8, to_init, end_of_room_8, ret}).told(), "passes 0");
}

TEST(Passing, AJumpAtTheEndIsACallToo) {
    EXPECT_EQ(Function({no_attributes, to_init_at_the_end}).told(), "passes 0");
    EXPECT_EQ(Function({set_member_first, no_attributes, to_init_at_the_end}).told(), "whole 0");
    EXPECT_EQ(Function({add_8_to_rdi, no_attributes, to_init_at_the_end}).told(), "part 0");
}

TEST(Passing, TheObjectMayComeAsAnyParameterAndGoAsAny) {
    EXPECT_EQ(Function({room_for_8, rsi_to_rdi, no_attributes, to_init, end_of_room_8, ret}).told(),
              "passes 1");
    EXPECT_EQ(Function({room_for_8, to_init, end_of_room_8, ret}).told(3), "passes 3");
}

TEST(Passing, IsFollowedThroughTheStackOfUnoptimisedCode) {
    const Bytes push_rbp{0x55}, frame{0x48, 0x89, 0xe5}, room_for_16{0x48, 0x83, 0xec, 0x10};
    const Bytes spill{0x48, 0x89, 0x7d, 0xf8};   // mov %rdi,-8(%rbp)
    const Bytes reload{0x48, 0x8b, 0x45, 0xf8};  // mov -8(%rbp),%rax
    const Bytes other{0x48, 0x8b, 0x45, 0xf0};   // mov -16(%rbp),%rax
    const Bytes keep_result{0x89, 0x45, 0xf4};   // mov %eax,-12(%rbp)
    const Bytes leave{0xc9};
    const auto with = [&](const Bytes& before, const Bytes& after) {
        return Function({push_rbp, frame, room_for_16, spill, before, no_attributes, rax_to_rdi,
                         to_init, after, leave, ret})
            .told();
    };
    EXPECT_EQ(with(reload, leave), "passes 0");
    EXPECT_EQ(with(reload, keep_result), "passes 0 cares");
    EXPECT_EQ(with(other, leave), "makes 0") << "another local variable";
}

TEST(Passing, WhatItMakesItselfIsItsOwn) {
    EXPECT_EQ(
        Function({room_for_8, object_to_rdi, no_attributes, to_init, end_of_room_8, ret}).told(),
        "makes 0");
    EXPECT_EQ(Function({room_for_8, fifty_six_to_edi, to_malloc, rax_to_rdi, no_attributes, to_init,
                        end_of_room_8, ret})
                  .told(),
              "makes 56");
    EXPECT_EQ(Function({room_for_8, one_to_edi, fifty_six_to_esi, to_calloc, rax_to_rdi,
                        no_attributes, to_init, end_of_room_8, ret})
                  .told(),
              "makes 56");
    EXPECT_EQ(
        Function({room_for_8, to_malloc, rax_to_rdi, no_attributes, to_init, end_of_room_8, ret})
            .told(),
        "makes 0")
        << "of a size that its caller says";
}

TEST(Passing, AnotherCallWithTheObjectIsAUseUnlessItIsTheSameOne) {
    EXPECT_EQ(
        Function({push_rbx, keep_rdi, to_other, kept_to_rdi, no_attributes, to_init, pop_rbx, ret})
            .told(),
        "whole 0");
    EXPECT_EQ(
        Function({push_rbx, keep_rdi, to_init, kept_to_rdi, no_attributes, to_init, pop_rbx, ret})
            .told(),
        "passes 0")
        << "for another kind";
}

TEST(Passing, IsUnknownWhereTheCodeSaysNothing) {
    EXPECT_EQ(Function({room_for_8, no_instruction, to_init, end_of_room_8, ret}).told(),
              "unknown");
    EXPECT_EQ(Function({room_for_8, rsi_to_rdi_if_0, to_init, end_of_room_8, ret}).told(),
              "unknown")
        << "one of two";
    const Function wrapper({room_for_8, no_attributes, to_init, end_of_room_8, ret});
    const FunctionCode code{Function::begin(), Function::begin() + wrapper.size()};
    const uintptr_t site = code.begin + wrapper.call_end();
    ASSERT_EQ(passing_of(code, site, 0).role, Role::passes);
    EXPECT_EQ(passing_of({}, site, 0).role, Role::unknown);
    EXPECT_EQ(passing_of(code, code.begin, 0).role, Role::unknown);
    EXPECT_EQ(passing_of(code, code.end + 1, 0).role, Role::unknown);
    EXPECT_EQ(passing_of(code, site, 6).role, Role::unknown) << "on the stack";
    EXPECT_EQ(passing_of({code.begin, code.begin + 1025}, site, 0).role, Role::unknown)
        << "too long";
}

}  // namespace
}  // namespace braidway::lockcheck

// Functions with tables for unwinding, and the ways in which they call others.
asm(R"(
    .text
    .p2align 4
passing_called:
    .cfi_startproc
    nop
    ret
    .cfi_endproc
passing_calls:
    .cfi_startproc
    call passing_called
passing_call_end:
    call *passing_slot(%rip)
passing_slot_call_end:
    call *%rax
passing_pointer_call_end:
    call *8(%rax,%rbx,8)
passing_table_call_end:
    call passing_called + 1
passing_false_call_end:
    ret
passing_calls_end:
    .cfi_endproc
passing_jumps:
    .cfi_startproc
    test %rdi,%rdi
    je passing_called
passing_jump_end:
    ret
    .cfi_endproc
passing_jumps_twice:
    .cfi_startproc
    nop
    jmp passing_goes_on
passing_first_jump_end:
    .cfi_endproc
passing_goes_on:
    .cfi_startproc
    jmp passing_called
passing_second_jump_end:
    .cfi_endproc
passing_to_library:
    .cfi_startproc
    jmp stub_init_call@PLT
passing_library_jump_end:
    .cfi_endproc
passing_no_table:
    ret
    .data
    .p2align 3
passing_slot:
    .quad passing_called
    .text
)");

extern "C" {
// NOLINTBEGIN(readability-identifier-naming): labels above.
extern const char passing_called[], passing_calls[], passing_call_end[], passing_slot_call_end[],
    passing_pointer_call_end[], passing_table_call_end[], passing_false_call_end[],
    passing_calls_end[], passing_jumps[], passing_jumps_twice[], passing_first_jump_end[],
    passing_goes_on[], passing_second_jump_end[], passing_to_library[], passing_library_jump_end[];
// NOLINTEND(readability-identifier-naming)
}

namespace braidway::lockcheck {
namespace {

uintptr_t at(const char* label) {
    return reinterpret_cast<uintptr_t>(label);
}

TEST(FunctionAt, IsTheOneThatTheTablesSay) {
    for (const uintptr_t inside :
         {at(passing_calls), at(passing_call_end), at(passing_calls_end) - 1}) {
        const FunctionCode found = function_at(inside);
        EXPECT_EQ(found.begin, at(passing_calls));
        EXPECT_EQ(found.end, at(passing_calls_end));
    }
    int local = 0;
    EXPECT_EQ(function_at(reinterpret_cast<uintptr_t>(&local)).begin, 0u) << "in no module";
    EXPECT_EQ(function_at(reinterpret_cast<uintptr_t>(&room)).begin, 0u) << "no code";
}

TEST(FunctionCalledBefore, IsKnownOfCallsThatSayIt) {
    EXPECT_EQ(function_called_before(at(passing_call_end)), at(passing_called));
    EXPECT_EQ(function_called_before(at(passing_slot_call_end)), at(passing_called));
    EXPECT_FALSE(is_call_through_pointer(at(passing_call_end)));
    EXPECT_EQ(function_called_before(at(passing_calls)), 0u) << "there was no call";
    EXPECT_EQ(function_called_before(at(passing_false_call_end)), 0u) << "to no function";
    EXPECT_FALSE(is_call_through_pointer(at(passing_calls) + 1));
}

TEST(FunctionCalledBefore, IsNotKnownOfCallsThroughPointers) {
    for (const char* const end : {passing_pointer_call_end, passing_table_call_end}) {
        EXPECT_EQ(function_called_before(at(end)), 0u);
        EXPECT_TRUE(is_call_through_pointer(at(end)));
    }
}

TEST(IsOfThisLibrary, TellsItFromTheProgramAndTheCLibrary) {
    EXPECT_TRUE(is_of_this_library(reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "malloc"))));
    EXPECT_FALSE(is_of_this_library(at(passing_calls)));
    EXPECT_FALSE(is_of_this_library(reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "atoi"))));
    EXPECT_FALSE(is_of_this_library(8));
}

TEST(TailCalls, AreJumpsThatLeaveTheFunction) {
    std::array<TailCall, 3> found{};
    ASSERT_EQ(tail_calls(at(passing_goes_on), at(passing_called), found.data(), found.size()), 1u);
    EXPECT_EQ(found[0].function.begin, at(passing_goes_on));
    EXPECT_EQ(found[0].jump_end, at(passing_second_jump_end));
    EXPECT_EQ(tail_calls(at(passing_goes_on), at(passing_calls), found.data(), found.size()), 0u)
        << "to another one";
    EXPECT_EQ(tail_calls(at(passing_calls), at(passing_called), found.data(), found.size()), 0u)
        << "calls are not";
    EXPECT_EQ(tail_calls(at(passing_jumps), at(passing_called), found.data(), found.size()), 0u)
        << "jumps that may not be are not";
    EXPECT_EQ(
        tail_calls(at(passing_jumps_twice) + 1, at(passing_goes_on), found.data(), found.size()),
        0u)
        << "not from its beginning";
}

TEST(TailCalls, LeadThroughOthersInnermostFirst) {
    std::array<TailCall, 3> found{};
    ASSERT_EQ(tail_calls(at(passing_jumps_twice), at(passing_called), found.data(), found.size()),
              2u);
    EXPECT_EQ(found[0].function.begin, at(passing_goes_on));
    EXPECT_EQ(found[1].function.begin, at(passing_jumps_twice));
    EXPECT_EQ(found[1].jump_end, at(passing_first_jump_end));
    EXPECT_EQ(tail_calls(at(passing_jumps_twice), at(passing_called), found.data(), 1), 0u)
        << "there is room for one";
}

TEST(TailCalls, OfNoNamedAimEndInThisLibrary) {
    std::array<TailCall, 3> found{};
    ASSERT_EQ(tail_calls(at(passing_to_library), 0, found.data(), found.size()), 1u);
    EXPECT_EQ(found[0].jump_end, at(passing_library_jump_end));
    EXPECT_EQ(tail_calls(at(passing_goes_on), 0, found.data(), found.size()), 0u);
}

}  // namespace
}  // namespace braidway::lockcheck

#else

TEST(Passing, IsNotKnownForThisProcessor) {
    using namespace braidway::lockcheck;
    EXPECT_EQ(passing_of({1, 2}, 2, 0).role, Role::unknown);
}

#endif
