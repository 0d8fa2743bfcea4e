// SPDX-License-Identifier: Apache-2.0
// Just enough reading of C++ for the house's rules: comments, literals, scopes. Not a parser; it
// relies on code that clang-format has laid out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace braidway::tidy {

/// One text split into what the compiler reads and what people read. Both halves have the lines of
/// the original, so that line numbers agree; everything else is blank.
struct SplitText {
    std::string code;      ///< Without comments, contents of literals and preprocessor lines.
    std::string comments;  ///< Comments alone, with their slashes.
};

SplitText split(std::string_view text);

std::vector<std::string_view> lines_of(std::string_view text);

/// The line number (from 1) of the character at `position`.
size_t line_at(std::string_view text, size_t position);

std::string_view trimmed(std::string_view text);

/// Whether `letter` can be part of a C++ name.
bool is_name_letter(char letter);

/// A brace pair at namespace or class scope.
struct Span {
    enum class Kind { function, type };
    Kind kind = Kind::function;
    std::string head;        ///< The text before the brace, on one line.
    size_t first_line = 0;   ///< Where the head begins.
    size_t last_line = 0;    ///< Where the brace closes.
    bool in_type = false;    ///< A member of a class.
    bool anonymous = false;  ///< Inside an unnamed namespace.

    size_t lines() const { return last_line - first_line + 1; }
};

/// Functions and types of `code` (SplitText::code), in the order in which they end.
std::vector<Span> spans_of(std::string_view code);

}  // namespace braidway::tidy
