// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_table.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace braidway::multipath {
namespace {

/// A number that device-mapper expects somewhere, and what it says when it is not there.
struct NumberRule {
    std::string_view problem;
    uint32_t min = 0;
    uint32_t max = 1024;
    /// It announces this many words, which have to be there.
    bool announces_words = false;
};

constexpr NumberRule feature_words{
    .problem = "invalid number of feature args", .max = 8, .announces_words = true};
constexpr NumberRule retries{
    .problem = "pg_init_retries must be between 1 and 50", .min = 1, .max = 50};
constexpr NumberRule delay_ms{.problem = "pg_init_delay_msecs must be between 0 and 60000",
                              .max = 60000};
constexpr NumberRule handler_words{.problem = "invalid number of hardware handler args",
                                   .announces_words = true};
constexpr NumberRule group_count{.problem = "invalid number of priority groups"};
constexpr NumberRule initial_group{.problem = "invalid initial priority group number"};
constexpr NumberRule selector_words{.problem = "invalid number of path selector args",
                                    .announces_words = true};
constexpr NumberRule path_count{.problem = "invalid number of paths", .min = 1};
constexpr NumberRule path_words{.problem = "invalid number of selector args"};

/// What a selector says, on one line, from `start` on if that is in it.
std::string told_by(const Error& error, std::string_view start) {
    const std::string_view message = error.message;
    const size_t found = message.rfind(start);
    return one_dm_line(message.substr(found == std::string_view::npos ? 0 : found));
}

/// Reads one table, in the kernel's order of checks.
class TableReader {
  public:
    TableReader(DmWords words, const DeviceLookup& lookup, const SelectorOptions& options)
        : words_(std::move(words)), lookup_(lookup), options_(options) {
        map_.no_path = {.queue = false, .timeout = std::nullopt};
    }

    Result<void> read();
    /// What was read; each once.
    MultipathSpec take_map() { return std::move(map_); }
    std::vector<std::string> take_warnings() { return std::move(warnings_); }

  private:
    Result<void> read_features();
    Result<void> read_feature(uint32_t& left);
    Result<void> read_feature_argument(std::string_view feature);
    Result<void> read_handler();
    Result<void> read_groups(uint32_t count, const std::string& where);
    Result<void> read_group();
    Result<void> read_selector(GroupSpec& group);
    Result<void> read_paths(GroupSpec& group, uint32_t count, uint32_t words_per_path);
    Result<uint32_t> read_number(const NumberRule& rule);
    uint32_t refused_path(const GroupSpec& group, uint32_t count, uint32_t words_per_path,
                          Error& error) const;
    /// ", group 1, path 2", as far as the reader is in one.
    std::string place() const;

