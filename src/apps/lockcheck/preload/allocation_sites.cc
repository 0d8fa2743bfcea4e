// SPDX-License-Identifier: Apache-2.0
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, "MOV", "PUSH" and
//         "POP"; Arm Architecture Reference Manual, "MOVZ"; the procedure call standards of both.
#include "apps/lockcheck/preload/allocation_sites.h"

#include <cstring>
#include <initializer_list>

#include "apps/lockcheck/preload/static_objects.h"

namespace braidway::lockcheck {
namespace {

/// How far before the call its arguments are looked for. Compilers load a constant just before.
constexpr size_t window_bytes = 48;
/// Room for a test, a jump, the end of a small frame, and the return.
constexpr size_t rest_bytes = 16;

uint32_t word_at(const unsigned char* code) {
    uint32_t word = 0;
    std::memcpy(&word, code, sizeof word);
    return word;
}

bool is_size(uint64_t constant, uint64_t bytes) {
    return (constant + 7) / 8 * 8 == bytes;
}

}  // namespace

#if defined(__x86_64__)
bool loads_constant(const unsigned char* code, size_t length, uint64_t bytes) {
    constexpr int mov = 0xb8, mov_long = 0xc7, push_byte = 0x6a, pop = 0x58;
    for (size_t i = 0; i + 5 <= length; ++i) {
        for (const int edi_esi_edx : {7, 6, 2}) {
            const unsigned char first = code[i];
            const unsigned char second = code[i + 1];
            if (first == mov + edi_esi_edx && is_size(word_at(code + i + 1), bytes)) return true;
            if (first == mov_long && second == 0xc0 + edi_esi_edx && i + 6 <= length &&
                is_size(word_at(code + i + 2), bytes))
                return true;
            if (first == push_byte && code[i + 2] == pop + edi_esi_edx && is_size(second, bytes))
                return true;
        }
    }
    return false;
}

bool hands_block_on(const unsigned char* code, size_t length) {
    constexpr unsigned char test_rax[] = {0x48, 0x85, 0xc0};
    constexpr unsigned char ret = 0xc3;
    if (length < sizeof test_rax || std::memcmp(code, test_rax, sizeof test_rax) != 0) return false;
    return std::memchr(code, ret, length) != nullptr;
}
#elif defined(__aarch64__)
bool loads_constant(const unsigned char* code, size_t length, uint64_t bytes) {
    for (size_t i = length % 4; i + 4 <= length; i += 4) {
        const uint32_t word = word_at(code + i);
        // movz of 32 or 64 bits, not shifted, into x0, x1 or x2.
        const bool is_movz = (word & 0x7fe00000) == 0x52800000 && (word & 31) <= 2;
        if (is_movz && is_size((word >> 5) & 0xffff, bytes)) return true;
    }
    return false;
}

bool hands_block_on(const unsigned char*, size_t) {
    return false;
}
#else
bool loads_constant(const unsigned char*, size_t, uint64_t) {
    return false;
}

bool hands_block_on(const unsigned char*, size_t) {
    return false;
}
#endif

bool asks_for_one_type(uintptr_t site, uint64_t bytes) {
    if (site < window_bytes) return false;
    for (const uintptr_t place : {site - window_bytes, site, site + rest_bytes})
        if (!is_in_module(place)) return false;
    if (is_header_code(site)) return true;
    if (hands_block_on(reinterpret_cast<const unsigned char*>(site), rest_bytes)) return false;
    return loads_constant(reinterpret_cast<const unsigned char*>(site - window_bytes), window_bytes,
                          bytes);
}

}  // namespace braidway::lockcheck
