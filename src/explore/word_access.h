// SPDX-License-Identifier: Apache-2.0
// How operations read and write words of different sizes.
#pragma once

#include <cstdint>
#include <cstring>

#include "braidway/explore/atomic.h"

namespace braidway::explore {

/// The word of so many bytes at `address`.
inline uint64_t read_word(const void* address, uint8_t size_bytes) {
    uint64_t bits = 0;
    switch (size_bytes) {
        case 1:
            std::memcpy(&bits, address, 1);
            break;
        case 2:
            std::memcpy(&bits, address, 2);
            break;
        case 4:
            std::memcpy(&bits, address, 4);
            break;
        default:
            std::memcpy(&bits, address, 8);
            break;
    }
    return bits;
}

/// Writes it. Operations on words that are const do not come here.
inline void write_word(const void* address, uint8_t size_bytes, uint64_t bits) {
    void* const word = const_cast<void*>(address);
    switch (size_bytes) {
        case 1:
            std::memcpy(word, &bits, 1);
            break;
        case 2:
            std::memcpy(word, &bits, 2);
            break;
        case 4:
            std::memcpy(word, &bits, 4);
            break;
        default:
            std::memcpy(word, &bits, 8);
            break;
    }
}

/// What the operation leaves, given what it found.
inline uint64_t changed(const detail::Operation& operation) {
    switch (operation.change) {
        case detail::Change::nothing:
            return operation.before;
        case detail::Change::set:
        case detail::Change::compare:
            return operation.operand;
        case detail::Change::add:
            return operation.before + operation.operand;
        case detail::Change::subtract:
            return operation.before - operation.operand;
        case detail::Change::bit_and:
            return operation.before & operation.operand;
        case detail::Change::bit_or:
            return operation.before | operation.operand;
        case detail::Change::bit_xor:
            return operation.before ^ operation.operand;
    }
    return operation.operand;
}

/// The lowest bytes of `bits`.
inline uint64_t low_bytes(uint64_t bits, uint8_t size_bytes) {
    return size_bytes == 8 ? bits : bits & ((uint64_t{1} << (8 * size_bytes)) - 1);
}

/// Reads the word, and writes it if the operation does.
inline void apply(detail::Operation& operation) {
    operation.before = read_word(operation.address, operation.size_bytes);
    operation.after = operation.before;
    operation.wrote =
        operation.change != detail::Change::nothing &&
        (operation.change != detail::Change::compare || operation.before == operation.expected);
    if (!operation.wrote) return;
    operation.after = low_bytes(changed(operation), operation.size_bytes);
    write_word(operation.address, operation.size_bytes, operation.after);
}

}  // namespace braidway::explore