    DmWords words_;
    const DeviceLookup& lookup_;
    const SelectorOptions& options_;
    MultipathSpec map_;
    std::vector<std::string> warnings_;
    std::set<std::string, std::less<>> features_;  ///< Seen so far.
    size_t group_ = 0;                             ///< The one that is read, from 1.
    size_t path_ = 0;
};

Result<void> TableReader::read() {
    if (auto done = read_features(); !done) return done;
    if (map_.queue_mode == QueueMode::bio) map_.retain_attached_handler = true;
    if (auto done = read_handler(); !done) return done;
    const auto count = read_number(group_count);
    if (!count) return std::unexpected(count.error());
    const std::string where = words_.last();
    const auto initial = read_number(initial_group);
    if (!initial) return std::unexpected(initial.error());
    if ((*count == 0) != (*initial == 0))
        return fail(fmt::format("invalid initial priority group: {}: {} groups are announced, so "
                                "expected {}",
                                words_.last(), *count, *count == 0 ? "0" : "1 or more"),
                    EINVAL);
    map_.initial_group = *initial;
    return read_groups(*count, where);
}

Result<void> TableReader::read_features() {
    const auto count = read_number(feature_words);
    if (!count) return std::unexpected(count.error());
    for (uint32_t left = *count; left > 0;)
        if (auto done = read_feature(left); !done) return done;
    return {};
}

/// Reads one feature of the `left` words that are left of them.
Result<void> TableReader::read_feature(uint32_t& left) {
    const std::string& word = *words_.take();
    const std::string where = words_.last();
    --left;
    for (const std::string_view name : {"queue_if_no_path", "retain_attached_hw_handler",
                                        "pg_init_retries", "pg_init_delay_msecs", "queue_mode"}) {
        if (!same_dm_word(word, name)) continue;
        if (!features_.emplace(name).second)
            warnings_.push_back(
                fmt::format("{} is given more than once: the last one counts.", name));
        if (name == "queue_if_no_path") {
            map_.no_path.queue = true;
            return {};
        }
        if (name == "retain_attached_hw_handler") {
            map_.retain_attached_handler = true;
            return {};
        }
        if (left == 0)
            return fail(fmt::format("Unrecognised multipath feature request: {}: the features end "
                                    "here, and {} needs one more word, counted with them",
                                    where, name),
                        EINVAL);
        --left;
        return read_feature_argument(name);
    }
    return fail(fmt::format("Unrecognised multipath feature request: {}: expected one of "
                            "queue_if_no_path, pg_init_retries N, pg_init_delay_msecs N, "
                            "retain_attached_hw_handler, queue_mode bio|rq|mq",
                            where),
                EINVAL);
}

Result<void> TableReader::read_feature_argument(std::string_view feature) {
    if (feature == "pg_init_retries") {
        const auto value = read_number(retries);
        if (!value) return std::unexpected(value.error());
        map_.pg_init_retries = *value;
        return {};
    }
    if (feature == "pg_init_delay_msecs") {
        const auto value = read_number(delay_ms);
        if (!value) return std::unexpected(value.error());
        map_.pg_init_delay = std::chrono::milliseconds(*value);
        return {};
    }
    const std::string& mode = *words_.take();
    if (same_dm_word(mode, "bio")) {
        map_.queue_mode = QueueMode::bio;
    } else if (same_dm_word(mode, "rq") || same_dm_word(mode, "mq")) {
        map_.queue_mode = QueueMode::request;
    } else {
        return fail(fmt::format("Unknown 'queue_mode' requested: {}: expected bio, rq or mq",
                                words_.last()),
                    EINVAL);
    }
    return {};
}

Result<void> TableReader::read_handler() {
    const auto count = read_number(handler_words);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) return {};
    std::vector<std::string> words = words_.take_words(*count);
    if (map_.queue_mode == QueueMode::bio) {
        warnings_.push_back(
            fmt::format("The hardware handler {} is forgotten: queue_mode bio takes none.",
                        shown_dm_word(words.front())));
        return {};
    }
    map_.handler.name = words.front();
    map_.handler.parameters.assign(words.begin() + 1, words.end());
    return {};
}

/// Reads the groups, of which `where` announced `count`.
Result<void> TableReader::read_groups(uint32_t count, const std::string& where) {
    while (words_.left() > 0) {
        ++group_;
        if (auto done = read_group(); !done) return done;
    }
    if (map_.groups.size() != count)
        return fail(fmt::format("priority group count mismatch: {}: {} groups are announced, the "
                                "line has {}",
                                where, count, map_.groups.size()),
                    EINVAL);
    return {};
}

Result<void> TableReader::read_group() {
    if (words_.left() < 2)
        return fail(fmt::format("not enough priority group arguments: {}, group {}: expected "
                                "SELECTOR and its number of words",
                                words_.next(), group_),
                    EINVAL);
    GroupSpec group;
    if (auto done = read_selector(group); !done) return done;
    const auto count = read_number(path_count);
    if (!count) return std::unexpected(count.error());
    const auto words_per_path = read_number(path_words);
    if (!words_per_path) return std::unexpected(words_per_path.error());
    if (auto done = read_paths(group, *count, *words_per_path); !done) return done;
    map_.groups.push_back(std::move(group));
    return {};
}

Result<void> TableReader::read_selector(GroupSpec& group) {
    constexpr std::string_view unknown = "unknown path selector type";
    constexpr std::string_view refused = "path selector constructor failed";
    group.selector = *words_.take();
    if (const auto made = make_selector(group.selector, {}, {}, options_); !made)
        return fail(fmt::format("{}: {}{}: {}", unknown, words_.last(), place(),
                                told_by(made.error(), "there are: ")),
                    EINVAL);
    const auto count = read_number(selector_words);
    if (!count) return std::unexpected(count.error());
    const size_t first = words_.number();
    group.selector_arguments = words_.take_words(*count);
    if (const auto made = make_selector(group.selector, group.selector_arguments, {}, options_);
        !made)
        return fail(fmt::format("{}: words {} to {}{}: {}", refused, first, words_.number() - 1,
                                place(), one_dm_line(made.error().message)),
                    EINVAL);
    return {};
}

