// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/text.h"

#include <cstring>

#include "apps/lockcheck/preload/raw_calls.h"

namespace braidway::lockcheck {
namespace {

/// How many bytes the UTF-8 letter at the start of `piece` has; 0: it is none.
size_t letter_bytes(std::string_view piece) {
    const auto byte = [&](size_t at) { return static_cast<unsigned char>(piece[at]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || piece.size() < bytes) return 0;
    for (size_t at = 1; at < bytes; ++at)
        if ((byte(at) & 0xc0) != 0x80) return 0;
    // Too long forms, surrogates, and what is above the last letter.
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;
    return bytes;
}

}  // namespace

bool Text::make_room(size_t bytes) {
    if (size_ + bytes <= room_) return true;
    size_t room = room_ == 0 ? 16'384 : room_ * 2;
    while (room < size_ + bytes) room *= 2;
    char* const grown = room > bytes_max ? nullptr : static_cast<char*>(map_pages(room));
    if (grown == nullptr) {
        complete_ = false;
        return false;
    }
    if (size_ > 0) std::memcpy(grown, data_, size_);
    if (data_ != nullptr) unmap_pages(data_, room_);
    data_ = grown;
    room_ = room;
    return true;
}

void Text::clear_and_free() {
    if (data_ != nullptr) unmap_pages(data_, room_);
    data_ = nullptr;
    size_ = room_ = 0;
    complete_ = true;
}

Text& Text::add(std::string_view piece) {
    if (piece.empty() || !make_room(piece.size())) return *this;
    std::memcpy(data_ + size_, piece.data(), piece.size());
    size_ += piece.size();
    return *this;
}

Text& Text::add_number(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return add({digits + at, sizeof digits - at});
}

Text& Text::add_hex(uint64_t number) {
    char digits[18];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number > 0);
    digits[--at] = 'x';
    digits[--at] = '0';
    return add({digits + at, sizeof digits - at});
}

Text& Text::add_quoted(std::string_view piece) {
    add("\"");
    while (!piece.empty()) {
        const size_t bytes = letter_bytes(piece);
        const auto first = static_cast<unsigned char>(piece[0]);
        if (bytes == 0) {
            add("\\ufffd");
        } else if (first == '"' || first == '\\') {
            const char escaped[2] = {'\\', piece[0]};
            add({escaped, 2});
        } else if (first < 0x20 || first == 0x7f) {
            const char escaped[6] = {
                '\\', 'u', '0', '0', "01234567"[first >> 4], "0123456789abcdef"[first & 15]};
            add({escaped, 6});
        } else {
            add(piece.substr(0, bytes));
        }
        piece.remove_prefix(bytes == 0 ? 1 : bytes);
    }
    return add("\"");
}

Text& Text::add_quoted_or_null(const char* piece) {
    return piece == nullptr ? add("null") : add_quoted(piece);
}

}  // namespace braidway::lockcheck
