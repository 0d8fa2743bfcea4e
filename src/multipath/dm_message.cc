// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_message.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/check.h"

namespace braidway::multipath {
namespace {

/// What the second word of a message is.
enum class Argument : uint8_t { none, path, group };

struct MessageRow {
    std::string_view word;
    Message message;
    Argument argument;
};

constexpr std::array known_messages{
    MessageRow{"queue_if_no_path", Message::queue_if_no_path, Argument::none},
    MessageRow{"fail_if_no_path", Message::fail_if_no_path, Argument::none},
    MessageRow{"disable_group", Message::disable_group, Argument::group},
    MessageRow{"enable_group", Message::enable_group, Argument::group},
    MessageRow{"switch_group", Message::switch_group, Argument::group},
    MessageRow{"reinstate_path", Message::reinstate_path, Argument::path},
    MessageRow{"fail_path", Message::fail_path, Argument::path},
};

constexpr std::string_view expected =
    "expected queue_if_no_path, fail_if_no_path, fail_path DEVICE, reinstate_path DEVICE, "
    "switch_group N, disable_group N or enable_group N";

const MessageRow* row_of(std::string_view word, bool with_argument) {
    const auto* const row = std::ranges::find_if(known_messages, [&](const MessageRow& each) {
        return (each.argument != Argument::none) == with_argument && same_dm_word(word, each.word);
    });
    return row == known_messages.end() ? nullptr : row;
}

Result<DmMessage> read_group(const MessageRow& row, const std::string& word,
                             const DmMessageMap& map) {
    const auto number = read_dm_number(word);
    if (!number || *number == 0 || *number > map.groups)
        return fail(
            fmt::format("{}: invalid PG number supplied: {}: {}", row.word, shown_dm_word(word),
                        map.groups == 0
                            ? "the map has no groups"
                            : fmt::format("expected the number of a group, 1 to {}", map.groups)),
            EINVAL);
    return DmMessage{.message = row.message, .path = {}, .group = *number};
}

Result<DmMessage> read_path(const MessageRow& row, const std::string& word,
                            const DmMessageMap& map) {
    if (map.device)
        if (const auto found = map.device(word); !found)
            return fail(fmt::format("message: error getting device {}: {}", shown_dm_word(word),
                                    one_dm_line(found.error().message)),
                        found.error().code == 0 ? EINVAL : found.error().code);
    if (map.in_table && !map.in_table(word))
        return fail(fmt::format("{} {}: the table has no such path", row.word, shown_dm_word(word)),
                    EINVAL);
    return DmMessage{.message = row.message, .path = word, .group = 0};
}

}  // namespace

Result<DmMessage> parse_dm_message(std::span<const std::string> words, const DmMessageMap& map) {
    if (words.empty()) return fail(fmt::format("Empty message received: {}", expected), EINVAL);
    if (words.size() == 1)
        if (const MessageRow* const row = row_of(words[0], false))
            return DmMessage{.message = row->message, .path = {}, .group = 0};
    if (words.size() != 2)
        return fail(fmt::format("Invalid multipath message arguments. Expected 2 arguments, got "
                                "{}: {}",
                                words.size(), expected),
                    EINVAL);
    const MessageRow* const row = row_of(words[0], true);
    if (row == nullptr)
        return fail(fmt::format("Unrecognised multipath message received: {}: {}",
                                shown_dm_word(words[0]), expected),
                    EINVAL);
    return row->argument == Argument::group ? read_group(*row, words[1], map)
                                            : read_path(*row, words[1], map);
}

std::string dm_message_text(const DmMessage& message) {
    const auto* const row =
        std::ranges::find(known_messages, message.message, &MessageRow::message);
    CHECK(row != known_messages.end(), "every message has a word");
    switch (row->argument) {
        case Argument::none:
            return std::string(row->word);
        case Argument::path:
            return fmt::format("{} {}", row->word, escape_dm_word(message.path));
        case Argument::group:
            return fmt::format("{} {}", row->word, message.group);
    }
    return {};
}

}  // namespace braidway::multipath