Result<void> TableReader::read_paths(GroupSpec& group, uint32_t count, uint32_t words_per_path) {
    Error refusal;
    const uint32_t refused = refused_path(group, count, words_per_path, refusal);
    for (uint32_t path = 0; path < count; ++path) {
        path_ = path + 1;
        if (words_.left() < size_t{1} + words_per_path)
            return fail(fmt::format("not enough path parameters: {}{}: expected DEVICE and {} "
                                    "words for its selector, {} words are left",
                                    words_.next(), place(), words_per_path, words_.left()),
                        EINVAL);
        PathSpec made;
        made.name = *words_.take();
        if (lookup_)
            if (const auto found = lookup_(made.name); !found)
                return fail(fmt::format("error getting device: {}{}: {}", words_.last(), place(),
                                        one_dm_line(found.error().message)),
                            found.error().code == 0 ? EINVAL : found.error().code);
        const std::string where = words_.last();
        made.arguments = words_.take_words(words_per_path);
        if (path == refused)
            return fail(
                fmt::format("{} ({}{}: its words are {})", one_dm_line(refusal.message), where,
                            place(),
                            shown_dm_word(fmt::format("{}", fmt::join(made.arguments, " ")))),
                refusal.code == 0 ? EINVAL : refusal.code);
        group.paths.push_back(std::move(made));
    }
    path_ = 0;
    return {};
}

/// The first of the next `count` paths (from 0) whose words the selector refuses, and its `error`;
/// `count` when there is none. A selector that refuses some paths refuses them with more, too.
uint32_t TableReader::refused_path(const GroupSpec& group, uint32_t count, uint32_t words_per_path,
                                   Error& error) const {
    std::vector<PathArguments> paths;
    const size_t words_each = size_t{1} + words_per_path;
    for (size_t at = 0; paths.size() < count && at + words_each <= words_.left();
         at += words_each) {
        PathArguments& words = paths.emplace_back();
        for (size_t word = 1; word < words_each; ++word) words.push_back(words_.peek(at + word));
    }
    const auto refusal_of = [&](size_t first_paths) {
        const std::vector<PathArguments> first(
            paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(first_paths));
        return make_selector(group.selector, group.selector_arguments, first, options_);
    };
    if (refusal_of(paths.size())) return count;
    size_t accepted = 0;
    size_t refused = paths.size();
    while (refused - accepted > 1) {
        const size_t middle = accepted + (refused - accepted) / 2;
        (refusal_of(middle) ? accepted : refused) = middle;
    }
    error = refusal_of(refused).error();
    return static_cast<uint32_t>(refused - 1);
}

Result<uint32_t> TableReader::read_number(const NumberRule& rule) {
    const std::string where = words_.next();
    const std::string* const word = words_.take();
    const auto value = word == nullptr ? std::nullopt : read_dm_number(*word);
    if (!value || *value < rule.min || *value > rule.max)
        return fail(fmt::format("{}: {}{}: expected a whole number from {} to {}", rule.problem,
                                where, place(), rule.min, rule.max),
                    EINVAL);
    if (rule.announces_words && *value > words_.left())
        return fail(fmt::format("{}: {}{}: {} words are announced, {} are left", rule.problem,
                                where, place(), *value, words_.left()),
                    EINVAL);
    return *value;
}

std::string TableReader::place() const {
    if (group_ == 0) return "";
    if (path_ == 0) return fmt::format(", group {}", group_);
    return fmt::format(", group {}, path {}", group_, path_);
}

}  // namespace

Result<MultipathSpec> parse_dm_table(std::string_view parameters, const DeviceLookup& lookup,
                                     const SelectorOptions& options) {
    TableReader reader(DmWords(parameters), lookup, options);
    if (auto done = reader.read(); !done) return std::unexpected(done.error());
    return reader.take_map();
}

Result<DmTarget> parse_dm_target(std::string_view line, const DeviceLookup& lookup,
                                 const SelectorOptions& options) {
    auto read = parse_dm_line(line);
    if (!read) return std::unexpected(read.error());
    TableReader reader(DmWords(read->parameters, read->words_before), lookup, options);
    if (auto done = reader.read(); !done) return std::unexpected(done.error());
    return DmTarget{std::move(*read), reader.take_map(), reader.take_warnings()};
}

}  // namespace braidway::multipath
