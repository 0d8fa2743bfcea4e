// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_line.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "multipath/dm_words.h"

namespace braidway::multipath {
namespace {

/// Takes the first word of `text` off it.
std::string_view take_word(std::string_view& text) {
    constexpr std::string_view blanks = " \t\n\v\f\r";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
    return word;
}

bool read_sectors(std::string_view word, uint64_t& sectors) {
    const auto [stop, problem] = std::from_chars(word.begin(), word.end(), sectors);
    return problem == std::errc() && stop == word.end();
}

}  // namespace

Result<DmLine> parse_dm_line(std::string_view line) {
    DmLine read;
    std::string_view word = take_word(line);
    read.words_before = 3;
    if (word.size() > 1 && word.ends_with(':')) {
        read.name = word.substr(0, word.size() - 1);
        read.words_before = 4;
        word = take_word(line);
    }
    const size_t first = read.words_before - 2;
    if (!read_sectors(word, read.start_sectors))
        return fail(fmt::format("word {} {}: expected the start, in sectors of 512 bytes", first,
                                shown_dm_word(word)),
                    EINVAL);
    word = take_word(line);
    if (!read_sectors(word, read.length_sectors))
        return fail(fmt::format("word {} {}: expected the length, in sectors of 512 bytes",
                                first + 1, shown_dm_word(word)),
                    EINVAL);
    if (read.length_sectors == 0)
        return fail(fmt::format("zero-length target: word {} {}: expected 1 sector or more",
                                first + 1, shown_dm_word(word)),
                    EINVAL);
    word = take_word(line);
    if (word != "multipath")
        return fail(fmt::format("unknown target type: word {} {}: expected multipath", first + 2,
                                shown_dm_word(word)),
                    EINVAL);
    read.parameters = line;
    return read;
}

}  // namespace braidway::multipath
