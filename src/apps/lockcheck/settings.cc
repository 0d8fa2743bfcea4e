// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <filesystem>

namespace braidway::lockcheck {
namespace {

std::optional<std::string> when(bool wished) {
    return wished ? std::optional<std::string>("1") : std::nullopt;
}

std::optional<std::string> unless_empty(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

template <typename Number>
void read_number(const char* text, Number& into) {
    if (text == nullptr) return;
    const std::string_view word = text;
    Number number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size()) into = number;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const size_t colon = text.find(':');
        if (colon != 0) parts.emplace_back(text.substr(0, colon));
        text = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    }
    return parts;
}

}  // namespace

std::vector<Variable> variables(const Settings& settings) {
    return {{"LOCKCHECK_ROOT", fmt::format("{}", settings.root)},
            {"LOCKCHECK_RENDERER", unless_empty(settings.renderer)},
            {"LOCKCHECK_STATE", unless_empty(settings.state)},
            {"LOCKCHECK_JSON", unless_empty(settings.json)},
            {"LOCKCHECK_EXIT_STATUS", fmt::format("{}", settings.exit_status)},
            {"LOCKCHECK_ON_HANG", settings.hang_ends_program ? "exit" : "report"},
            {"LOCKCHECK_HANG_AFTER_MS",
             fmt::format(
                 "{}", std::chrono::ceil<std::chrono::milliseconds>(settings.hang_after).count())},
            {"LOCKCHECK_QUIET", when(settings.quiet)},
            {"LOCKCHECK_SUPPRESSIONS",
             unless_empty(fmt::format("{}", fmt::join(settings.suppressions, ":")))},
            {"LOCKCHECK_GITHUB", when(settings.github)},
            {"LOCKCHECK_PICTURE", unless_empty(settings.picture)},
            {"LOCKCHECK_ASSUME_WRITERS", when(settings.assume_writers)},
            {"LOCKCHECK_GENERATE_SUPPRESSIONS", when(settings.generate_suppressions)}};
}

Settings settings_from(const std::function<const char*(const char*)>& value_of) {
    const auto text = [&value_of](const char* name) -> std::string {
        const char* value = value_of(name);
        return value == nullptr ? "" : value;
    };
    const auto is_on = [&text](const char* name) { return text(name) == "1"; };
    Settings settings;
    read_number(value_of("LOCKCHECK_ROOT"), settings.root);
    settings.renderer = text("LOCKCHECK_RENDERER");
    settings.state = text("LOCKCHECK_STATE");
    settings.json = text("LOCKCHECK_JSON");
    read_number(value_of("LOCKCHECK_EXIT_STATUS"), settings.exit_status);
    settings.hang_ends_program = text("LOCKCHECK_ON_HANG") != "report";
    int64_t hang_after_ms =
        std::chrono::ceil<std::chrono::milliseconds>(settings.hang_after).count();
    read_number(value_of("LOCKCHECK_HANG_AFTER_MS"), hang_after_ms);
    settings.hang_after = std::chrono::milliseconds(hang_after_ms);
    settings.quiet = is_on("LOCKCHECK_QUIET");
    settings.suppressions = split_list(text("LOCKCHECK_SUPPRESSIONS"));
    settings.github = is_on("LOCKCHECK_GITHUB");
    settings.picture = text("LOCKCHECK_PICTURE");
    settings.assume_writers = is_on("LOCKCHECK_ASSUME_WRITERS");
    settings.generate_suppressions = is_on("LOCKCHECK_GENERATE_SUPPRESSIONS");
    return settings;
}

std::string preload(std::string_view library, std::string_view before) {
    // One lockcheck may start another.
    const std::string_view first = before.substr(0, before.find_first_of(": "));
    if (before.empty() || first == library) return std::string(before.empty() ? library : before);
    return fmt::format("{}:{}", library, before);
}

std::string absolute(std::string_view path, std::string_view from) {
    return (std::filesystem::path(from) / std::filesystem::path(path)).lexically_normal().string();
}

}  // namespace braidway::lockcheck
