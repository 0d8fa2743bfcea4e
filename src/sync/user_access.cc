// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/user_access.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>

namespace braidway::sync {
namespace {

// The smallest page there is; others are multiples of it. A first missing byte is a page's first.
constexpr size_t page_bytes = 4096;

struct CopyPlace {
    std::byte* to;
    const std::byte* from;
};

/// Copies `left` bytes one by one; moves `place` on and counts `left` down. False on a fault.
bool copy_bytes(CopyPlace& place, size_t& left) {
    if (left == 0) return true;
    uint64_t carried = 0;
#if defined(__x86_64__)
    asm volatile(
        "1: movb (%[from]), %b[carried]\n\t"
        "movb %b[carried], (%[to])\n\t"
        "inc %[from]\n\t"
        "inc %[to]\n\t"
        "dec %[left]\n\t"
        "jnz 1b\n\t"
        "2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
        : [to] "+r"(place.to), [from] "+r"(place.from), [left] "+r"(left), [carried] "+r"(carried)
        :
        : "memory", "cc");
#else
    asm volatile(
        "1: ldrb %w[carried], [%[from]]\n\t"
        "strb %w[carried], [%[to]]\n\t"
        "add %[from], %[from], #1\n\t"
        "add %[to], %[to], #1\n\t"
        "subs %[left], %[left], #1\n\t"
        "b.ne 1b\n\t"
        "2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
        :
        [to] "+&r"(place.to), [from] "+&r"(place.from), [left] "+&r"(left), [carried] "+&r"(carried)
        :
        : "memory", "cc");
#endif
    return left == 0;
}

/// Copies the whole words of 8 bytes in `left`. False on a fault; the word it was in is left whole.
bool copy_words(CopyPlace& place, size_t& left) {
    size_t words = left / 8;
    if (words == 0) return true;
    uint64_t carried = 0;
#if defined(__x86_64__)
    asm volatile(
        "1: movq (%[from]), %[carried]\n\t"
        "movq %[carried], (%[to])\n\t"
        "addq $8, %[from]\n\t"
        "addq $8, %[to]\n\t"
        "dec %[words]\n\t"
        "jnz 1b\n\t"
        "2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
        : [to] "+r"(place.to), [from] "+r"(place.from), [words] "+r"(words), [carried] "+r"(carried)
        :
        : "memory", "cc");
#else
    asm volatile(
        "1: ldr %[carried], [%[from]]\n\t"
        "str %[carried], [%[to]]\n\t"
        "add %[from], %[from], #8\n\t"
        "add %[to], %[to], #8\n\t"
        "subs %[words], %[words], #1\n\t"
        "b.ne 1b\n\t"
        "2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
        : [to] "+&r"(place.to), [from] "+&r"(place.from), [words] "+&r"(words),
          [carried] "+&r"(carried)
        :
        : "memory", "cc");
#endif
    left = words * 8 + left % 8;
    return words == 0;
}

/// Copies the whole pieces of 64 bytes in `left`, as copy_words() does.
bool copy_pieces(CopyPlace& place, size_t& left) {
    constexpr size_t piece_bytes = 64;
    size_t pieces = left / piece_bytes;
    if (pieces == 0) return true;
#if defined(__x86_64__)
    asm volatile(
        "1: movups (%[from]), %%xmm0\n\t"
        "movups 16(%[from]), %%xmm1\n\t"
        "movups 32(%[from]), %%xmm2\n\t"
        "movups 48(%[from]), %%xmm3\n\t"
        "movups %%xmm0, (%[to])\n\t"
        "movups %%xmm1, 16(%[to])\n\t"
        "movups %%xmm2, 32(%[to])\n\t"
        "movups %%xmm3, 48(%[to])\n\t"
        "addq $64, %[from]\n\t"
        "addq $64, %[to]\n\t"
        "dec %[pieces]\n\t"
        "jnz 1b\n\t"
        "2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
        : [to] "+r"(place.to), [from] "+r"(place.from), [pieces] "+r"(pieces)
        :
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3");
#else
    asm volatile(
        "1: ldp q0, q1, [%[from]]\n\t"
        "ldp q2, q3, [%[from], #32]\n\t"
        "stp q0, q1, [%[to]]\n\t"
        "stp q2, q3, [%[to], #32]\n\t"
        "add %[from], %[from], #64\n\t"
        "add %[to], %[to], #64\n\t"
        "subs %[pieces], %[pieces], #1\n\t"
        "b.ne 1b\n\t"
        "2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
        : [to] "+&r"(place.to), [from] "+&r"(place.from), [pieces] "+&r"(pieces)
        :
        : "memory", "cc", "v0", "v1", "v2", "v3");
#endif
    left = pieces * piece_bytes + left % piece_bytes;
    return pieces == 0;
}

/// Copies what is long enough for the processor's own instruction. False on a fault.
bool copy_long([[maybe_unused]] CopyPlace& place, [[maybe_unused]] size_t& left) {
#if defined(__x86_64__)
    // Processors since 2013 move whole cache lines here, but take a while to start.
    constexpr size_t worth_it_bytes = 1024;
    if (left < worth_it_bytes) return true;
    asm volatile("1: rep movsb\n\t2:\n\t" BRAIDWAY_USER_ENTRY("1b", "2b", "2b")
                 : "+D"(place.to), "+S"(place.from), "+c"(left)
                 :
                 : "memory");
    return left == 0;
#else
    return true;
#endif
}

/// Copies until all is done or a byte of `user`, one side of `place`, is missing. Returns how many
/// bytes are done.
size_t copy(CopyPlace place, size_t size_bytes, const void* user) {
    size_t left = size_bytes;
    if (copy_long(place, left) && copy_pieces(place, left) && copy_words(place, left) &&
        copy_bytes(place, left)) [[likely]] {
        return size_bytes;
    }
    // Something was missing in a piece that was left whole. It begins with a page, so the bytes
    // before that page are there; if they went meanwhile, the copy stops at the very byte, too.
    const size_t past_border = (reinterpret_cast<uintptr_t>(user) + size_bytes - left) % page_bytes;
    if (past_border == 0) return size_bytes - left;
    size_t before_border = std::min(left, page_bytes - past_border);
    left -= before_border;
    copy_bytes(place, before_border);
    return size_bytes - left - before_border;
}

bool aligned(const uint32_t* word) {
    return reinterpret_cast<uintptr_t>(word) % sizeof(*word) == 0;
}

}  // namespace

size_t try_copy_from(std::span<std::byte> to, const void* from) noexcept {
    return copy({to.data(), static_cast<const std::byte*>(from)}, to.size(), from);
}

size_t try_copy_to(void* to, std::span<const std::byte> from) noexcept {
    return copy({static_cast<std::byte*>(to), from.data()}, from.size(), to);
}

FutexOutcome try_futex_wait(const uint32_t* word, uint32_t expected, const Deadline& deadline) {
    if (!aligned(word)) return FutexOutcome::fault;
    static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
    // Only the kernel looks at the word; it is never touched through this type.
    return futex_wait(*reinterpret_cast<const std::atomic<uint32_t>*>(word), expected,
                      FutexScope::process_shared, deadline);
}

std::optional<unsigned> try_futex_wake(const uint32_t* word, unsigned count) {
    if (!aligned(word)) return std::nullopt;
    if (count == 0) return 0;  // The kernel would wake one.
    const int errno_before = errno;
    const int most = static_cast<int>(std::min<unsigned>(count, INT_MAX));
    const long woken = syscall(SYS_futex, word, FUTEX_WAKE, most, nullptr, nullptr, 0);
    errno = errno_before;
    if (woken < 0) return std::nullopt;
    return static_cast<unsigned>(woken);
}

}  // namespace braidway::sync
