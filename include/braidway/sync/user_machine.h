// SPDX-License-Identifier: Apache-2.0
// The instructions of user_access.h that may fault, one table entry each. Nothing here is for
// users.
//
// The code is inlined where it is used, because a call would cost as much as the load itself. So
// each program or library has accessors of its own, and its own part of the table: a section whose
// name is a C identifier, for which the linker makes __start_ and __stop_ symbols. They are hidden,
// and so is the object that registers the section: one per linked object, none shared.
//
// Section flags: `?` puts the entry into the group of the inlined function, so that the linker
// drops both or none; `R` keeps it when --gc-sections is given and nobody refers to it by name.
//
// No `asm goto` with outputs: g++ before 12.4 miscompiles it (gcc bug 113921). A register says
// instead that the fixup ran.
#pragma once

#include <cstddef>
#include <cstdint>

#include "braidway/sync/user_window.h"

#define BRAIDWAY_USER_ENTRY(begin, end, fixup)                \
    ".pushsection braidway_user_access,\"aR?\",@progbits\n\t" \
    ".balign 4\n\t"                                           \
    ".long " begin                                            \
    " - .\n\t"                                                \
    ".long " end                                              \
    " - .\n\t"                                                \
    ".long " fixup                                            \
    " - .\n\t"                                                \
    ".popsection\n\t"

// A fault between the labels 1 and 2 sets %[fault] and goes on at 2.
#if defined(__x86_64__)
#define BRAIDWAY_USER_FIXUP_CODE "movl $1, %[fault]\n\tjmp 2b\n\t"
#elif defined(__aarch64__)
#define BRAIDWAY_USER_FIXUP_CODE "mov %w[fault], #1\n\tb 2b\n\t"
#else
#error "user access is written for x86-64 and aarch64; add the accessors of this processor here"
#endif
#define BRAIDWAY_USER_FIXUP                                        \
    ".pushsection .text.braidway_user_fixup,\"ax?\",@progbits\n\t" \
    "3: " BRAIDWAY_USER_FIXUP_CODE ".popsection\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "3b")

// The section is never empty: the linker's symbols exist in every object.
asm(".pushsection braidway_user_access,\"aR\",@progbits\n\t"
    ".balign 4\n\t"
    ".long 0, 0, 0\n\t"
    ".popsection");

extern "C" {
[[gnu::visibility("hidden")]] extern const braidway::sync::UserAccessEntry
    __start_braidway_user_access[];  // NOLINT(readability-identifier-naming): the linker's name
[[gnu::visibility("hidden")]] extern const braidway::sync::UserAccessEntry
    __stop_braidway_user_access[];  // NOLINT(readability-identifier-naming): the linker's name
}

namespace braidway::sync {

/// Registers the accessors of the object that this is linked into.
[[gnu::visibility("hidden")]] inline const UserAccessTable user_access_table(
    __start_braidway_user_access, __stop_braidway_user_access);

#if defined(__x86_64__)

/// Loads, stores and read-modify-writes that survive a fault. Word is an unsigned integer of 1, 2,
/// 4 or 8 bytes at an address that is a multiple of its size. False: fault, and nothing was
/// written.
struct UserMachine {
    template <typename Word>
    static bool load(const Word* from, Word& value) {
        uint32_t fault = 0;
        asm volatile("1: mov %[from], %[value]\n\t2:\n\t" BRAIDWAY_USER_FIXUP
                     : [value] "=r"(value), [fault] "+r"(fault)
                     : [from] "m"(*from)
                     : "memory");
        return fault == 0;
    }

    template <typename Word>
    static bool store(Word* to, Word value) {
        uint32_t fault = 0;
        asm volatile("1: mov %[value], %[to]\n\t2:\n\t" BRAIDWAY_USER_FIXUP
                     : [to] "+m"(*to), [fault] "+r"(fault)
                     : [value] "r"(value)
                     : "memory");
        return fault == 0;
    }

    /// `expected` becomes what was there.
    template <typename Word>
    static bool compare_exchange(Word* word, Word& expected, Word desired, bool& exchanged) {
        uint32_t fault = 0;
        asm volatile("1: lock cmpxchg %[desired], %[word]\n\t2:\n\t" BRAIDWAY_USER_FIXUP
                     : [word] "+m"(*word), "+a"(expected), "=@ccz"(exchanged), [fault] "+r"(fault)
                     : [desired] "r"(desired)
                     : "memory");
        return fault == 0;
    }

    /// `value` becomes what was there.
    template <typename Word>
    static bool exchange(Word* word, Word& value) {
        uint32_t fault = 0;
        asm volatile("1: xchg %[value], %[word]\n\t2:\n\t" BRAIDWAY_USER_FIXUP
                     : [word] "+m"(*word), [value] "+r"(value), [fault] "+r"(fault)
                     :
                     : "memory");
        return fault == 0;
    }

    /// `value` becomes what was there.
    template <typename Word>
    static bool fetch_add(Word* word, Word& value) {
        uint32_t fault = 0;
        asm volatile("1: lock xadd %[value], %[word]\n\t2:\n\t" BRAIDWAY_USER_FIXUP
                     : [word] "+m"(*word), [value] "+r"(value), [fault] "+r"(fault)
                     :
                     : "memory", "cc");
        return fault == 0;
    }
};

#else

/// Loads, stores and read-modify-writes that survive a fault. Word is an unsigned integer of 1, 2,
/// 4 or 8 bytes at an address that is a multiple of its size. False: fault, and nothing was
/// written.
struct UserMachine {
    // `suffix` of the instruction and `width` of the register follow from the size of the word.
#define BRAIDWAY_BY_SIZE(word_type, one)           \
    if constexpr (sizeof(word_type) == 1) {        \
        one("b", "w")                              \
    } else if constexpr (sizeof(word_type) == 2) { \
        one("h", "w")                              \
    } else if constexpr (sizeof(word_type) == 4) { \
        one("", "w")                               \
    } else {                                       \
        one("", "x")                               \
    }

