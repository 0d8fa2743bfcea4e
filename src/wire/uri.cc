// SPDX-License-Identifier: Apache-2.0
#include "wire/uri.h"

#include <fmt/format.h>

#include <cerrno>

namespace braidway::wire {
namespace {

constexpr size_t shown_bytes_max = 200;

int hex_digit(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    return -1;
}

}  // namespace

bool is_one_of(char letter, std::string_view letters) {
    return letters.find(letter) != std::string_view::npos;
}

bool is_letter_or_digit(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9');
}

bool is_unreserved(char letter) {
    return is_letter_or_digit(letter) || is_one_of(letter, "-._~");
}

std::string printable_uri(std::string_view text) {
    std::string shown(text.substr(0, shown_bytes_max));
    for (char& letter : shown)
        if (letter < 0x20 || letter >= 0x7f) letter = '?';
    return shown;
}

std::string uri_encoded(std::string_view text, std::string_view also_plain) {
    std::string to;
    for (const char letter : text) {
        if (is_unreserved(letter) || is_one_of(letter, also_plain))
            to += letter;
        else
            to += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
    }
    return to;
}

Result<std::string> uri_decoded(std::string_view written, bool may_begin_nul) {
    std::string to;
    to.reserve(written.size());
    for (size_t at = 0; at < written.size(); ++at) {
        char letter = written[at];
        if (letter == '%') {
            const int high = at + 2 < written.size() ? hex_digit(written[at + 1]) : -1;
            const int low = high >= 0 ? hex_digit(written[at + 2]) : -1;
            if (low < 0) return fail("holds a '%' without two hexadecimal digits", EINVAL);
            letter = static_cast<char>(high * 16 + low);
            at += 2;
        }
        if (letter == '\0' && !(may_begin_nul && to.empty()))
            return fail("holds a NUL (%00)", EINVAL);
        to += letter;
    }
    return to;
}

}  // namespace braidway::wire
