// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_status.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "multipath/dm_words.h"

namespace braidway::multipath {
namespace {

struct GroupLetter {
    char letter;
    GroupState state;
};
constexpr std::array group_letters{GroupLetter{'E', GroupState::enabled},
                                   GroupLetter{'A', GroupState::active},
                                   GroupLetter{'D', GroupState::disabled}};

/// Reads one status line.
class InfoReader {
  public:
    explicit InfoReader(DmWords words) : words_(std::move(words)) {}

    Result<DmInfo> read();

  private:
    Result<uint32_t> read_number(std::string_view what, uint32_t min, uint32_t max);
    Result<PathArguments> read_counted_words(std::string_view what);
    Result<DmInfoGroup> read_group();
    Result<DmInfoPath> read_path(uint32_t words_per_path);
    std::unexpected<Error> refuse(const std::string& where, std::string_view expected) const;

    DmWords words_;
    uint32_t group_ = 0;  ///< The one that is read, from 1.
    uint32_t path_ = 0;
};

Result<DmInfo> InfoReader::read() {
    DmInfo info;
    if (const auto two = read_number("2, the number of feature words", 2, 2); !two)
        return std::unexpected(two.error());
    const auto queue_io = read_number("0 or 1: whether I/O waits for a group", 0, 1);
    if (!queue_io) return std::unexpected(queue_io.error());
    info.queue_io = *queue_io == 1;
    const auto pg_inits = read_number("the number of activations", 0, UINT32_MAX);
    if (!pg_inits) return std::unexpected(pg_inits.error());
    info.pg_init_count = *pg_inits;
    if (const auto none = read_number("0, the number of handler words", 0, 0); !none)
        return std::unexpected(none.error());
    const auto groups = read_number("the number of groups, 0 to 1024", 0, 1024);
    if (!groups) return std::unexpected(groups.error());
    const auto group = read_number("the number of a group", *groups == 0 ? 0 : 1, *groups);
    if (!group) return std::unexpected(group.error());
    info.group = *group;
    for (group_ = 1; group_ <= *groups; ++group_) {
        auto made = read_group();
        if (!made) return std::unexpected(made.error());
        info.groups.push_back(std::move(*made));
    }
    group_ = 0;
    if (words_.left() > 0) return refuse(words_.next(), "the end of the line");
    return info;
}

Result<DmInfoGroup> InfoReader::read_group() {
    DmInfoGroup group;
    path_ = 0;
    const std::string where = words_.next();
    const std::string* const letter = words_.take();
    const auto* const known =
        std::ranges::find_if(group_letters, [letter](const GroupLetter& each) {
            return letter != nullptr && *letter == std::string_view(&each.letter, 1);
        });
    if (known == group_letters.end()) return refuse(where, "A, E or D, the state of a group");
    group.state = known->state;
    auto own = read_counted_words("the number of the selector's words");
    if (!own) return std::unexpected(own.error());
    group.words = std::move(*own);
    const auto paths = read_number("the number of paths, 0 to 1024", 0, 1024);
    if (!paths) return std::unexpected(paths.error());
    const auto words_per_path =
        read_number("the number of words for each path, 0 to 1024", 0, 1024);
    if (!words_per_path) return std::unexpected(words_per_path.error());
    for (path_ = 1; path_ <= *paths; ++path_) {
        auto path = read_path(*words_per_path);
        if (!path) return std::unexpected(path.error());
        group.paths.push_back(std::move(*path));
    }
    return group;
}

Result<DmInfoPath> InfoReader::read_path(uint32_t words_per_path) {
    if (words_.left() == 0) return refuse(words_.next(), "a device");
    DmInfoPath path;
    path.name = *words_.take();
    const std::string where = words_.next();
    const std::string* const letter = words_.take();
    if (letter == nullptr || (*letter != "A" && *letter != "F"))
        return refuse(where, "A or F, the state of a path");
    path.state = *letter == "A" ? PathState::up : PathState::down;
    const auto fails = read_number("how often the path failed", 0, UINT32_MAX);
    if (!fails) return std::unexpected(fails.error());
    path.fail_count = *fails;
    if (words_.left() < words_per_path)
        return refuse(words_.next(), fmt::format("{} words of the selector, {} are left",
                                                 words_per_path, words_.left()));
    path.words = words_.take_words(words_per_path);
    return path;
}

Result<PathArguments> InfoReader::read_counted_words(std::string_view what) {
    const std::string where = words_.next();
    const auto count = read_number(what, 0, UINT32_MAX);
    if (!count) return std::unexpected(count.error());
    if (*count > words_.left())
        return refuse(where, fmt::format("{}: {} are left", what, words_.left()));
    return words_.take_words(*count);
}

Result<uint32_t> InfoReader::read_number(std::string_view what, uint32_t min, uint32_t max) {
    const std::string where = words_.next();
    const std::string* const word = words_.take();
    const auto value = word == nullptr ? std::nullopt : read_dm_number(*word);
    if (!value || *value < min || *value > max) return refuse(where, what);
    return *value;
}

std::unexpected<Error> InfoReader::refuse(const std::string& where,
                                          std::string_view expected) const {
    const std::string group = group_ == 0 ? "" : fmt::format(", group {}", group_);
    const std::string path = path_ == 0 ? "" : fmt::format(", path {}", path_);
    return fail(fmt::format("not a multipath status line: {}{}{}: expected {}", where, group,
                            group_ == 0 ? "" : path, expected),
                EINVAL);
}

char letter_of(GroupState state) {
    for (const GroupLetter& each : group_letters)
        if (each.state == state) return each.letter;
    CHECK(false, "every state has a letter");
    return '?';
}

}  // namespace

Result<DmInfo> parse_dm_info(std::string_view text, size_t words_before) {
    return InfoReader(DmWords(text, words_before)).read();
}

std::string dm_info_text(const DmInfo& info) {
    std::string text = fmt::format("2 {} {} 0 {} {}", info.queue_io ? 1 : 0, info.pg_init_count,
                                   info.groups.size(), info.group);
    for (const DmInfoGroup& group : info.groups) {
        text += fmt::format(" {} {}", letter_of(group.state), group.words.size());
        append_dm_words(text, group.words);
        const size_t words_per_path = group.paths.empty() ? 0 : group.paths.front().words.size();
        text += fmt::format(" {} {}", group.paths.size(), words_per_path);
        for (const DmInfoPath& path : group.paths) {
            CHECK(path.words.size() == words_per_path, "a selector has as many words per path");
            text += fmt::format(" {} {} {}", escape_dm_word(path.name),
                                path.state == PathState::up ? 'A' : 'F', path.fail_count);
            append_dm_words(text, path.words);
        }
    }
    return text;
}

}  // namespace braidway::multipath