    template <typename Word>
    static bool load(const Word* from, Word& value) {
        uint32_t fault = 0;
        uint64_t wide = 0;
#define BRAIDWAY_ONE(suffix, width)                                                          \
    asm volatile("1: ldar" suffix " %" width "[wide], %[from]\n\t2:\n\t" BRAIDWAY_USER_FIXUP \
                 : [wide] "+r"(wide), [fault] "+r"(fault)                                    \
                 : [from] "Q"(*from)                                                         \
                 : "memory");
        BRAIDWAY_BY_SIZE(Word, BRAIDWAY_ONE)
#undef BRAIDWAY_ONE
        value = static_cast<Word>(wide);
        return fault == 0;
    }

    template <typename Word>
    static bool store(Word* to, Word value) {
        uint32_t fault = 0;
        const uint64_t wide = value;
#define BRAIDWAY_ONE(suffix, width)                                                        \
    asm volatile("1: stlr" suffix " %" width "[wide], %[to]\n\t2:\n\t" BRAIDWAY_USER_FIXUP \
                 : [to] "+Q"(*to), [fault] "+r"(fault)                                     \
                 : [wide] "r"(wide)                                                        \
                 : "memory");
        BRAIDWAY_BY_SIZE(Word, BRAIDWAY_ONE)
#undef BRAIDWAY_ONE
        return fault == 0;
    }

    /// `expected` becomes what was there.
    template <typename Word>
    static bool compare_exchange(Word* word, Word& expected, Word desired, bool& exchanged) {
        uint32_t fault = 0;
        uint32_t failed = 0;
        uint64_t before = 0;
        const uint64_t wanted = expected;
        const uint64_t wide = desired;
#define BRAIDWAY_ONE(suffix, width)                                                                \
    asm volatile(                                                                                  \
        "1: ldaxr" suffix " %" width                                                               \
        "[before], %[word]\n\t"                                                                    \
        "cmp %" width "[before], %" width                                                          \
        "[wanted]\n\t"                                                                             \
        "b.ne 2f\n\t"                                                                              \
        "stlxr" suffix " %w[failed], %" width                                                      \
        "[wide], %[word]\n\t"                                                                      \
        "cbnz %w[failed], 1b\n\t2:\n\t" BRAIDWAY_USER_FIXUP                                        \
        : [before] "+&r"(before), [failed] "+&r"(failed), [fault] "+&r"(fault), [word] "+Q"(*word) \
        : [wanted] "r"(wanted), [wide] "r"(wide)                                                   \
        : "memory", "cc");
        BRAIDWAY_BY_SIZE(Word, BRAIDWAY_ONE)
#undef BRAIDWAY_ONE
        exchanged = before == wanted;
        expected = static_cast<Word>(before);
        return fault == 0;
    }

    /// `value` becomes what was there.
    template <typename Word>
    static bool exchange(Word* word, Word& value) {
        uint32_t fault = 0;
        uint32_t failed = 0;
        uint64_t before = 0;
        const uint64_t wide = value;
#define BRAIDWAY_ONE(suffix, width)                                                                \
    asm volatile(                                                                                  \
        "1: ldaxr" suffix " %" width                                                               \
        "[before], %[word]\n\t"                                                                    \
        "stlxr" suffix " %w[failed], %" width                                                      \
        "[wide], %[word]\n\t"                                                                      \
        "cbnz %w[failed], 1b\n\t2:\n\t" BRAIDWAY_USER_FIXUP                                        \
        : [before] "+&r"(before), [failed] "+&r"(failed), [fault] "+&r"(fault), [word] "+Q"(*word) \
        : [wide] "r"(wide)                                                                         \
        : "memory");
        BRAIDWAY_BY_SIZE(Word, BRAIDWAY_ONE)
#undef BRAIDWAY_ONE
        value = static_cast<Word>(before);
        return fault == 0;
    }

    /// `value` becomes what was there.
    template <typename Word>
    static bool fetch_add(Word* word, Word& value) {
        uint32_t fault = 0;
        uint32_t failed = 0;
        uint64_t before = 0;
        uint64_t sum = 0;
        const uint64_t wide = value;
#define BRAIDWAY_ONE(suffix, width)                                                  \
    asm volatile("1: ldaxr" suffix " %" width                                        \
                 "[before], %[word]\n\t"                                             \
                 "add %" width "[sum], %" width "[before], %" width                  \
                 "[wide]\n\t"                                                        \
                 "stlxr" suffix " %w[failed], %" width                               \
                 "[sum], %[word]\n\t"                                                \
                 "cbnz %w[failed], 1b\n\t2:\n\t" BRAIDWAY_USER_FIXUP                 \
                 : [before] "+&r"(before), [failed] "+&r"(failed), [sum] "+&r"(sum), \
                   [fault] "+&r"(fault), [word] "+Q"(*word)                          \
                 : [wide] "r"(wide)                                                  \
                 : "memory");
        BRAIDWAY_BY_SIZE(Word, BRAIDWAY_ONE)
#undef BRAIDWAY_ONE
        value = static_cast<Word>(before);
        return fault == 0;
    }
#undef BRAIDWAY_BY_SIZE
};

#endif

}  // namespace braidway::sync
